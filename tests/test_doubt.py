"""What an adversary found: claims that once had a wrong verdict, or none, or a traceback."""

from __future__ import annotations

import pytest
from test_proof import assert_counterexample_holds

from derive import check, check_value, hvp, load, parse
from derive.batch import batched
from derive.errors import InputError

X, V = "x: input\n", "x: input[K]\n"
LABELLED = "a: input[K]\nt: target in K\nq: const in unit = 0.7\n"
SOFTMAX = "p[i] = exp(a[i]) / sum(exp(a[k]) for k in K)\n"
DUPLICATION = "(lgamma(2*x) - lgamma(x) - lgamma(x + 1/2) - (2*x - 1)*log(2) + log(pi)/2)"

NOT_PLAIN = ("digamma", "pi", "share")

# (loss, entry, claim, verdict)
CASES = [
    # A series of two terms does not tell x**2 from 0 at x = 0.
    (X + "L = 3*x if x**2 > 0 else 0\n", "x", "3", "proved"),
    (X + "L = 3*x if x**2 > 0 else 0\n", "x", "3 if x**2 > 0 else 0", "refuted"),
    (X + "L = x if x**4 != 0 else 0\n", "x", "2", "refuted"),
    (X + "L = relu(x**3)\n", "x", "3*x**2*(1 if x > 0 else 0)", "proved"),
    # 0**g is 1 for g = 0.
    (X + "g: const >= 0\nL = x*(x - x)**g\n", "x", "0", "refuted"),
    (X + "g: const >= 0\nL = x*abs(x - x)**g\n", "x", "0", "refuted"),
    # Times something that is 0 there, what has no value still has none.
    (LABELLED + SOFTMAX + "L = (1 - p[t]**q)/q\n", "a[j]", "7 if q == 0 else 0", "refuted"),
    # Conditions that exclude each other, or make what they stand beside 0.
    (V + "w: param[K]\nL = sum(w[k]*x[k] for k in K)\n", "x[j]", "abs(w[j])*sign(w[j])", "proved"),
    (V + "w: param[K]\nL = sum(w[k]*x[k] for k in K)\n", "x[j]", "w[j]*sign(w[j])", "refuted"),
    (
        V + "w: param[K]\nL = sum(sigmoid(w[k] - x[k]) for k in K)\n",
        "w[j]",
        "sigmoid(abs(w[j])*sign(w[j]) - x[j])*(1 - sigmoid(max(w[j], 0) + min(w[j], 0) - x[j]))",
        "proved",
    ),
    # sin(u)**2 leaves a number in a sum, which is that number times the axis.
    (
        V + "L = exp(mean(cos(2*pi*x[k]) for k in K))\n",
        "x[j]",
        "-2*pi*exp(sum(cos(2*pi*x[k]) for k in K)/K)*sin(2*pi*x[j])/K",
        "proved",
    ),
    ("x: -1 <= input <= 1\nL = asin(x)**2\n", "x", "(pi - 2*acos(x))/sqrt(1 - x**2)", "proved"),
    ("x: -1 <= input <= 1\nL = asin(x)**2\n", "x", "(pi - acos(x))/sqrt(1 - x**2)", "refuted"),
    # 1 - x is not below 0 for x in unit.
    (
        "b: input\nx: target in unit\nL = b*log(1 - x)\n",
        "b",
        "log((1 - x)**2)/2",
        "proved",
    ),
    (X + "b: target in unit\nL = x*log(1 - b)\n", "x", "-log((b - 1)**-4)/4", "proved"),
    ("b: input\nx: target\nL = b*(1 - x)\n", "b", "sqrt((1 - x)**2)", "refuted"),
    # A region that few points reach.
    ("z: input\ny: target > 0\nL = z + y*exp(-z)\n", "z", "1 + z - L - 2*relu(-L)", "refuted"),
    # psi of a number below 0.
    ("x: input > 0\nL = lgamma(x)\n", "x", "digamma(-x)", "refuted"),
    # What the tool prints can be read again, and shares are differentiated.
    (V + "L = max(x[k] for k in K)**2\n", "x[j]", "2*share(max(x[k] for k in K), j)*L", "refuted"),
    (
        V + "L = max(x[k] for k in K)**2\n",
        "x[i], x[j]",
        "2*share(max(x[k] for k in K), i)*share(max(x[k] for k in K), j)",
        "proved",
    ),
    # Each branch by itself, also where what is split on is divided by.
    (
        "z: input\nm: const\nL = z/(abs(m)*sign(m))\n",
        "z",
        "log(2*(1/(abs(m)*sign(m)))**2)",
        "refuted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "entry", "claim", "status"), CASES)
def test_verdict(text: str, entry: str, claim: str, status: str) -> None:
    verdict = check(parse(text), entry, claim)
    assert verdict.status == status, verdict
    at_kink = verdict.reason.startswith("a counterexample at a kink")
    plain = not any(word in text + claim for word in NOT_PLAIN)
    if status == "refuted" and plain and not at_kink:
        assert_counterexample_holds(text, entry, claim, verdict)


@pytest.mark.parametrize("never", [DUPLICATION, "(asin(x/(1 + x)) + acos(x/(1 + x)) - pi/2)"])
def test_what_is_0_everywhere_is_no_edge(never: str) -> None:
    """The loss is 0; a proof "off the kinks" of u would be one about nothing."""
    text = f"x: input > 0\nL = x if {never} > 0 else (x if -{never} > 0 else 0)\n"
    assert check(parse(text), "x", "1").status != "proved"


# (loss, claim, why it has no value)
VALUELESS = [
    (X + "L = x**2\n", "2*x + log(-1 - x**2) - log(-2 - 2*x**2) + log(2)", "logarithm"),
    (X + "L = -x**2/2 - x**4/4\n", "sqrt(-x - x**3)*sqrt(-1 - x**2)*sqrt(x)", "root"),
    (X + "L = x\n", "cos(2*asin(2 + x**2)) + 2*(2 + x**2)**2", "beyond 1"),
    (
        "x: input[K]\nA: param[K, K]\nL = sum(A[i, j]*x[i] for i in K for j in K)\n",
        "sum((A[j, k]**2 - A[k, j]**2)/(A[j, k] - A[k, j]) - A[k, j] for k in K)",
        "division by 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "claim", "why"), VALUELESS)
def test_a_claim_without_a_value_is_not_proved(text: str, claim: str, why: str) -> None:
    """Both sides have one normal form, but nowhere do both have a value."""
    verdict = check(parse(text), "x[j]" if "[" in text else "x", claim)
    assert verdict.status == "refuted" and why in verdict.reason
    assert verdict.counterexample is not None and "no value" in str(verdict.counterexample)


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (X + "L = abs(x)\n", "x/abs(x)"),
        (X + "L = log(x)\n", "1/x"),
        (X + "y: target in unit\nL = x*y\n", "(x*y)**2/(x**2*y)"),
        (X + "y: target in unit\nL = asin(x)*y\n", "y/sqrt(1 - x**2)"),
    ],
)
def test_a_claim_without_a_value_at_single_points_is_proved(text: str, claim: str) -> None:
    assert check(parse(text), "x", claim).status == "proved"


# (loss, claim, verdict): SymPy reads exp(log(x)) as x, and 0*log(y) as 0.
WRITTEN = [
    ("L = x**2/2", "exp(log(x))", "refuted"),
    ("L = x**2/2", "sqrt(x)**2", "refuted"),
    ("L = x**2/2", "(x**(1/4))**4", "refuted"),
    ("L = x**2/2", "x + 0*log(y)", "refuted"),
    ("L = x**2/2", "x + log(y) - log(y)", "refuted"),
    ("L = x**2/2", "x*log(y)**0", "refuted"),
    ("L = x*y", "exp(log(y))", "refuted"),
    # Nothing is lost, or at single points only, or the loss has no value there either.
    ("L = x*y", "exp(log(y**2)/2)*sign(y)", "proved"),
    ("L = x**2/2", "sqrt(x**2)*sign(x)", "proved"),
    ("L = x**2/2", "log(exp(x))", "proved"),
    ("L = x**2/2", "x*x/x", "proved"),
    ("L = sqrt(x)**4/2", "sqrt(x)**2", "proved"),
    ("L = x*log(y)", "log(y) + sqrt(y)**2 - y", "proved"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "claim", "status"), WRITTEN)
def test_a_claim_has_the_domain_that_its_text_has(text: str, claim: str, status: str) -> None:
    verdict = check(parse(f"x: input\ny: target\n{text}\n"), "x", claim)
    assert verdict.status == status
    assert status == "proved" or "no value" in verdict.reason


def test_a_declared_domain_is_used_for_what_was_written() -> None:
    assert check(parse("x: input > 0\nL = x**2/2\n"), "x", "exp(log(x))").status == "proved"
    loss = parse(V + "L = sum(x[k]**2 for k in K)/2\n")
    assert check(loss, "x[j]", "sum(exp(log(x[k]))*delta(k, j) for k in K)").status == "refuted"
    assert check_value(parse(X + "L = x\n"), "L", "exp(log(x))").status == "refuted"


def test_a_counterexample_is_made_small_along_every_axis_and_row() -> None:
    """At K = N the two are equal: K shrinks again once N has."""
    loss = batched(load("softmax_cross_entropy"))
    found = check(loss, "a[n, j]", "(p[n, j] - y[n, j])/K").counterexample
    assert found is not None and found.sizes == {"N": 1, "K": 2}
    assert set(found.point.values["y"].values()) == {0, 1}


def test_a_point_without_a_value_is_no_counterexample() -> None:
    """0 log 0 has none, whatever the series of the other terms say."""
    loss = load("kl_divergence")
    found = check(loss, "z[j]", "2*(p[j] - q[j])").counterexample
    assert found is not None and 0 not in found.point.values["q"].values()


def test_the_values_around_a_kink_are_shown_by_their_ends() -> None:
    found = check(parse(X + "L = abs(x)\n"), "x", "sign(x) if x != 0 else 3").counterexample
    assert "the truth is between -1.00000 and 1.00000" in str(found)


def test_a_value_claim_with_a_minus_in_the_exponent_is_decided() -> None:
    loss = parse("y: target in binary\ng: const > 0\nL = (1 - y)**g\n")
    assert check_value(loss, "L", "1 - y").status == "proved"
    assert check_value(loss, "L", "y").status == "refuted"


def test_a_difference_of_extrema_has_a_hessian() -> None:
    loss = parse(V + "L = max(x[k] for k in K) - min(x[k] for k in K)\n")
    assert hvp(loss, "x").formula == "0"


def test_definitions_that_nest_too_deeply_are_refused() -> None:
    chain = "".join(f"a{k + 1} = tanh(a{k})\n" for k in range(300))
    with pytest.raises(InputError, match="nests 162 levels") as caught:
        parse(f"{X}a0 = x\n{chain}L = a300\n")
    assert "\n" not in str(caught.value)


def test_a_long_name_is_cut_in_an_error() -> None:
    with pytest.raises(InputError, match="unknown name") as caught:
        check(parse(X + "L = x\n"), "x", "x" * 4000)
    assert len(str(caught.value)) < 400


def test_work_has_a_limit_whatever_is_nested() -> None:
    """Conditions in conditions double with each level: given up, not computed for minutes."""
    chain = "".join(f"a{k + 1} = abs(a{k} - {k + 1})\n" for k in range(8))
    assert check(parse(f"{X}a0 = x\n{chain}L = a8\n"), "x", "2").status == "refuted"
