"""Claims: wrong ones are refuted with numbers that hold elsewhere too, right ones proved.

The numbers of every counterexample are recomputed from the text of the loss by `plain`, a
small interpreter over mpmath with 60 digits and central differences.
"""

from __future__ import annotations

import re
from pathlib import Path

import mpmath
import pytest
from extra_losses import SOFTMAX, get
from flint import arb
from mpmath import mpf
from plain import DIGITS, claimed, slope

import derive
from codegen.cli import main
from derive import Loss, Verdict, check, check_value, parse
from derive.batch import batched

CE = "softmax_cross_entropy"
LINEAR = "linear_softmax_cross_entropy"
TEXTS = {
    "clipped": f"a: input[K]\ny: target[K] in simplex\n\n{SOFTMAX}"
    "q[i] = max(min(p[i], 1 - 0.000001), 0.000001)\n"
    "L = -sum(y[i] * log(q[i]) for i in K)\n",
    "reverse_kl": f"a: input[K]\nq: target[K] in simplex\n\n{SOFTMAX}"
    "KL = sum(p[i] * log(p[i] / q[i]) for i in K)\n",
    "bits": "z: input\n\nL = log(1 + exp(z)) / log(2)\n",
    "decay": "w: param[D]\nrate: const > 0 = 1\n\nL = rate / 2 * sum(w[i]**2 for i in D)\n",
    "hard": f"a: input[K]\nc: target in K\n\n{SOFTMAX}L = -log(p[c])\n",
    "tempered": "a: input[K]\ny: target[K] in simplex\nT: const > 0 = 1\n\n"
    "p[i] = exp(a[i] / T) / sum(exp(a[k] / T) for k in K)\n"
    "L = -sum(y[i] * log(p[i]) for i in K)\n",
    "margin": "a: input[K]\ny: target[K] in simplex\nm: const = 0\n\n"
    "b[i] = a[i] - m * y[i]\n"
    "p[i] = exp(b[i]) / sum(exp(b[k]) for k in K)\n"
    "L = -sum(y[i] * log(p[i]) for i in K)\n",
    "batch": "A: input[N, K]\nY: target[N, K] in simplex\n\n"
    "P[n, i] = exp(A[n, i]) / sum(exp(A[n, k]) for k in K)\n"
    "L = -sum(sum(Y[n, i] * log(P[n, i]) for i in K) for n in N) / N\n",
    "absolute": "z: input\ny: target\n\nL = abs(z - y)\n",
    "squares": "z: input[K]\ny: target[K]\n\nL = sum((z[i] - y[i])**2 for i in K) / K\n",
    "two": "z: input\nt: target in unit\ng: const = 1\n\nL = softplus(g * z) - t * z\n",
}


def load(name: str) -> Loss:
    return parse(TEXTS[name], name) if name in TEXTS else get(name)


FOCAL = "y[m]*(G*(1-p[m])**(G-1)*p[m]*log(p[m]) - (1-p[m])**G)"
FOCAL_ALL = "sum(y[i]*(G*(1-p[i])**(G-1)*p[i]*log(p[i]) - (1-p[i])**G) for i in K)"

# (loss, entry, wrong claim, a part of the hint)
WRONG = [
    (CE, "a[j]", "y[j] - p[j]", "the sign is wrong"),
    (CE, "a[j]", "p[j]", ""),
    (CE, "a[j]", "2*(p[j] - y[j])", "factor"),
    (CE, "a[j]", "-y[j]*(1 - p[j])", "paths are missing"),
    (CE, "y[m]", "-a[m]", ""),
    (CE, "y[m]", "log(sum(exp(a[k]) for k in K)) - a[m] + sum(y[i] for i in K)", ""),
    ("free_cross_entropy", "a[j]", "p[j] - y[j]", "sums to 1"),
    ("batch", "A[n, j]", "P[n, j] - Y[n, j]", "divided by N"),
    ("batch", "A[n, j]", "(P[n, j] - Y[n, j])/N**2", "times N"),
    (LINEAR, "W[u, v]", "-y[u]*(1 - p[u])*x[v]", "paths are missing"),
    (LINEAR, "W[u, v]", "p[u] - y[u]", ""),
    (LINEAR, "x[v]", "sum(W[k, v]*p[k] for k in K)", ""),
    (CE, "a[i],a[j]", "-p[i]*p[j]", "delta is missing"),
    (CE, "a[i],a[j]", "p[i]*(1 - p[j])", "delta is missing"),
    (CE, "a[i],a[j]", "p[i]*(delta(i, j) + p[j])", ""),
    # an error present only at K > 2, or only off the one-hot targets
    (CE, "a[i],a[j]", "p[i]*(1 - p[i])*(2*delta(i, j) - 1)", ""),
    (CE, "a[j]", "(p[j] - y[j])*2/K", ""),
    (CE, "a[j]", "p[j] - y[j] if y[j] >= max(y[k] for k in K) else p[j]", ""),
    (CE, "a[j]", "p[j] - y[j]**2", ""),
    (LINEAR, "W[q,u],W[r,s]", "p[q]*(1 - p[q])*(2*delta(q,r) - 1)*x[s]*x[u]", ""),
    # clipping, in the claim and in the loss
    (CE, "a[j]", "max(min(p[j], 1 - 0.000001), 0.000001) - y[j]", ""),
    ("clipped", "a[j]", "p[j] - y[j]", ""),
    ("clipped", "a[j]", "q[j] - y[j]", ""),
    ("smoothed", "a[j]", "p[j] - (1 - eps)*y[j] - eps/(K - 1)", ""),
    ("smoothed", "a[j]", "p[j] - 0.9*y[j] - 0.1/K", ""),
    ("smoothed", "a[j]", "p[j] - y[j]", ""),
    ("weighted_labels", "A[n, m]", "w[c[n]]*(P[n, m] - delta(m, c[n]))/N", ""),
    ("weighted_labels", "A[n, m]", "(P[n, m] - delta(m, c[n]))/sum(w[c[i]] for i in N)", ""),
    ("weighted_labels", "A[n, m]", "w[m]*(P[n, m]-delta(m, c[n]))/sum(w[c[i]] for i in N)", ""),
    # focal: the factor as a constant; right only at gamma = 2 (the default), 0 and 1
    (
        "dense_focal",
        "a[m]",
        "p[m]*sum(y[i]*(1-p[i])**gamma for i in K) - y[m]*(1-p[m])**gamma",
        "",
    ),
    ("dense_focal", "a[m]", f"{FOCAL} - p[m]*{FOCAL_ALL}".replace("G", "2"), ""),
    ("dense_focal", "a[m]", "p[m] - y[m]", ""),
    ("dense_focal", "a[m]", f"{FOCAL}*(1 - p[m])".replace("G", "gamma"), ""),
    # temperature: right only at T = 1, and factors of T
    ("tempered", "a[j]", "p[j] - y[j]", "divided by T"),
    ("tempered", "a[j]", "(p[j] - y[j])/T**2", "times T"),
    ("distilled", "a[j]", "T**2*(p[j] - q[j])", "divided by T"),
    ("distilled", "a[j]", "p[j] - q[j]", "times T"),
    ("margin", "a[j]", "exp(a[j])/sum(exp(a[k]) for k in K) - y[j]", ""),
    ("reverse_kl", "a[j]", "p[j] - q[j]", ""),
    ("reverse_kl", "a[j]", "p[j]*(log(p[j]) - log(q[j]))", ""),
    ("huber", "z", "r if abs(r) <= width else sign(r)", ""),
    ("huber", "z", "r if abs(r) >= width else width*sign(r)", ""),
    ("huber", "z", "r", ""),
    ("huber", "z", "width*sign(r)", ""),
    ("bits", "z", "sigmoid(z)/0.6931", ""),
    ("bits", "z", "sigmoid(z)", ""),
    ("decay", "w[i]", "w[i]", "times rate"),
    ("decay", "w[i]", "2*rate*w[i]", "factor"),
    ("hard", "a[j]", "p[j] - 1", ""),
    ("hard", "a[j]", "p[j]", ""),
    ("info_nce", "U[n, d]", "(sum(P[n,i]*V[i,d] for i in N) - V[n,d])/N", "divided by tau"),
    ("info_nce", "U[n, d]", "(sum(P[i,n]*V[i,d] for i in N) - V[n,d])/(N*tau)", ""),
    ("info_nce", "tau", "-sum((P[i,j]-delta(i,j))*S[i,j] for i in N for j in N)/(N*tau)", ""),
    ("tied_info_nce", "U[n, d]", "(sum(P[n,i]*U[i,d] for i in N) - U[n,d])/(N*tau)", ""),
    ("label_hinge", "a[m]", "0 if m == c else (1 if 1 + a[m] - a[c] > 0 else 0)", ""),
    ("two_layer", "V[r, s]", "x[s]*sum(W[k,r]*(p[k]-y[k]) for k in K)", ""),
    ("two_layer", "V[r, s]", "(1-h[r])*x[s]*sum(W[k,r]*(p[k]-y[k]) for k in K)", ""),
    ("layer_norm", "x[j]", "g[j]*(z[j]-t[j])/sqrt(v+eps)", ""),
    ("layer_norm", "g[j]", "(z[j]-t[j])*(x[j]-mu)/sqrt(v)", ""),
    ("mean_squared_error", "z", "2*(z - y)", "factor"),
    ("mean_squared_error", "z", "y - z", "sign"),
    ("squares", "z[j]", "2*(z[j] - y[j])", "divided by K"),
    ("sigmoid_mse", "z", "p - y", ""),
    ("sigmoid_mse", "z", "(p - y)*p", ""),
    ("softmax_mse", "a[j]", "p[j] - y[j]", ""),
    ("softmax_mse", "a[j]", "(p[j] - y[j])*p[j]*(1 - p[j])", "paths are missing"),
    ("sigmoid_cross_entropy", "z", "p*(1 - p)*(p - y)", ""),
    ("sigmoid_cross_entropy", "z", "1 - y if z > 30 else p - y", ""),
    ("entropy", "z[j]", "-p[j]*log(p[j])", ""),
    ("entropy", "z[j]", "p[j]*(H + log(p[j]))", "sign"),
    ("log_cosh", "z", "sign(z - y)", ""),
    ("absolute", "z", "1", ""),
    ("two", "z", "sigmoid(z) - t", ""),
    ("shifted", "a[j]", "p[j] - y[j] - delta(j, j)/K", ""),
    ("products", "a[j]", "2*a[j]*L", ""),
    ("power_tower", "x", "y*(1+x**2)**(y-1)", ""),
]

# (loss, entry, right claim)
RIGHT = [
    (CE, "a[j]", "-(y[j] - p[j])"),
    (CE, "a[k]", "p[k] - y[k]"),
    (CE, "a[i]", "sum(y[k]*(p[i] - delta(k, i)) for k in K)"),
    (CE, "a[j]", "1 - sum(p[k] for k in K if k != j) - y[j]"),
    (CE, "a[j]", "exp(a[j] - log(sum(exp(a[k]) for k in K))) - y[j]*sum(y[i] for i in K)"),
    (CE, "a[j]", "1/sum(exp(a[k] - a[j]) for k in K) - y[j]"),
    (CE, "a[j]", "(p[j]**2 - y[j]**2)/(p[j] + y[j])"),
    (CE, "a[j]", "sqrt(p[j]**4)/p[j] - y[j]"),
    (CE, "a[j]", "-y[j]*(1 - p[j]) + sum(y[k]*p[j] for k in K if k != j)"),
    (CE, "y[j]", "log(sum(exp(a[k]) for k in K)) - a[j]"),
    (CE, "p[j]", "-y[j]/p[j]"),
    (CE, "a[i],a[j]", "p[j]*delta(j, i) - p[i]*p[j]"),
    (CE, "a[i],a[j]", "p[i]*(1 - p[i]) if i == j else -p[i]*p[j]"),
    (CE, "a[m],a[n]", "delta(m,n)*p[m] - sum(delta(m,k)*p[k] for k in K)*p[n]"),
    (LINEAR, "W[u, v]", "x[v]*p[u] - y[u]*x[v]"),
    (LINEAR, "W[k, i]", "sum((p[m] - y[m])*delta(m, k) for m in K)*x[i]"),
    (LINEAR, "W[r,s],W[q,u]", "(delta(r,q)*p[r] - p[r]*p[q])*x[s]*x[u]"),
    (LINEAR, "W[i,j],W[k,l]", "(delta(i,k)*p[i] - p[i]*p[k])*x[j]*x[l]"),
    ("free_cross_entropy", "a[j]", "sum(y[i]*(p[j] - delta(i, j)) for i in K)"),
    ("sigmoid_cross_entropy", "z", "(1 - y)*sigmoid(z) - y*sigmoid(-z)"),
    ("sigmoid_cross_entropy", "z", "1 - y - 1/(1 + exp(z))"),
    ("sigmoid_cross_entropy", "z,z", "sigmoid(z)*sigmoid(-z)"),
    ("sigmoid_cross_entropy", "z,z", "1/(2 + exp(z) + exp(-z))"),
    ("sigmoid_mse", "z", "(p - y)*exp(-z)/(1 + exp(-z))**2"),
    ("softmax_mse", "a[j]", "sum((p[i] - y[i])*p[i]*(delta(i, j) - p[j]) for i in K)"),
    ("smoothed", "a[j]", "sum(((1-eps)*y[i] + eps/K)*(p[j] - delta(i, j)) for i in K)"),
    ("dense_focal", "a[m]", f"{FOCAL} - p[m]*{FOCAL_ALL}".replace("G", "gamma")),
    ("huber", "z", "width*sign(r) if abs(r) > width else r"),
    ("kl_divergence", "z[j]", "p[j] - q[j]"),
    ("reverse_kl", "a[m]", "p[m]*(log(p[m]/q[m]) - KL)"),
    ("entropy", "z[m]", "-p[m]*log(p[m]) - p[m]*H"),
    ("shifted", "a[j]", "exp(a[j])/sum(exp(a[k]) for k in K) - y[j]"),
    ("likelihood", "a[j]", "p[j] - y[j]"),
    ("weighted_labels", "A[n, m]", "w[c[n]]*(P[n,m] - delta(m,c[n]))/sum(w[c[i]] for i in N)"),
    ("tempered", "a[j]", "(p[j] - y[j])/T"),
    ("bits", "z", "sigmoid(z)/log(2)"),
    ("squares", "z[j]", "(z[j] - y[j])/K - (y[j] - z[j])/K"),
    ("batch", "A[n, j]", "(P[n, j] - Y[n, j])/N"),
    ("absolute", "z", "sign(z - y)"),
]


def numbers(text: str) -> tuple[dict[str, list[str]], list[tuple[str, list[str]]]]:
    """The entries in a text such as "W[u, v],W[r, s]": names with their letters."""
    found = re.findall(r"(\w+)(?:\[([^\]]*)\])?", text)
    return {}, [(name, [s.strip() for s in inside.split(",") if s]) for name, inside in found]


def assert_counterexample_holds(text: str, wrt: str, claim: str, verdict: Verdict) -> None:
    """The claim and the truth at the counterexample, by mpmath and central differences."""
    found = verdict.counterexample
    assert found is not None
    assert not found.claimed.overlaps(found.true)
    _, entries = numbers(wrt)
    variables = [
        (name, tuple(found.indices[letter] for letter in letters)) for name, letters in entries
    ]
    with mpmath.workdps(DIGITS):
        values = found.point.values
        truth = slope(text, found.sizes, values, "", variables)
        said = claimed(text, found.sizes, values, claim, found.indices)
        assert near(found.true, truth, mpf(10) ** -16), (truth, found)
        assert near(found.claimed, said, mpf(10) ** -25), (said, found)


def near(ball: arb, value: mpf, relative: mpf) -> bool:
    middle = mpf(ball.str(40, radius=False))
    return bool(abs(middle - value) <= relative * (1 + abs(value)))


COX = """z: input[N]
T: target[N]
e: target[N] in binary
L = -sum(e[i]*(z[i] - log(sum(exp(z[j]) for j in N if T[j] >= T[i]))) for i in N)
"""
COX_CLAIM = (
    "-e[k] + sum(e[i]*exp(z[k])/sum(exp(z[j]) for j in N if T[j] >= T[i])"
    " for i in N if T[k] {} T[i])"
)
PAIRS = "x: input[K]\nL = sum(sum(relu(x[i] - x[j]) for j in K) for i in K)\n"
PAIRS_CLAIM = "sum((1 if x[k] {} x[j] else 0) - (1 if x[j] {} x[k] else 0) for j in K)"
BINARY_TARGET = "x: input\ny: target in binary\nL = x*(1 if y > 0 else 0)\n"


@pytest.mark.parametrize(("name", "wrt", "claim", "hint"), WRONG)
def test_wrong_claim_is_refuted(name: str, wrt: str, claim: str, hint: str) -> None:
    loss = load(name)
    verdict = check(loss, wrt, claim)
    assert verdict.status == "refuted", verdict
    assert not verdict
    assert hint in verdict.hint
    assert_counterexample_holds(loss.text, wrt, claim, verdict)


@pytest.mark.parametrize(("name", "wrt", "claim"), RIGHT)
def test_right_claim_is_proved(name: str, wrt: str, claim: str) -> None:
    verdict = check(load(name), wrt, claim)
    assert verdict.status == "proved", verdict
    assert verdict and verdict.counterexample is None and not verdict.hint


def test_proof_names_the_hypotheses_that_it_needs() -> None:
    assert check(get(CE), "a[j]", "p[j] - y[j]").hypotheses == ("y in simplex",)
    assert check(get(CE), "a[j]", "p[j]*sum(y[i] for i in K) - y[j]").hypotheses == ()


def test_counterexample_is_small() -> None:
    found = check(get(CE), "a[j]", "y[j] - p[j]").counterexample
    assert found is not None and found.sizes == {"K": 2}
    rows = found.point.values.values()
    assert all(value.denominator < 10 for row in rows for value in row.values())


@pytest.mark.parametrize(
    ("name", "wrt", "claim", "const", "default"),
    [
        ("dense_focal", "a[m]", f"{FOCAL} - p[m]*{FOCAL_ALL}".replace("G", "2"), "gamma", 2),
        ("huber", "z", "r if abs(r) <= width else sign(r)", "width", 1),
        ("tempered", "a[j]", "p[j] - y[j]", "T", 1),
        ("two", "z", "sigmoid(z) - t", "g", 1),
        ("decay", "w[i]", "w[i]", "rate", 1),
    ],
)
def test_claims_right_only_at_the_default_are_refuted_elsewhere(
    name: str, wrt: str, claim: str, const: str, default: int
) -> None:
    found = check(load(name), wrt, claim).counterexample
    assert found is not None
    assert found.point.values[const][()] != default


def test_claim_right_only_for_two_classes_is_refuted_with_three() -> None:
    verdict = check(get(CE), "a[i],a[j]", "p[i]*(1 - p[i])*(2*delta(i, j) - 1)")
    assert verdict.counterexample is not None and verdict.counterexample.sizes["K"] > 2


def test_claim_right_only_for_one_hot_targets_is_refuted_by_another() -> None:
    claim = "p[j] - y[j] if y[j] >= max(y[k] for k in K) else p[j]"
    found = check(get(CE), "a[j]", claim).counterexample
    assert found is not None and 1 not in found.point.values["y"].values()


def test_batch_claims() -> None:
    loss = batched(get(LINEAR))
    right = "sum((p[n, u] - y[n, u])*x[n, v] for n in N)/N"
    assert check(loss, "W[u, v]", right).status == "proved"
    verdict = check(loss, "W[u, v]", right.removesuffix("/N"))
    assert verdict.status == "refuted" and "divided by N" in verdict.hint


# -- values ---------------------------------------------------------------------------------

KL = f"""a: input[K]
y: target[K] in simplex

{SOFTMAX}CE = -sum(y[i]*log(p[i]) for i in K)
H = -sum(y[i]*log(y[i]) for i in K)
KL = sum(y[i]*log(y[i]/p[i]) for i in K)
"""

TOP = "max(a[k] for k in K)"
VALUES = [
    (KL, "KL", "CE - H", "proved"),
    (KL, "KL", "CE + H", "refuted"),
    (KL, "CE", "log(sum(exp(a[k]) for k in K)) - sum(y[i]*a[i] for i in K)", "proved"),
    (KL, "CE", "log(sum(exp(a[k]) for k in K)) - sum(a[i] for i in K)", "refuted"),
    (KL, "CE", "-log(prod(p[i]**y[i] for i in K))", "proved"),
    (KL, "p[i]", f"exp(a[i] - {TOP})/sum(exp(a[j] - {TOP}) for j in K)", "proved"),
    (KL, "p[i]", "exp(a[i] - 3)/sum(exp(a[j] - 3) for j in K)", "proved"),
    (KL, "p[i]", "exp(a[i] - 3)/sum(exp(a[j] - 2) for j in K)", "refuted"),
    ("x: input\ny: input\nL = (x + y)**3\n", "L", "x**3 + 3*x*y*(x + y) + y**3", "proved"),
    ("x: input\ny: input\nL = (x + y)**3\n", "L", "x**3 + 3*x*y*(x - y) + y**3", "refuted"),
    ("x: input\nL = abs(x)\n", "L", "sqrt(x**2)", "proved"),
    ("x: input\nL = abs(x)\n", "L", "x", "refuted"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "claim", "status"), VALUES)
def test_claimed_value(text: str, name: str, claim: str, status: str) -> None:
    assert check_value(parse(text), name, claim).status == status


ROOTS = [
    ("L = sqrt(x**2 + x**2*y**2)", "x*sqrt(1 + y**2)"),
    ("L = (x**2 + x**2*g)**g", "x**(2*g)*(1 + g)**g"),
    ("L = (x**2 + x**2*y**4)**(3/2)", "x**3*(1 + y**4)**(3/2)"),
    ("L = (x**4 + x**4*y**4)**(1/4)", "x*(1 + y**4)**(1/4)"),
]
OTHER_ROOTS = [
    ("L = ((x + y)**2*exp(y))**(1/2)", "(x + y)*exp(y/2)"),
    ("L = exp(log(x**2*(1 + y**2))/2)", "x*sqrt(1 + y**2)"),
    ("L = (x**2)**g", "x**(2*g)"),
]


def refuted_root(body: str, claim: str) -> None:
    """False for x < 0, where both sides are defined."""
    loss = parse(f"x: input\ny: input\ng: const > 0 = 2\n{body}\n")
    assert check_value(loss, "L", claim).status == "refuted"


@pytest.mark.parametrize(("body", "claim"), OTHER_ROOTS)
def test_a_root_of_a_square_is_not_the_base(body: str, claim: str) -> None:
    refuted_root(body, claim)


@pytest.mark.parametrize(("body", "claim"), ROOTS)
def test_a_factor_taken_out_of_a_root_keeps_its_absolute_value(body: str, claim: str) -> None:
    refuted_root(body, claim)


def at_kink(body: str, claim: str) -> None:
    """HARD_CASES: at a kink, accept any value of the Clarke interval."""
    assert check(parse(f"x: input\ny: input\n{body}\n"), "x", claim).status != "refuted"


@pytest.mark.parametrize(
    ("body", "claim"),
    [
        ("L = abs(x)", "sign(x)"),
        ("L = abs(x)", "1 if x >= 0 else -1"),
        ("L = abs(x)", "x/abs(x)"),
        ("L = relu(x)", "1 if x > 0 else 0"),
        ("L = max(x, 0)", "1 if x > 0 else 0"),
        ("L = max(x, 0)", "1 if x >= 0 else 0"),
    ],
)
def test_a_subgradient_is_not_refuted(body: str, claim: str) -> None:
    at_kink(body, claim)


@pytest.mark.parametrize(
    ("body", "claim"),
    [
        ("L = abs(x)", "1 if x > 0 else -1"),
        ("L = relu(x)", "1 if x >= 0 else 0"),
        ("L = max(x, y)", "1 if x > y else 0"),
        ("L = max(x, y)", "1 if x >= y else 0"),
    ],
)
def test_another_subgradient_is_not_refuted(body: str, claim: str) -> None:
    at_kink(body, claim)


def test_a_counterexample_does_not_lie_on_a_kink() -> None:
    """At z = y the claim gives 0, which is a subgradient of |z - y|: it refutes nothing."""
    loss = load("absolute")
    verdict = check(loss, "z", "sign(y - z)")
    assert verdict.status == "refuted"
    assert_counterexample_holds(loss.text, "z", "sign(y - z)", verdict)


def test_relu_is_the_larger_of_it_and_zero() -> None:
    assert check_value(parse("x: input\nL = relu(x)\n"), "L", "max(x, 0)")


def test_a_counterexample_about_a_temperature_is_small() -> None:
    claim = "(sum(P[n,i]*V[i,d] for i in N) - V[n,d])/N"
    found = check(get("info_nce"), "U[n, d]", claim).counterexample
    assert found is not None and max(found.sizes.values()) <= 3


MEAN = [CE, "--reduction", "mean", "--wrt", "a[n,j]"]

# -- exit codes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ([CE, "--wrt", "a[j]", "--claim", "p[j] - y[j]"], 0, "proved"),
        ([CE, "--wrt", "a[j]", "--claim", "-y[j] + p[j]"], 0, "proved"),
        ([CE, "--wrt=a[j]", "--claim=y[j] - p[j]"], 1, "refuted"),
        ([LINEAR, "--wrt", "W[u,v]", "--claim", "(p[u]-y[u])*x[v]"], 0, "proved"),
        ([LINEAR, "--wrt", "W[u,v]", "--claim", "-y[u]*(1-p[u])*x[v]"], 1, "refuted"),
        (["entropy", "--value", "H", "--claim", "-sum(p[i]*log(p[i]) for i in K)"], 0, "proved"),
        (["entropy", "--value", "p[i]", "--claim", "exp(z[i])"], 1, "refuted"),
        ([*MEAN, "--claim", "(p[n,j] - y[n,j])/N"], 0, "proved"),
        ([*MEAN, "--claim", "p[n,j] - y[n,j]"], 1, "refuted"),
        ([CE, "--wrt", "a[j]", "--claim", "p[j] - q[j]"], 2, ""),
    ],
)
def test_exit_code(
    arguments: list[str], code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *arguments]) == code
    out, err = capsys.readouterr()
    assert out.startswith(word) and bool(err) == (code == 2)


def test_exit_code_of_the_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal everywhere, but beyond the normal form: neither proved nor refuted."""
    path = tmp_path / "gamma.loss"
    path.write_text("z: input > 0\n\nL = lgamma(2*z)\n")
    doubled = "lgamma(z) + lgamma(z + 1/2) + (2*z - 1)*log(2) - log(pi)/2"
    assert main(["check", str(path), "--value", "L", "--claim", doubled]) == 3
    assert capsys.readouterr().out.startswith("unknown")
    assert derive.check_value(derive.load(str(path)), "L", doubled).tried > 10


def test_printed_numbers_are_those_of_the_counterexample(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The tutorial's single path: the claim gives -y (1 - p) x, the truth (p - y) x."""
    claim = "-y[u]*(1 - p[u])*x[v]"
    assert main(["check", LINEAR, "--wrt", "W[u,v]", "--claim", claim]) == 1
    out = capsys.readouterr().out
    found = check(get(LINEAR), "W[u, v]", claim).counterexample
    assert found is not None
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()[1:]}
    assert near(found.claimed, mpf(lines["claim"]), mpf(10) ** -4)
    assert near(found.true, mpf(lines["truth"]), mpf(10) ** -4)
    assert "indices count from 0" in lines["at"]
    assert "(p[u] - y[u])" in lines["it"]


@pytest.mark.parametrize(
    ("text", "wrt", "claim", "status"),
    [
        # ">" and ">=" differ where an index meets itself, and on a target: not on a null set.
        (COX, "z[k]", COX_CLAIM.format(">="), "proved"),
        (COX, "z[k]", COX_CLAIM.format(">"), "refuted"),
        (PAIRS, "x[k]", PAIRS_CLAIM.format(">", ">"), "proved"),
        (PAIRS, "x[k]", PAIRS_CLAIM.format(">=", ">="), "proved"),
        (PAIRS, "x[k]", PAIRS_CLAIM.format(">=", ">"), "refuted"),
        (BINARY_TARGET, "x", "1 if y > 0 else 0", "proved"),
        (BINARY_TARGET, "x", "1 if y >= 0 else 0", "refuted"),
    ],
)
def test_a_kink_is_one_only_along_the_variable(
    text: str, wrt: str, claim: str, status: str
) -> None:
    assert check(parse(text), wrt, claim).status == status


@pytest.mark.parametrize(
    ("name", "wrt", "claim"),
    [
        ("softmax_cross_entropy", "a[j]", "y[j] - p[j]"),
        ("l_softmax_2", "c[i],c[j]", "s**2*p[j]*(delta(i, j) - p[i])"),
        ("l_softmax_4", "c[i],c[j]", "s**2*p[j]*(delta(i, j) - p[i])*(4*c[t])**2"),
        ("arcface", "c[i],c[j]", "s**2*p[i]*p[j]"),
        ("jensen_shannon", "z[i],z[j]", "b*p[i]*(delta(i, j) - p[j])"),
    ],
)
def test_a_plainly_wrong_claim_asks_for_no_normal_form(
    monkeypatch: pytest.MonkeyPatch, name: str, wrt: str, claim: str
) -> None:
    """Numbers are tried first: a long form may take a minute."""

    def never(*_: object) -> None:
        raise AssertionError("a proof was tried")

    monkeypatch.setattr("derive.prove._proof", never)
    assert check(load(name), wrt, claim).status == "refuted"
