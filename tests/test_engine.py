"""The engine gives the known results, exactly; every step is checked and can be replayed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import permutations

import pytest
from extra_losses import SOFTMAX, every_loss, extra, get
from hypothesis import given, settings
from hypothesis import strategies as st
from points import assert_same_value
from sympy import Expr

import derive
from derive import Derivation, ReplayError, Step, gradient, hessian, parse, parse_entry
from derive.batch import batched
from derive.errors import DerivationError
from derive.evaluate import Point, evaluate
from derive.index import Index, Partial
from derive.labels import with_labels
from derive.rewrite import in_cases
from derive.rules import fold
from derive.rules.registry import REGISTRY


def expected(derivation: Derivation, text: str) -> Expr:
    """A result as a text, its free letters those of the derivation's variables."""
    entries = (derivation.of, *derivation.wrt)
    free = {i.name: i for entry in entries for i in entry.indices if isinstance(i, Index)}
    return derive.parse_expression(derivation.loss, text, free)


def flat(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from flat(step.substeps)


# -- the results of the issue, for symbolic sizes -------------------------------------------

FIRST = [
    ("softmax_cross_entropy", "a[j]", "p[j] - y[j]", ("y in simplex",)),
    ("softmax_cross_entropy", "a[k]", "p[k] - y[k]", ("y in simplex",)),
    ("softmax_cross_entropy", "p[j]", "-y[j]/p[j]", ()),
    ("softmax_cross_entropy", "y[j]", "-log(p[j])", ()),
    ("free_cross_entropy", "a[m]", "p[m]*sum(y[i] for i in K) - y[m]", ()),
    ("free_cross_entropy", "a[i]", "p[i]*sum(y[k] for k in K) - y[i]", ()),
    ("free_cross_entropy", "y[m]", "-log(p[m])", ()),
    ("linear_softmax_cross_entropy", "W[r, s]", "(p[r] - y[r])*x[s]", ("y in simplex",)),
    ("linear_softmax_cross_entropy", "W[k, j]", "(p[k] - y[k])*x[j]", ("y in simplex",)),
    ("linear_softmax_cross_entropy", "b[r]", "p[r] - y[r]", ("y in simplex",)),
    ("linear_softmax_cross_entropy", "x[s]", "sum(W[k, s]*(p[k] - y[k]) for k in K)", None),
    ("linear_softmax_cross_entropy", "a[i]", "p[i] - y[i]", ("y in simplex",)),
    ("linear_sigmoid_cross_entropy", "w[j]", "(p - y)*x[j]", ()),
    ("linear_sigmoid_cross_entropy", "b", "p - y", ()),
    ("sigmoid_cross_entropy", "z", "p - y", ()),
    ("mean_squared_error", "z", "z - y", ()),
    ("sigmoid_mse", "z", "(p - y)*p*(1 - p)", ()),
    ("cross_entropy", "p[j]", "-y[j]/p[j]", ()),
    ("kl_divergence", "z[j]", "p[j] - q[j]", ("q in simplex",)),
    ("entropy", "z[j]", "-p[j]*(H + log(p[j]))", ()),
    # HARD_CASES 7: BCE in three forms
    ("softplus_bce", "z", "sigmoid(z) - t", ()),
    # 10: the shift by the maximum, and the likelihood form
    ("shifted", "a[j]", "p[j] - y[j]", ("y in simplex",)),
    ("likelihood", "a[j]", "p[j] - y[j]", ("y in simplex",)),
    ("log_sum_exp", "a[k]", "p[k]", ()),
    ("distilled", "a[j]", "T*(p[j] - q[j])", ()),
]


@pytest.mark.parametrize(("name", "wrt", "text", "hypotheses"), FIRST)
def test_first_derivative(
    name: str, wrt: str, text: str, hypotheses: tuple[str, ...] | None
) -> None:
    loss = get(name)
    derivation = gradient(loss, parse_entry(loss, wrt))
    assert derivation.result == expected(derivation, text)
    if hypotheses is not None:
        assert derivation.hypotheses == hypotheses


def test_formula_is_written_as_on_paper() -> None:
    assert gradient(get("softmax_cross_entropy"), "a").formula == "p[j] - y[j]"
    free = gradient(get("free_cross_entropy"), "a")
    assert free.formula == "p[j]*sum(y[i] for i in K) - y[j]"


BATCH = [
    ("linear_softmax_cross_entropy", "W[r, s]", "sum((p[n, r] - y[n, r])*x[n, s] for n in N)/N"),
    ("linear_softmax_cross_entropy", "b[r]", "sum(p[n, r] - y[n, r] for n in N)/N"),
    ("linear_softmax_cross_entropy", "a[m, r]", "(p[m, r] - y[m, r])/N"),
    ("linear_softmax_cross_entropy", "x[m, s]", "sum(W[k, s]*(p[m,k]-y[m,k]) for k in K)/N"),
    ("sigmoid_cross_entropy", "z[n]", "(p[n] - y[n])/N"),
]


@pytest.mark.parametrize(("name", "wrt", "text"), BATCH)
def test_batch_mean_and_sum(name: str, wrt: str, text: str) -> None:
    for reduction, right in (("mean", text), ("sum", text.removesuffix("/N"))):
        loss = batched(get(name), reduction)
        derivation = gradient(loss, parse_entry(loss, wrt))
        assert derivation.result == expected(derivation, right)
        wrong = text if reduction == "sum" else text.removesuffix("/N")
        assert derivation.result != expected(derivation, wrong)


SECOND = [
    ("softmax_cross_entropy", "a[i]", "a[j]", "p[i]*(delta(i, j) - p[j])"),
    ("linear_softmax_cross_entropy", "W[r, s]", "W[q, u]", "p[r]*(delta(r,q)-p[q])*x[s]*x[u]"),
    ("linear_softmax_cross_entropy", "W[i, j]", "W[k, l]", "p[i]*(delta(i,k)-p[k])*x[j]*x[l]"),
    ("linear_softmax_cross_entropy", "W[k, j]", "b[i]", "p[k]*(delta(i,k)-p[i])*x[j]"),
    ("sigmoid_cross_entropy", "z", "z", "p*(1 - p)"),
    ("mean_squared_error", "z", "z", "1"),
]


@pytest.mark.parametrize(("name", "first", "second", "text"), SECOND)
def test_second_derivative(name: str, first: str, second: str, text: str) -> None:
    """Exact but for the order of the two indices, p_i (d_ij - p_j) = p_j (d_ij - p_i)."""
    loss = get(name)
    derivation = hessian(loss, parse_entry(loss, first), parse_entry(loss, second))
    right = expected(derivation, text)
    assert fold.shallow(derivation.loss).equal(derivation.result, right)
    assert len(derivation.formula) <= len(text.replace(" ", "")) + 12
    assert derivation.hypotheses == (("y in simplex",) if "softmax" in name else ())
    derivation.replay()


def test_second_derivative_as_on_paper() -> None:
    derivation = hessian(get("softmax_cross_entropy"), "a")
    assert derivation.formula == "p[i]*(delta(i, j) - p[j])"
    free = hessian(get("free_cross_entropy"), "a")
    assert fold.shallow(free.loss).equal(
        free.result, expected(free, "p[i]*(delta(i, j) - p[j])*sum(y[k] for k in K)")
    )


def test_jacobian_of_softmax_in_both_forms() -> None:
    derivation = gradient(get("softmax_cross_entropy"), "a", "p")
    assert derivation.formula == "p[i]*(delta(i, j) - p[j])"
    cases = in_cases(derivation)
    assert cases.formula == "p[i]*(1 - p[i]) if i == j else -p[i]*p[j]"
    cases.replay()
    assert cases.steps[-1].check != "unknown"


def test_third_derivative_of_log_sum_exp() -> None:
    """HARD_CASES 4, as the derivative of the Hessian."""
    loss = parse(
        f"a: input[K]\n\n{SOFTMAX}"
        "H[m, n] = p[m]*(delta(m, n) - p[n])\nL = sum(H[i, i] for i in K)\n"
    )
    derivation = gradient(loss, parse_entry(loss, "a[l]"), parse_entry(loss, "H[m, n]"))
    known = expected(
        derivation,
        "delta(m,n)*delta(m,l)*p[m] - delta(m,n)*p[m]*p[l] - delta(m,l)*p[m]*p[n]"
        " - delta(n,l)*p[m]*p[n] + 2*p[m]*p[n]*p[l]",
    )
    assert fold.unfolded(loss).equal(derivation.result, known)
    assert_same_value(loss, derivation.result, known, seed=3)


SAME_LETTER = ["i", "k", "j", "m", "n", "zeta", "t1"]


@pytest.mark.parametrize("letter", SAME_LETTER)
def test_letters_of_bound_indices_are_not_captured(letter: str) -> None:
    """HARD_CASES 1: the variable's letter is that of a bound index, or any other."""
    loss = get("linear_softmax_cross_entropy")
    derivation = gradient(loss, parse_entry(loss, f"a[{letter}]"))
    assert derivation.formula == f"p[{letter}] - y[{letter}]"
    derivation = gradient(loss, parse_entry(loss, f"b[{letter}]"))
    assert derivation.formula == f"p[{letter}] - y[{letter}]"


CLAIMS = [
    # 5: focal with a symbolic gamma
    (
        "dense_focal",
        "a[m]",
        "g - p[m]*s",
        {
            "g": "y[m]*(gamma*(1-p[m])**(gamma-1)*p[m]*log(p[m]) - (1-p[m])**gamma)",
            "s": "sum(y[i]*(gamma*(1-p[i])**(gamma-1)*p[i]*log(p[i])"
            " - (1-p[i])**gamma) for i in K)",
        },
    ),
    # 8: labels as indices
    ("weighted_labels", "A[n, m]", "w[c[n]]*(P[n,m] - delta(m, c[n]))/sum(w[c[i]] for i in N)", {}),
    (
        "label_hinge",
        "a[m]",
        "(0 if m == c else H) - delta(m, c)*sum(J for i in K if i != c)",
        {"H": "(1 if 1+a[m]-a[c] > 0 else 0)", "J": "(1 if 1+a[i]-a[c] > 0 else 0)"},
    ),
    # 9: batch-coupled
    ("info_nce", "U[n, d]", "sum((P[n,i] - delta(n,i))*V[i,d] for i in N)/(N*tau)", {}),
    ("info_nce", "V[n, d]", "sum((P[i,n] - delta(n,i))*U[i,d] for i in N)/(N*tau)", {}),
    ("info_nce", "tau", "-sum((P[i,j]-delta(i,j))*S[i,j] for i in N for j in N)/(N*tau**2)", {}),
    (
        "tied_info_nce",
        "U[n, d]",
        "sum((P[n,i] + P[i,n] - 2*delta(n,i))*U[i,d] for i in N)/(N*tau)",
        {},
    ),
    # Others, worked out by hand
    ("two_layer", "W[r, s]", "(p[r] - y[r])*h[s]", {}),
    ("two_layer", "V[r, s]", "(1-h[r]**2)*x[s]*sum(W[k,r]*(p[k]-y[k]) for k in K)", {}),
    (
        "two_layer",
        "x[s]",
        "sum(V[i,s]*(1-h[i]**2)*sum(W[k,i]*(p[k]-y[k]) for k in K) for i in H)",
        {},
    ),
    ("log_cosh", "z", "sinh(z - y)/cosh(z - y)", {}),
    ("smoothed", "a[j]", "p[j] - (1 - eps)*y[j] - eps/K", {}),
    ("smoothed", "eps", "sum((y[i] - 1/K)*log(p[i]) for i in K)", {}),
    ("layer_norm", "g[j]", "(z[j] - t[j])*(x[j] - mu)/sqrt(v + eps)", {}),
    (
        "layer_norm",
        "x[j]",
        "(r - sum(R for i in D)/D - u*sum(R*(x[i]-mu) for i in D)/(D*(v+eps)))/sqrt(v+eps)",
        {"r": "g[j]*(z[j]-t[j])", "R": "g[i]*(z[i]-t[i])", "u": "(x[j]-mu)"},
    ),
    ("products", "a[j]", "2*a[j]*L/(1 + a[j]**2)", {}),
    ("power_tower", "x", "2*x*y*(1+x**2)**(y-1)", {}),
    ("power_tower", "y", "L*log(1+x**2)", {}),
]


@pytest.mark.parametrize(("name", "wrt", "claim", "parts"), CLAIMS)
def test_known_gradients_are_what_the_engine_gives(
    name: str, wrt: str, claim: str, parts: dict[str, str]
) -> None:
    """Proved by the normal form, and equal in balls to the engine's own result."""
    words = re.sub(r"\w+", lambda found: parts.get(found[0], found[0]), claim)
    verdict = derive.check(get(name), wrt, words)
    assert verdict.status == "proved", verdict
    loss = get(name)
    derivation = gradient(loss, parse_entry(loss, wrt))
    for seed in (0, 1):
        assert_same_value(loss, derivation.result, expected(derivation, words), seed)


def test_the_fold_of_kl_into_its_own_name() -> None:
    loss = parse(
        f"a: input[K]\nq: target[K] in simplex\n\n{SOFTMAX}"
        "KL = sum(p[i]*log(p[i]/q[i]) for i in K)\n"
    )
    derivation = gradient(loss, "a")
    assert {t.name for t in derivation.result.atoms(type(loss.tensor("p")))} == {"p", "q", "KL"}
    assert derive.check(loss, "a[m]", "p[m]*(log(p[m]) - log(q[m]) - KL)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "-log(w + (r/(r + exp(z)))**r) if y == 0 else r*log(r + exp(z))",
            "(r*(r/(r + exp(z)))**r/(w + (r/(r + exp(z)))**r) if y == 0 else r)*exp(z)"
            "/(r + exp(z))",
        ),
        (
            "min(exp(z)*w, max(1 - r, min(1 + r, exp(z)))*w)",
            "(0 if exp(z) > 1 + r else w*exp(z))",
        ),
    ],
    ids=["a base that is its own exponent", "a clipped ratio"],
)
def test_choices_keep_every_factor(text: str, expected: str) -> None:
    """What two branches share is taken out, and nothing else."""
    head = "z: input\nw: input > 0\nr: const > 0 = 1/5\ny: target in binary\n"
    loss = derive.parse(f"{head}L = {text}\n")
    derive.gradient(loss, "z").replay()
    assert derive.check(loss, "z", expected).status == "proved"


def test_no_path_gives_zero() -> None:
    loss = parse("x: input\nz: input\nu = x**2\nv = z**2\nL = v\n")
    assert gradient(loss, "x").result == 0
    assert gradient(loss, "u").result == 0
    assert gradient(extra("constant_in_x"), "x").result == 0


# -- the same from every form of the text ---------------------------------------------------

LETTERS = st.permutations(["i", "j", "k", "m", "n", "q", "alpha"])
NAMES = st.permutations(["a", "p", "y", "S", "E", "beta", "gamma", "L", "W", "x", "I", "lambda_"])


@st.composite
def softmax_texts(draw: st.DrawFn) -> tuple[str, str, str]:
    """(text, variable, result) of cross-entropy over a linear layer, in one of many forms."""
    i, j, k, r, s, t, u = draw(LETTERS)
    a, p, y, big, w, x, *_ = draw(NAMES)

    def shuffled(parts: Sequence[str], by: str) -> str:
        return by.join(draw(st.permutations(parts)))

    layer = shuffled([f"{w}[{i}, {j}]", f"{x}[{j}]"], "*")
    logits = shuffled([f"sum({layer} for {j} in D)", f"bias[{i}]"], " + ")
    top, below = f"exp({a}[{i}])", f"sum(exp({a}[{k}]) for {k} in K)"
    softmax = draw(
        st.sampled_from(
            [
                f"{top}/{below}",
                f"{below}**-1*{top}",
                f"1/sum(exp({a}[{k}] - {a}[{i}]) for {k} in K)",
                f"exp({a}[{i}] - log({below}))",
            ]
        )
    )
    term = shuffled([f"{y}[{t}]", f"log({p}[{t}])"], "*")
    value = draw(
        st.sampled_from(
            [
                f"-sum({term} for {t} in K)",
                f"sum(-{term} for {t} in K)",
                f"sum(log(1/{p}[{t}])*{y}[{t}] for {t} in K)",
                f"-2*sum({term}/2 for {t} in K)",
            ]
        )
    )
    lines = [
        *draw(
            st.permutations(
                [
                    f"{x}: input[D]",
                    f"{w}: param[K, D]",
                    "bias: param[K]",
                    f"{y}: target[K] in simplex",
                ]
            )
        ),
        f"{a}[{i}] = {logits}",
        f"{p}[{i}] = {softmax}",
        f"{big} = {value}",
    ]
    variable, result = draw(
        st.sampled_from(
            [
                (f"{w}[{r}, {s}]", f"({p}[{r}] - {y}[{r}])*{x}[{s}]"),
                (f"{w}[{i}, {k}]", f"({p}[{i}] - {y}[{i}])*{x}[{k}]"),
                (f"bias[{k}]", f"{p}[{k}] - {y}[{k}]"),
                (f"{a}[{u}]", f"{p}[{u}] - {y}[{u}]"),
                (f"{x}[{i}]", f"sum({w}[{k}, {i}]*({p}[{k}] - {y}[{k}]) for {k} in K)"),
            ]
        )
    )
    return "\n".join(lines) + "\n", variable, result


@given(softmax_texts())
@settings(max_examples=25)
def test_every_form_of_the_text_gives_one_gradient(case: tuple[str, str, str]) -> None:
    text, wrt, result = case
    loss = parse(text)
    derivation = gradient(loss, parse_entry(loss, wrt))
    assert derivation.result == expected(derivation, result), text
    assert len(derivation.hypotheses) == 1
    derivation.replay()


BCE = [
    "p = sigmoid(z)\nL = -(t*log(p) + (1 - t)*log(1 - p))\n",
    "p = 1/(1 + exp(-z))\nL = -t*log(p) - log(1 - p)*(1 - t)\n",
    "p = exp(z)/(1 + exp(z))\nL = (t - 1)*log(1 - p) - log(p)*t\n",
    "p = exp(z)/(exp(z) + exp(0))\nL = -log(p)*t - log(1 - p) + t*log(1 - p)\n",
    "L = softplus(z) - t*z\n",
    "L = log(1 + exp(-z)) + (1 - t)*z\n",
    "L = t*softplus(-z) + (1 - t)*softplus(z)\n",
]


@pytest.mark.parametrize("body", BCE)
def test_binary_cross_entropy_in_every_form(body: str) -> None:
    loss = parse("z: input\nt: target in unit\n\n" + body)
    derivation = gradient(loss, "z")
    form = fold.unfolded(derivation.loss)
    assert form.equal(derivation.result, expected(derivation, "sigmoid(z) - t"))
    assert not form.equal(derivation.result, expected(derivation, "sigmoid(z) + t"))
    if "softplus" not in body:
        assert derivation.result == expected(derivation, "p - t")


# -- steps ----------------------------------------------------------------------------------


@cache
def derivation_of(name: str, wrt: str) -> Derivation:
    return gradient(get(name), wrt)


@pytest.mark.parametrize(("name", "wrt"), every_loss())
def test_every_step_is_checked_and_can_be_replayed(name: str, wrt: str) -> None:
    derivation = derivation_of(name, wrt)
    derivation.replay()
    steps = list(flat(derivation.all_steps()))
    assert steps
    for step in steps:
        assert step.before != step.after
        assert step.name in REGISTRY and step.rule is REGISTRY[step.name]
        assert step.reason and "\n" not in step.reason
        assert step.check != "unknown", step
    assert derivation.start == Partial(derivation.of, derivation.wrt[0])
    assert derivation.steps[-1].after == derivation.result


@pytest.mark.parametrize(("name", "wrt"), every_loss())
def test_result_is_the_derivative_in_balls(name: str, wrt: str) -> None:
    """Against automatic differentiation of the loss itself."""
    derivation = derivation_of(name, wrt)
    for seed in (0, 2):
        assert_same_value(derivation.loss, derivation.start, derivation.result, seed)


@pytest.mark.parametrize(("name", "wrt"), every_loss())
def test_hypotheses_are_used_last(name: str, wrt: str) -> None:
    """Only the last derivation uses them, and no derivative is left where it does."""
    derivation = derivation_of(name, wrt)
    assert all(not step.hypotheses for lemma in derivation.lemmas for step in lemma.steps)
    names = [bool(step.hypotheses) for step in derivation.steps]
    assert names.count(True) <= 1
    if True in names:
        after = derivation.steps[names.index(True) :]
        assert {step.name for step in after} <= {"use the hypotheses", "fold", "factor", "signs"}


def test_a_hypothesis_about_the_variable_itself_is_not_used() -> None:
    """HARD_CASES 2: dL/dy is -log p, although y is in the simplex."""
    loss = get("softmax_cross_entropy")
    assert gradient(loss, "y").result == expected(gradient(loss, "y"), "-log(p[j])")
    quadratic = parse("y: input[K] in simplex\nL = sum(y[i] for i in K)**2\n")
    derivation = gradient(quadratic, "y")
    assert derivation.result == 2 and derivation.hypotheses == ("y in simplex",)


# -- tampering ------------------------------------------------------------------------------


def with_step(derivation: Derivation, place: int, step: Step) -> Derivation:
    steps = list(derivation.steps)
    steps[place] = step
    return replace(derivation, steps=tuple(steps))


def changed_after(d: Derivation) -> Derivation:
    return with_step(d, 0, replace(d.steps[0], after=d.steps[0].after + 1))


def changed_last(d: Derivation) -> Derivation:
    last = replace(d.steps[-1], after=-d.steps[-1].after)
    return replace(with_step(d, -1, last), result=-d.result)


def changed_before(d: Derivation) -> Derivation:
    return with_step(d, 1, replace(d.steps[1], before=d.steps[1].before + 1))


def changed_result(d: Derivation) -> Derivation:
    return replace(d, result=2 * d.result)


def swapped(d: Derivation) -> Derivation:
    first, second, *rest = d.steps
    return replace(d, steps=(second, first, *rest))


def dropped(d: Derivation) -> Derivation:
    return replace(d, steps=d.steps[1:])


def dropped_last(d: Derivation) -> Derivation:
    return replace(d, steps=d.steps[:-1])


def doubled(d: Derivation) -> Derivation:
    return replace(d, steps=(d.steps[0], *d.steps))


def changed_start(d: Derivation) -> Derivation:
    return replace(d, start=d.start * 2)


def other_rule(d: Derivation) -> Derivation:
    return with_step(d, 0, replace(d.steps[0], rule=REGISTRY["no path"]))


def missing_path(d: Derivation) -> Derivation:
    step = next(s for s in d.steps if s.name == "chain rule over all paths")
    bindings = tuple((k, () if k == "through" else v) for k, v in step.bindings)
    return with_step(d, d.steps.index(step), replace(step, bindings=bindings))


def changed_inserted_lemma(d: Derivation) -> Derivation:
    step = next(s for s in d.steps if s.name == "insert the lemmas")
    lemmas = tuple((start, 2 * result) for start, result in dict(step.bindings)["lemmas"])
    changed = replace(step, bindings=(("lemmas", lemmas),))
    return with_step(d, d.steps.index(step), changed)


def consistent_wrong_lemma(d: Derivation) -> Derivation:
    """The inserted lemma and all that follows are wrong together: only its proof is missing."""
    place = next(k for k, s in enumerate(d.steps) if s.name == "insert the lemmas")
    step = d.steps[place]
    lemmas = tuple((start, 2 * result) for start, result in dict(step.bindings)["lemmas"])
    after = step.rule.apply(step.before, lemmas=lemmas)
    changed = replace(step, bindings=(("lemmas", lemmas),), after=after)
    return replace(d, steps=(*d.steps[:place], changed), result=after)


def changed_lemma(d: Derivation) -> Derivation:
    first, *rest = d.lemmas
    return replace(d, lemmas=(replace(first, result=first.result * 2), *rest))


def changed_lemma_step(d: Derivation) -> Derivation:
    first, *rest = d.lemmas
    return replace(d, lemmas=(changed_after(first), *rest))


def dropped_lemma(d: Derivation) -> Derivation:
    return replace(d, lemmas=d.lemmas[1:])


def lemmas_out_of_order(d: Derivation) -> Derivation:
    return replace(d, lemmas=d.lemmas[::-1])


def changed_substep(d: Derivation) -> Derivation:
    first, *rest = d.lemmas
    place, step = next((k, s) for k, s in enumerate(first.steps) if s.substeps)
    inner = (replace(step.substeps[0], after=step.substeps[0].after + 1), *step.substeps[1:])
    changed = with_step(first, place, replace(step, substeps=inner))
    return replace(d, lemmas=(changed, *rest))


def dropped_substep(d: Derivation) -> Derivation:
    for number, lemma in enumerate(d.lemmas):
        for place, step in enumerate(lemma.steps):
            if len(step.substeps) > 1:
                changed = with_step(lemma, place, replace(step, substeps=step.substeps[1:]))
                lemmas = (*d.lemmas[:number], changed, *d.lemmas[number + 1 :])
                return replace(d, lemmas=lemmas)
    raise AssertionError("no sub-steps")


def nothing_left(d: Derivation) -> Derivation:
    """No steps at all, from the result to the result."""
    return replace(d, start=d.result, steps=())


def invented_rule(d: Derivation) -> Derivation:
    """A rule of the tamperer's own, that doubles."""
    step = d.steps[-1]
    rule = replace(step.rule, apply=lambda expr, **_: 2 * step.after)
    changed = replace(step, rule=rule, after=2 * step.after)
    return replace(with_step(d, -1, changed), result=2 * d.result)


def other_loss(d: Derivation) -> Derivation:
    """The last step speaks of another loss, where y sums to 1 although here it need not."""
    free = extra("free_cross_entropy")
    return replace(d, loss=free, lemmas=tuple(replace(x, loss=free) for x in d.lemmas))


def hypothesis_hidden(d: Derivation) -> Derivation:
    steps = tuple(replace(step, hypotheses=()) for step in d.steps)
    return replace(d, steps=steps)


TAMPERED = [
    *(changed_after, changed_last, changed_before, changed_result, swapped, dropped, dropped_last),
    *(doubled, changed_start, missing_path, changed_inserted_lemma),
    *(consistent_wrong_lemma, changed_lemma, changed_lemma_step, dropped_lemma),
    *(changed_substep, dropped_substep),
]
FORGED = [nothing_left, invented_rule, other_loss, hypothesis_hidden]


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "free_cross_entropy", "dense_focal"])
def test_replay_refuses_a_tampered_derivation(
    name: str, tamper: Callable[[Derivation], Derivation]
) -> None:
    derivation = derivation_of(name, "a")
    with pytest.raises(ReplayError):
        tamper(derivation).replay()


def test_replay_refuses_lemmas_out_of_order() -> None:
    """Each lemma of two layers needs the one before it."""
    derivation = derivation_of("two_layer", "V")
    derivation.replay()
    with pytest.raises(ReplayError):
        lemmas_out_of_order(derivation).replay()


def test_replay_refuses_another_rule() -> None:
    with pytest.raises(ReplayError):
        other_rule(derivation_of("softmax_cross_entropy", "a")).replay()


@pytest.mark.parametrize("tamper", FORGED, ids=lambda f: f.__name__)
def test_replay_refuses_a_forged_derivation(tamper: Callable[[Derivation], Derivation]) -> None:
    with pytest.raises(ReplayError):
        tamper(derivation_of("softmax_cross_entropy", "a")).replay()


def test_replay_refuses_a_false_solution_of_a_definition() -> None:
    """A fold whose solved definition is false, with the result that it gives."""
    derivation = derivation_of("softmax_cross_entropy", "a")
    lemma = next(x for x in derivation.lemmas if any(s.name == "fold" for s in x.steps))
    place = next(k for k, step in enumerate(lemma.steps) if step.name == "fold")
    step = lemma.steps[place]
    bindings = dict(step.bindings)
    bindings["solved"] = replace(bindings["solved"], value=2 * bindings["solved"].value)
    changed = replace(step, bindings=tuple(bindings.items()))
    with pytest.raises(ReplayError):
        with_step(lemma, place, changed).replay()


# -- errors and other forms -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrt", "of", "said"),
    [
        ("softmax_cross_entropy", "q", None, "has no name 'q'"),
        ("softmax_cross_entropy", "a", "y", "'y' is declared, not defined"),
        ("softmax_cross_entropy", "L", None, "with respect to itself"),
        ("label_hinge", "c", None, "class label"),
    ],
)
def test_what_has_no_derivative_is_said(name: str, wrt: str, of: str | None, said: str) -> None:
    with pytest.raises(DerivationError, match=said):
        gradient(get(name), wrt, of)


def test_labels_are_contracted_and_never_written_by_hand() -> None:
    """One-hot y: L = -log p_y, and the gradient has a delta where y stood."""
    loss = with_labels(get("softmax_cross_entropy"), "y")
    assert loss.value.body == derive.parse_expression(loss, "-log(p[y])")
    derivation = gradient(loss, parse_entry(loss, "a[j]"))
    assert derivation.result == expected(derivation, "p[j] - delta(j, y)")
    assert derivation.hypotheses == ()


def test_a_label_of_the_summed_index() -> None:
    loss = parse("a: input[K]\nc: target[K] in K\nL = sum(a[i]**2 for i in K if i == c[i])\n")
    derivation = gradient(loss, "a")
    assert_same_value(loss, derivation.result, expected(derivation, "2*a[j]*delta(j, c[j])"), 1)


@pytest.mark.parametrize("body", ["max(x, y)", "min(x, y)", "max(x**2, x*y)"])
def test_the_larger_of_two_variables_has_a_derivative(body: str) -> None:
    loss = parse(f"x: input\ny: input\nL = {body}\n")
    derivation = gradient(loss, "x")
    assert_same_value(loss, derivation.start, derivation.result, 0)


def test_folding_keeps_the_result_defined() -> None:
    """dL/dg = (z - t) sqrt(1 + x^2) is finite at g = 0: so must be the result z (z - t)/g."""
    loss = parse("x: input\nt: target\ng: param\nz = g*sqrt(1 + x**2)\nL = (z - t)**2/2\n")
    derivation = gradient(loss, "g")
    values = {name: {(): Fraction(value)} for name, value in (("x", 0), ("t", 2), ("g", 0))}
    assert evaluate(loss, derivation.result, Point({}, values)) == -2


def test_hyperbolic_functions_know_each_other() -> None:
    assert derive.check(extra("log_cosh"), "z", "tanh(z - y)")
    loss = parse("z: input\nL = tanh(z)\n")
    assert derive.check(loss, "z", "1/cosh(z)**2")


# -- the same on every run ------------------------------------------------------------------

APART = "x: input[K]\nL = sum(log(abs(x[i] - x[j])) for i in K for j in K if i != j)\n"
RANKS = "z: input[N]\nt: input[N]\nL = sum(abs(z[i] - z[k]) for i in N for k in N if t[k] > t[i])\n"
SCRIPT = (
    f"""
LOSSES = {((APART, "x"), (RANKS, "z"))!r}
"""
    + """
import derive
from derive.derivation import Derivation
for name, wrt in (("linear_softmax_cross_entropy", "W"), ("softmax_mse", "a"), ("entropy", "z")):
    d = derive.gradient(derive.load(name), wrt)
    for part in (*d.lemmas, d):
        print(part.title, part.formula)
        for step in part.steps:
            print(step.name, step.check, step.reason, [s.name for s in step.substeps])
    print(d.latex())
for text, wrt in LOSSES:
    d = derive.gradient(derive.parse(text), wrt)
    print(d.formula, [(step.name, step.check) for step in d.steps])
print(derive.hessian(derive.load("softmax_mse"), "a").formula)
print(derive.check(derive.load("softmax_cross_entropy"), "a[j]", "y[j] - p[j]"))
"""
)


def test_the_same_under_every_hash_seed() -> None:
    outputs = set()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "4711")
    ]
    for process in running:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        outputs.add(output)
    assert len(outputs) == 1


def test_the_same_in_any_order_of_derivations() -> None:
    """What was derived before, and the fresh indices used up, do not show."""
    names = ("softmax_mse", "entropy", "linear_softmax_cross_entropy")
    seen = set()
    for order in permutations(names):
        formulas = {}
        for name in order:
            loss = derive.load(name)
            formulas[name] = gradient(loss, loss.declarations[0].name).formula
        seen.add(tuple(sorted(formulas.items())))
    assert len(seen) == 1


CROWDED = """g: input[K]
h: input[K]
G: const = 1
H: const = 1
slope: const = 1
J: const = 1
total: const = 1
objective: const = 1
v: const = 1
L = sum(g[i]**2*h[i]*G*H*slope*J*total*objective*v for i in K)
"""


def test_names_that_we_make_up_never_run_out() -> None:
    """The gradient's own name and that of the mean: each of those we prefer is taken."""
    loss = parse(CROWDED)
    assert hessian(loss, "g").formula == "2*G*H*J*objective*slope*total*v*h[i]*delta(i, j)"
    assert batched(loss).value.name == "J2"
