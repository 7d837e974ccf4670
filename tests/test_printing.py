"""Printing: what is printed reads back, letters never clash, and styles look as on paper."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sympy import Expr, Integer, Rational, S, cos, erf, exp, log, pi, sqrt, tanh

from derive.functions import (
    absolute,
    largest,
    lgamma,
    relu,
    sigmoid,
    signum,
    smallest,
    softplus,
    step,
)
from derive.index import (
    TRUE,
    Axis,
    Choice,
    Condition,
    Delta,
    Diff,
    Entry,
    Index,
    Maximum,
    Minimum,
    Partial,
    Product,
    Share,
    Tensor,
    Total,
    bind,
    fresh,
    order,
    total,
)
from derive.latex_style import beside, latex_entry, latex_name
from derive.letters import names_of
from derive.loss import Loss
from derive.notation import library, load, parse, parse_expression
from derive.printing import language, latex, unicode

TEXT = '''"""A loss to print expressions of."""
a: input[K]
y: target[K] in simplex
t: target in K
W: param[K, D]
x: input[D]
z: input
u: input
gamma: const > 0
w1: param
my_rate: const

p[i] = exp(a[i]) / sum(exp(a[k]) for k in K)
KL = sum(y[i] * log(y[i] / p[i]) for i in K) + gamma * z * u * w1 * my_rate + sum(
    W[t, d] * x[d] for d in D
)
'''
LOSS = parse(TEXT, "printed")
K, D = Axis("K"), Axis("D")
I_, J, M = Index("i", K), Index("j", K), Index("m", D)
FREE = {"i": I_, "j": J, "m": M}


def named(name: str, *indices: Expr) -> Entry:
    return Entry(LOSS.tensor(name), *indices)


Z, U, T, GAMMA = named("z"), named("u"), named("t"), named("gamma")


def read(text: str) -> Expr:
    return parse_expression(LOSS, text, FREE)


def sum_p(index: Index) -> Expr:
    return total(index, named("p", index))


i1, i2, d1 = fresh(K), fresh(K), fresh(D)
p_i, p_j, y_j = named("p", I_), named("p", J), named("y", J)

# Expression, language, Unicode, LaTeX.
GALLERY = [
    (p_j - y_j, "p[j] - y[j]", "pⱼ − yⱼ", "p_{j} - y_{j}"),
    (
        p_j * total(i1, named("y", i1)) - y_j,
        "p[j]*sum(y[i] for i in K) - y[j]",
        "pⱼ·Σᵢ yᵢ − yⱼ",
        r"p_{j} \sum_{i} y_{i} - y_{j}",
    ),
    (-y_j / p_j, "-y[j]/p[j]", "−yⱼ/pⱼ", r"-\frac{y_{j}}{p_{j}}"),
    (
        p_i * (Delta(I_, J) - p_j),
        "p[i]*(delta(i, j) - p[j])",
        "pᵢ·(δᵢⱼ − pⱼ)",
        r"p_{i} (\delta_{ij} - p_{j})",
    ),
    (
        exp(named("a", I_)) / total(i1, exp(named("a", i1))),
        "exp(a[i])/sum(exp(a[k]) for k in K)",
        "exp(aᵢ)/Σₖ exp(aₖ)",
        r"\frac{e^{a_{i}}}{\sum_{k} e^{a_{k}}}",
    ),
    (
        total(i1, exp(named("a", i1)), Condition("!=", i1, T)),
        "sum(exp(a[i]) for i in K if i != t)",
        "Σ_{i ≠ t} exp(aᵢ)",
        r"\sum_{i \ne t} e^{a_{i}}",
    ),
    (
        (1 - Z) ** GAMMA * log(Z),
        "(1 - z)**gamma*log(z)",
        "(1 − z)^γ·log(z)",
        r"(1 - z)^{\gamma} \log z",
    ),
    (
        sigmoid(Z) * (1 - sigmoid(Z)),
        "sigmoid(z)*(1 - sigmoid(z))",
        "σ(z)·(1 − σ(z))",
        r"\sigma(z) (1 - \sigma(z))",
    ),
    (
        Choice(Condition(">", Z, S.Zero), Z**2, -Z),
        "z**2 if z > 0 else -z",
        "z² if z > 0 else −z",
        r"\begin{cases} z^{2} & \text{if } z > 0 \\ -z & \text{otherwise} \end{cases}",
    ),
    (
        named("W", I_, M) * named("x", M) + named("w1") * named("my_rate"),
        "my_rate*w1 + W[i, m]*x[m]",
        "my_rate·w1 + Wᵢₘ·xₘ",
        r"\mathrm{my\_rate} \, w_{1} + W_{im} x_{m}",
    ),
    (named("a", T), "a[t]", "aₜ", "a_{t}"),
    (1 / sqrt(2 * pi), "sqrt(2)/(2*sqrt(pi))", "√2/(2·√π)", r"\frac{\sqrt{2}}{2 \sqrt{\pi}}"),
    (K * Rational(1, 2), "K/2", "K/2", r"\frac{1}{2} K"),
    (bind(Maximum, i1, named("a", i1)), "max(a[i] for i in K)", "maxᵢ aᵢ", r"\max_{i} a_{i}"),
    (named("KL"), "KL", "KL", r"\mathrm{KL}"),
]


@pytest.mark.parametrize(("expr", "plain", "terminal", "tex"), GALLERY)
def test_gallery(expr: Expr, plain: str, terminal: str, tex: str) -> None:
    assert language(expr, LOSS) == plain
    assert unicode(expr, LOSS) == terminal
    assert latex(expr, LOSS) == tex
    assert read(plain) == expr


@pytest.mark.parametrize(
    ("name", "alone", "entry"),
    [
        ("gamma", r"\gamma", r"\gamma_{ij}"),
        ("lambda_2", r"\lambda_{2}", r"\lambda_{2,ij}"),
        ("y_hat", r"\hat{y}", r"\hat{y}_{ij}"),
        ("x_max", r"x_{\mathrm{max}}", r"x_{\mathrm{max},ij}"),
        ("layer_1", r"\mathrm{layer}_{1}", r"\mathrm{layer}_{1,ij}"),
        # Words hold together: no logarithm of anything, and not an entry of `hidden`.
        ("log_p", r"\mathrm{log\_p}", r"\mathrm{log\_p}_{ij}"),
        ("hidden_weights", r"\mathrm{hidden\_weights}", r"\mathrm{hidden\_weights}_{ij}"),
        ("conv_weight_2", r"\mathrm{conv\_weight}_{2}", r"\mathrm{conv\_weight}_{2,ij}"),
    ],
)
def test_names_of_several_parts(name: str, alone: str, entry: str) -> None:
    assert latex_name(name) == alone
    assert latex_entry(name, "ij") == entry


def test_long_names_stand_apart() -> None:
    """Side by side they would read as one name; a bracket after one as a call."""
    rate, divergence = named("my_rate"), named("KL")
    assert latex(2 * rate * divergence, LOSS) == r"2 \, \mathrm{my\_rate} \, \mathrm{KL}"
    assert beside("1", "e^{1.4}") == beside("1", "(-0.6)") == r" \cdot "
    assert beside("2", "e^{z}") == beside("2", "(1 + z)") == " "
    assert latex(rate * (1 + Z), LOSS) == r"\mathrm{my\_rate} \cdot (1 + z)"


def test_nodes_outside_the_language() -> None:
    chain = total(i1, Partial(named("KL"), named("p", i1)) * Partial(named("p", i1), named("a", J)))
    assert unicode(chain, LOSS) == "Σᵢ (∂KL/∂pᵢ)·(∂pᵢ/∂aⱼ)"
    assert language(chain, LOSS) == "sum((dKL/dp[i])*(dp[i]/da[j]) for i in K)"
    second = Diff(Diff(named("KL"), named("a", J)), named("a", I_))
    assert latex(second, LOSS) == (
        r"\frac{\partial^{2} \mathrm{KL}}{\partial a_{i}\, \partial a_{j}}"
    )
    share = Share(bind(Maximum, i1, named("a", i1)), J)
    assert language(share, LOSS) == "share(max(a[i] for i in K), j)"


def test_a_step_is_an_indicator() -> None:
    assert language(step(Z) * U, LOSS) == "u*(1 if z > 0 else 0)"
    assert unicode(step(Z) * U, LOSS) == "u·1[z > 0]"
    assert latex(step(Z) * U, LOSS) == r"u \, \mathbf{1}[z > 0]"


@pytest.mark.parametrize("name", library())
def test_definitions_read_back(name: str) -> None:
    loss = load(name)
    for definition in loss.definitions:
        free = {index.name: index for index in definition.entry.indices}
        text = language(definition.body, loss, names_of(loss, definition.entry, definition.body))
        assert parse_expression(loss, text, free) == definition.body


# ------------------------------------------------------------------ random expressions

_LEAVES = st.sampled_from(
    (
        *(Z, U, GAMMA, named("w1"), named("my_rate"), p_i, p_j, y_j, named("a", T)),
        *(named("x", M), Delta(I_, J), Delta(J, T), K, pi, named("W", J, M)),
    )
) | st.fractions(min_value=-3, max_value=3, max_denominator=4).map(
    lambda f: Rational(f.numerator, f.denominator)
)
_UNARY = [exp, sigmoid, softplus, relu, absolute, signum, lgamma, erf, cos, tanh, lambda e: -e]
_UNARY += [lambda e: e**2, lambda e: 1 / (1 + e**2), lambda e: sqrt(1 + e**2)]
_UNARY += [lambda e: log(1 + e**2), lambda e: e / 2, lambda e: (1 + e**2) ** Rational(-3, 2)]


def _bound(kind: type, axis: Axis, guarded: bool, body: Expr) -> Expr:
    index = fresh(axis)
    inside = named("a" if axis == K else "x", index)
    guard = Condition("!=", index, I_) if guarded and axis == K else TRUE
    return bind(kind, index, body * inside + inside, guard)


def _sorted_pair(kind: type, left: Expr, right: Expr) -> Expr:
    return kind(*sorted((_varying(left), right), key=order))


def _varying(expr: Expr) -> Expr:
    """A constant argument may have no value, and the language then refuses it."""
    return expr if expr.has(Entry, Delta) else expr + Z


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    conditions = st.builds(
        Condition, st.sampled_from(["<", "<=", ">", ">="]), inner, st.just(Z)
    ) | st.just(Condition("not", Condition("==", J, T)))
    return st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b, c: a * b * c, inner, inner, inner),
        st.builds(lambda a, b: a / (2 + b**2), inner, inner),
        st.builds(lambda a, b: (1 + a**2) ** b, inner, st.sampled_from([Z, GAMMA, -GAMMA, Z + U])),
        st.builds(lambda f, a: f(_varying(a)), st.sampled_from(_UNARY), inner),
        st.builds(
            _bound,
            st.sampled_from([Total, Product, Maximum, Minimum]),
            st.sampled_from([K, D]),
            st.booleans(),
            inner,
        ),
        st.builds(_sorted_pair, st.sampled_from([largest, smallest]), inner, inner),
        st.builds(Choice, conditions, inner, inner),
    )


EXPRESSIONS = st.recursive(_LEAVES, _grow, max_leaves=10).filter(
    lambda e: e.is_finite is not False and not e.has(S.NaN, S.ComplexInfinity, S.ImaginaryUnit)
)
RELAXED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@RELAXED
@given(EXPRESSIONS)
def test_language_reads_back(expr: Expr) -> None:
    assert read(language(expr, LOSS)) == expr


@RELAXED
@given(EXPRESSIONS)
def test_every_style_prints(expr: Expr) -> None:
    tex = latex(expr, LOSS)
    assert tex.count("{") == tex.count("}")
    assert tex.count(r"\left") == tex.count(r"\right")
    assert unicode(expr, LOSS) == unicode(expr, LOSS)


# ------------------------------------------------------------------ letters


def test_bound_letters_avoid_free_ones_enclosing_ones_and_names() -> None:
    inner, outer = fresh(K), fresh(K)
    nested = total(outer, named("p", outer) * total(inner, named("y", inner) * p_j * p_i))
    loops = re.findall(r"for (\w+) in", language(nested, LOSS))
    assert len(set(loops)) == 2
    assert not set(loops) & {"i", "j", *LOSS.declared, *LOSS.defined}


def test_a_letter_that_names_something_is_not_an_index() -> None:
    loss = parse("i: input[K]\nk: param\n\nL = k * sum(i[n] for n in K)\n")
    text = language(loss.value.body, loss)
    assert parse_expression(loss, text) == loss.value.body


def test_fresh_free_indices_get_letters_once_for_a_whole_text() -> None:
    one, two = fresh(K), fresh(K)
    first, second = named("p", one) * p_j, named("p", two) - named("p", one)
    names = names_of(LOSS, first, second)
    assert language(first, LOSS, names) == "p[i]*p[j]"
    assert language(second, LOSS, names) == "p[k] - p[i]"


def test_two_indices_of_one_letter_and_two_axes_are_told_apart() -> None:
    clash = Index("j", D)
    assert language(named("W", J, clash), LOSS) == "W[j, d]"


def test_a_letter_without_a_subscript_glyph_puts_all_indices_in_brackets() -> None:
    wide = Index("d", D)
    assert unicode(named("x", wide) * p_j, LOSS) == "p[j]·x[d]"


@pytest.mark.parametrize(
    ("number", "text", "shown", "tex"),
    [
        (Rational(1, 10**5), "1e-5", "10⁻⁵", "10^{-5}"),
        (Rational(3, 2 * 10**6), "1.5e-6", "1.5·10⁻⁶", r"1.5 \cdot 10^{-6}"),
        (Rational(-1, 10**8), "-1e-8", "−10⁻⁸", "-10^{-8}"),
        (Integer(3 * 10**7), "3e7", "3·10⁷", r"3 \cdot 10^{7}"),
        (Integer(12345678), "12345678", "12345678", "12345678"),
        (Integer(10**4), "10000", "10000", "10000"),
        (Rational(999999, 10**6), *["999999/1000000"] * 2, r"\frac{999999}{1000000}"),
        (Rational(3, 10), "3/10", "3/10", r"\frac{3}{10}"),
        (Rational(1, 30000), "1/30000", "1/30000", r"\frac{1}{30000}"),
    ],
)
def test_decimals(number: Rational, text: str, shown: str, tex: str) -> None:
    assert (language(number, LOSS), unicode(number, LOSS), latex(number, LOSS)) == (
        text,
        shown,
        tex,
    )
    for expr in (number * Z, Z / (number + Z), (number * Z) ** 2, number * (1 + Z) / Z):
        assert read(language(expr, LOSS)) == expr


def test_integers_keep_their_value() -> None:
    assert language(Integer(-3), LOSS) == "-3"
    assert language(Rational(-1, 2) * Z, LOSS) == "-z/2"
    assert read("-z/2") == Rational(-1, 2) * Z


def test_loss_without_letters_still_prints() -> None:
    bare = Loss("bare", "", (), (LOSS.value,))
    index = fresh(K)
    assert language(total(index, Tensor("q", (K,))[index]), bare) == "sum(q[i] for i in K)"
