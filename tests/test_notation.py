"""The notation: what valid text means, and the one clear error of each kind of bad text."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from sympy import E, Expr, Integer, Pow, Rational, exp, log, pi

from derive.errors import InputError, PminusyError
from derive.functions import absolute, largest, sigmoid, signum, smallest
from derive.index import (
    Axis,
    Choice,
    Condition,
    Delta,
    Index,
    Maximum,
    Product,
    Tensor,
    Total,
    bind,
    fresh,
    total,
)
from derive.loss import Loss
from derive.notation import library, load, parse, parse_entries, parse_entry, parse_expression
from derive.scope import FUNCTIONS, REDUCTIONS

KNOWN = "a function of the language, one of " + ", ".join((*FUNCTIONS, *REDUCTIONS))

HEAD = """x: input
y: input
a: input[K]
W: param[K, D]
t: target in K
c: target[N] in K
gamma: const > 0 = 2
"""
K, D, N = Axis("K"), Axis("D"), Axis("N")
X, Y, T = Tensor("x")[()], Tensor("y")[()], Tensor("t", (), K)[()]
A = Tensor("a", (K,))


def value(text: str) -> Expr:
    """The body of `L = text` below the usual declarations."""
    return parse(f"{HEAD}L = {text}").value.body


def summed(kind: type, axis: Axis, body: object, guard: object = None) -> Expr:
    """A binder over an axis; body and guard are functions of the index."""
    index = fresh(axis)
    condition = () if guard is None else (guard(index),)  # type: ignore[operator]
    return bind(kind, index, body(index), *condition)  # type: ignore[operator]


VALUES = [
    ("0.3", Rational(3, 10)),
    ("1e-6 + 2.5e3", Rational(1, 10**6) + 2500),
    (".5 + 5. + 1_000", Rational(2011, 2)),
    ("0.1 + 0.2 - 0.3", Integer(0)),
    ("-x**2 / 2", -(X**2) / 2),
    ("2**-1", Rational(1, 2)),
    ("x - y - 3 + x", 2 * X - Y - 3),
    ("x / y * 3 / 2", 3 * X / (2 * Y)),
    ("pi * exp(1)", pi * E),
    ("sqrt(x)", Pow(X, Rational(1, 2))),
    ("sqrt(x**2)", absolute(X)),
    ("log1p(x) + expm1(y)", log(1 + X) + exp(Y) - 1),
    ("sigmoid(abs(x)) * sign(y)", sigmoid(absolute(X)) * signum(Y)),
    ("max(y, 1, x)", largest(largest(1, X), Y)),
    ("max(x, y, 1)", largest(largest(1, X), Y)),
    ("min(y, x)", smallest(X, Y)),
    ("K * x", K * X),
    ("gamma", Tensor("gamma")[()]),
    ("a[t]", A[T]),
    ("x if x > 0 else 0", Choice(Condition(">", X, Integer(0)), X, Integer(0))),
    ("1 if 0 < x <= 1 else 2", None),
    ("sum(a[k] for k in K)", summed(Total, K, lambda k: A[k])),
    ("sum(a[q] for q in K)", summed(Total, K, lambda k: A[k])),
    ("prod(a[k] for k in K)", summed(Product, K, lambda k: A[k])),
    ("max(a[k] for k in K)", summed(Maximum, K, lambda k: A[k])),
    ("mean(a[k] for k in K)", summed(Total, K, lambda k: A[k]) / K),
    (
        "sum(a[k] for k in K if k != t)",
        summed(Total, K, lambda k: A[k], lambda k: Condition("!=", k, T)),
    ),
    ("sum(1 if k == t else 0 for k in K)", summed(Total, K, lambda k: Delta(k, T))),
    ("sum(0 if k == t else 1 for k in K)", summed(Total, K, lambda k: 1 - Delta(k, T))),
    ("sum(1 if k != t else 0 for k in K)", summed(Total, K, lambda k: 1 - Delta(k, T))),
    ("sum(delta(t, k) for k in K)", summed(Total, K, lambda k: Delta(k, T))),
    ("sum(a[k] * sum(a[k] for k in K) for k in K)", None),
    (
        "sum(a[c[n]] for n in N)",
        summed(Total, N, lambda n: A[Tensor("c", (N,), K)[n]]),
    ),
]


@pytest.mark.parametrize(("text", "expected"), [v for v in VALUES if v[1] is not None])
def test_an_expression_means_what_mathematics_says(text: str, expected: Expr) -> None:
    assert value(text) == expected


def test_a_chain_of_comparisons_is_their_conjunction() -> None:
    choice = value("1 if 0 < x <= 1 else 2")
    low, high = Condition("<", Integer(0), X), Condition("<=", X, Integer(1))
    assert choice.args[0] == Condition("and", low, high)


def test_and_or_not() -> None:
    choice = value("x if x > 0 and not y < 1 or t == t else y")
    positive = Condition(">", X, Integer(0))
    small = Condition("not", Condition("<", Y, Integer(1)))
    assert choice.args[0] == Condition(
        "or", Condition("and", positive, small), Condition("==", T, T)
    )


def test_an_inner_index_shadows_an_outer_one() -> None:
    inner = summed(Total, K, lambda k: A[k])
    assert value("sum(a[k] * sum(a[k] for k in K) for k in K)") == summed(
        Total, K, lambda k: A[k] * inner
    )


def test_several_fors_nest_and_a_guard_belongs_to_its_own() -> None:
    k, j = fresh(K), fresh(K)
    expected = total(k, total(j, A[k] * A[j], Condition("!=", j, k)))
    assert value("sum(a[k] * a[j] for k in K for j in K if j != k)") == expected


def test_a_mean_over_pairs_divides_by_the_number_of_pairs() -> None:
    k, j = fresh(K), fresh(K)
    apart = Condition("!=", j, k)
    pairs = total(k, total(j, Integer(1), apart))
    expected = total(k, total(j, A[k] * A[j], apart)) / pairs
    assert value("mean(a[k] * a[j] for k in K for j in K if j != k)") == expected


def test_the_axis_of_a_free_index_follows_from_its_use() -> None:
    loss = parse(f"{HEAD}z[i, j] = W[i, j] * a[i]\nq[i] = 1 if i == t else 0\nL = x")
    assert loss.defined["z"].entry.tensor == Tensor("z", (K, D))
    assert loss.defined["q"].body == Delta(Index("i", K), T)


def test_letters_are_kept_in_order_of_use() -> None:
    text = "z[r] = sum(W[r, d] for d in D)\nL = sum(z[k] * W[k, j] for k in K for j in D)"
    assert parse(HEAD + text).letters == {"K": ("r", "k"), "D": ("d", "j")}


def test_declarations_are_kept_as_data() -> None:
    loss = parse(
        "y: target[K] in simplex\nu: target in unit\ne: input >= 0\n"
        "m: 0 < const <= 1 = 0.5\ns: const in sign = -1\nb: target in binary\nL = m\n",
        name="mine",
    )
    kinds = [loss.declared[name].domain.kind for name in "yuesb"]
    assert kinds == ["simplex", "unit", "real", "sign", "binary"]
    margin = loss.declared["m"]
    assert (margin.domain.lower, margin.domain.upper) == (0, 1)
    assert (margin.domain.lower_open, margin.domain.upper_open) == (True, False)
    assert (margin.role, margin.default, loss.name) == ("const", Rational(1, 2), "mine")
    assert not loss.declared["e"].domain.lower_open
    assert loss.declared["s"].default == -1


def test_greek_names_and_comments_and_long_lines_are_fine() -> None:
    loss = parse("# a comment\nθ: input  # an angle\nτ: const > 0\nL = (\n  θ\n  / τ)\n")
    assert loss.value.body == Tensor("θ")[()] / Tensor("τ")[()]


def test_delta_may_be_a_name_of_ones_own() -> None:
    loss = parse("x: input\ndelta: const > 0 = 1\nL = x * delta")
    assert loss.value.body == X * Tensor("delta")[()]


# Each kind of bad text: the text, the column of the error in the last line, the message.
HEAD_LINES = HEAD.count("\n")
BAD_EXPRESSIONS = [
    ("gama", 5, "the unknown name 'gama', expected a declared or defined name, or an index in "
     "scope; did you mean 'gamma'?"),
    ("é + 1", 5, "the unknown name 'é', expected a declared or defined name, or an index in scope"),
    ("x + (1 + qq)", 14, "the unknown name 'qq', expected a declared or defined name, or an index "
     "in scope"),
    ("a", 5, "no index on 'a', expected 1 index: a[K]"),
    ("W[t]", 5, "1 index on 'W', expected 2 indices: W[K, D]"),
    ("x[t]", 5, "1 index on 'x', expected none"),
    ("a[i]", 7, "the free index 'i', expected an index over axis K, bound by a sum or on the left"),
    ("a[0]", 7, "'0', expected an index over axis K"),
    ("a[x]", 7, "'x', which is not a class label, expected an index over axis K"),
    ("a[t + 1]", 7, "'t + 1', expected an index over axis K"),
    ("sum(W[k, k] for k in K)", 14, "'k', an index over axis K, expected an index over axis D"),
    ("sum(k for k in K)", 9, "the index 'k' used as a number, expected a number, which an index is "
     "not: declare a rank, as in rank: target[K]"),
    ("t + 1", 5, "the class label 't' used as a number, expected a number, since a class label is "
     "not a number"),
    ("sum(x for k in D if k == t)", 30, "'t', an index over axis K, expected an index over axis D"),
    ("sum(x for k in KK)", 20, "'KK', which is not an axis, expected an axis of a declaration; did "
     "you mean 'K'?"),
    ("sum(x for x in K)", 15, "'x', which already has a meaning, expected a new name"),
    ("sum(x for k in range(3))", 20, "'range(3)', expected an axis"),
    ("sum(x for k, j in K)", 15, "a tuple, expected an index letter"),
    ("sum(x)", 5, "1 argument of 'sum', expected a generator such as 'sum(a[k] for k in K)'"),
    ("max(x)", 5, "1 argument of 'max', expected a generator such as 'max(a[k] for k in K)', or "
     "two numbers"),
    ("exp(x, y)", 5, "2 arguments of 'exp', expected 1"),
    ("exp(x=1)", 11, "a keyword argument, expected a plain one"),
    ("expp(x)", 5, "a call of 'expp', expected a function of the language; did you mean 'exp'?"),
    ("x(1)", 5, f"a call of 'x', expected {KNOWN}"),
    ("__import__('os').system('id')", 5, "an attribute, expected a function's name"),
    ("eval('1')", 5, f"a call of 'eval', expected {KNOWN}"),
    ("x.real", 5, "an attribute, expected a number or an expression"),
    ("exp", 5, "'exp', a word of the language, expected a declared or defined name"),
    ("K[t]", 5, "the axis 'K' with brackets, expected a tensor's name"),
    ("'s'", 5, "a string, expected a decimal number or a name"),
    ("f'{x}'", 5, "a string, expected a number or an expression"),
    ("True", 5, "'True', expected a decimal number or a name"),
    ("1j", 5, "'1j', expected a decimal number or a name"),
    ("0x10", 5, "'0x10', expected a decimal number or a name"),
    ("lambda u: u", 5, "a lambda, expected a number or an expression"),
    ("[x]", 5, "a list, expected a number or an expression"),
    ("(x, y)", 5, "a tuple, expected a number or an expression"),
    ("{x: y}", 5, "a dictionary, expected a number or an expression"),
    ("(u := x)", 6, "an assignment inside an expression, expected a number or an expression"),
    ("await x", 5, "the Python construct 'Await', expected a number or an expression"),
    ("x < y", 5, "a comparison, expected a number or an expression"),
    ("not x", 5, "a condition, expected a number, such as '1 if x > 0 else 0'"),
    ("x % y", 5, "the operator '%', expected one of +, -, *, /, **"),
    ("~x", 5, "the operator '~', expected one of +, -, *, /, **"),
    ("x if y else 1", 10, "'y', expected a condition such as 'x > 0' or 'i == t'"),
    ("x if y in x else 1", 15, "the comparison 'in', expected one of ==, !=, <, <=, >, >="),
    ("9**9**9", 5, "an exponent that is too large, expected an exponent up to 4096"),
    ("(2 * x)**(10**9)", 5, "an exponent that is too large, expected an exponent up to 4096"),
    ("exp(10**9 * log(2))", 5, "a constant that is too large, expected constants of at most 4096 "
     "bits"),
    ("exp(10**9 * log(x))", 5, "a constant that is too large, expected constants of at most 4096 "
     "bits"),
    ("max(exp(exp(exp(100))), 1)", 13, "a constant that is too large, expected constants of at "
     "most 4096 bits"),
    ("exp(-5000)", 5, "a constant that is too small, expected constants of at most 4096 bits"),
    ("1e999999999", 5, "a constant of too many digits, expected constants of at most 4096 bits"),
    ("x + 1/0", 11, "a division by zero, expected an expression with a real value"),
    ("1/(x - x)", 8, "a division by zero, expected an expression with a real value"),
    ("log(-1)", 5, "a constant without a value, expected an expression with a real value"),
    ("sqrt(-1)", 5, "a constant without a value, expected an expression with a real value"),
    ("sqrt(-sigmoid(x))", 5, "an expression without a real value, expected one that has a real "
     "value"),
    ("sqrt(2) + sqrt(3) - sqrt(5 + 2*sqrt(6))", 5, "a constant too close to zero to be told from "
     "it, expected zero itself or a clear value"),
    ("(10**1000)**(1/3)", 5, "a broken power of a large constant, expected one of at most 512 "
     "bits"),
    ("2**0.377777 * 3**0.377777", 5, "roots of constants that are too large together, expected "
     "smaller constants or exponents with smaller denominators"),
    ("sqrt(1+sqrt(1+sqrt(1+sqrt(1+sqrt(1+sqrt(1+sqrt(2)))))))", 5, "a constant nested too deeply, "
     "expected constants of at most 6 levels"),
    ("x + ", 9, "text that cannot be read (invalid syntax), expected a declaration such as 'x: "
     "input[D]' or a definition such as 'p[i] = exp(x[i])'"),
    ("import", 5, "the word 'import', which the language keeps, expected a name of your own or an "
     "expression"),
    ("x)", 6, "')' that closes nothing, expected its opening bracket before it"),
    ("exp(x", 8, "'(' that is never closed, expected its closing bracket"),
    ("'x", 5, "a string that is never closed, expected its closing quotes"),
    ("x\0", 6, "the character U+0000, expected text without it"),
    ("-" * 64 + "x", 69, "an expression nested too deeply, expected at most 64 levels"),
    ("(" * 65 + "x" + ")" * 65, 69, "brackets nested too deeply, expected at most 64 levels"),
    ("x" + "+x" * 2048, 5, "an expression of 4097 characters, expected at most 4096"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "message"), BAD_EXPRESSIONS)
def test_a_bad_expression_gets_one_clear_error(text: str, column: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(f"{HEAD}L = {text}", source="my.loss")
    assert str(caught.value) == f"my.loss:{HEAD_LINES + 1}:{column}: found {message}"


END = "a definition of the loss, such as 'L = x**2', as the last statement"
STATEMENT = "a declaration such as 'x: input[D]' or a definition such as 'p[i] = exp(x[i])'"
DOMAIN = "a domain such as 'in simplex', 'in K', '> 0' or '0 < const < 1'"
WORD = "a name that is not one of the language's own words"
ROLES = "a role: input, param, target or const"
BAD_TEXTS = [
    ("", "1:1: found the end of the text, expected " + END),
    ('"""Only a docstring."""\n', "2:1: found the end of the text, expected " + END),
    ("x: input", "1:1: found a declaration at the end, expected " + END),
    ("x: input\nL = x\ny: input", "3:1: found a declaration at the end, expected " + END),
    ("a: input[K]\np[i] = a[i]",
     "2:1: found the loss 'p' with 1 index, expected a loss without an index"),
    ("W: input[K, D]\np[i, j] = W[i, j]",
     "2:1: found the loss 'p' with 2 indices, expected a loss without an index"),
    ("x: inputt\nL = x", f"1:4: found 'inputt', expected {ROLES}; did you mean 'input'?"),
    ("x: 3\nL = x", f"1:4: found '3', expected {ROLES}"),
    ("x: input()\nL = x", f"1:4: found 'input()', expected {ROLES}"),
    ("x: const > 0 and const < 1\nL = x", f"1:4: found a condition, expected {ROLES}"),
    ("x: input[k]\nL = 1", "1:10: found 'k', expected an axis, a name that begins with a capital "
     "letter"),
    ("x: input[3]\nL = 1", "1:10: found '3', expected an axis, a name that begins with a capital "
     "letter"),
    ("W: param[W]\nL = 1", "1:10: found 'W', the name of a tensor, expected an axis whose name has "
     "no other meaning"),
    ("a: input[K]\nK = 1", "2:1: found 'K', which is already an axis, expected a name that is not "
     "an axis"),
    ("y: target in simplex\nL = y",
     "1:4: found a simplex without an axis, expected an axis: target[K]"),
    ("y: target in simplx\nL = y", "1:14: found 'simplx', expected a domain: simplex, binary, "
     "unit, sign or an axis; did you mean 'simplex'?"),
    ("t: const in K\nL = 1", "1:4: found a const that is a class label, expected a class label "
     "that is an input or a target"),
    ("g: const > 0 = -1\nL = g", "1:16: found the default -1, expected a default in its domain"),
    ("g: const in unit = 2\nL = g", "1:20: found the default 2, expected a default in unit"),
    ("g: const in binary = 1/2\nL = g", "1:22: found the default 1/2, expected a default in "
     "binary"),
    ("g: const[K] > 0 = 0\nL = 1", "1:19: found the default 0, expected a default in its domain"),
    ("x: input = 1\nL = x",
     "1:12: found a default on 'x', not a const, expected a default on a const only"),
    ("g: 1 < const < 0\nL = g", "1:4: found a domain without any number, expected a lower bound "
     "below the upper one"),
    ("g: 0 < const > 1\nL = g",
     "1:16: found a second lower bound, expected one lower and one upper bound"),
    ("g: const < 1 < 2\nL = g", "1:4: found a domain of another form, expected " + DOMAIN),
    ("g: const != 0\nL = g", "1:13: found a domain without <, <=, > or >=, expected " + DOMAIN),
    ("g: const = x\nL = g", "1:12: found the unknown name 'x', expected a declared or defined "
     "name, or an index in scope"),
    ("x: input\nx: input\nL = x",
     "2:1: found 'x', which already has a meaning, expected a new name"),
    ("p = 1\np = 2", "2:1: found 'p', which already has a meaning, expected a new name"),
    ("exp: input\nL = 1", f"1:1: found the name 'exp', expected {WORD}"),
    ("pi = 3", f"1:1: found the name 'pi', expected {WORD}"),
    ("_x = 3", "1:1: found the name '_x', expected a name that begins with a letter"),
    ("lambda: const\nL = 1",
     "1:1: found the word 'lambda', which the language keeps, expected a name of your own, such "
     "as 'λ'"),
    ("a: input[K]\np[i] = 3\nL = 1", "2:3: found the index 'i', which the right-hand side never "
     "uses, expected an index that stands in brackets on the right"),
    ("a: input[K]\np[i, i] = a[i]\nL = 1",
     "2:6: found 'i' a second time, expected distinct index letters"),
    ("a: input[K]\np[a] = 3\nL = 1",
     "2:3: found 'a', which already has a meaning, expected a new name"),
    ("W: param[K, D]\np[i] = W[i, i]\nL = 1",
     "2:13: found 'i', an index over axis K, expected an index over axis D"),
    ("p[0] = 3", "1:3: found '0', expected an index letter"),
    ("x = y = 3", "1:5: found a second '=', expected one name a definition"),
    ("x, y = 3", "1:1: found a tuple, expected a name to define, such as 'L' or 'p[i]'"),
    ("x += 3", "1:1: found an assignment that changes a name, expected " + STATEMENT),
    ("import os", "1:1: found an import, expected " + STATEMENT),
    ("def f(): pass", "1:1: found a function definition, expected " + STATEMENT),
    ("for i in x: pass", "1:1: found the Python construct 'For', expected " + STATEMENT),
    ("x", "1:1: found an expression that defines nothing, expected " + STATEMENT),
    (" x: input", "1:1: found text that cannot be read (unexpected indent), expected " + STATEMENT),
    ("#" * 65537, "1:1: found a text of 65537 bytes, expected at most 65536 (64 KiB)"),
    ("é: input\nL = é + zz", "2:9: found the unknown name 'zz', expected a declared or defined "
     "name, or an index in scope"),
    ("x: input\nL = exp(\n   x +\n   yy)", "4:4: found the unknown name 'yy', expected a declared "
     "or defined name, or an index in scope"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS)
def test_a_bad_text_gets_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, source="my.loss")
    assert str(caught.value) == f"my.loss:{message}"


@pytest.mark.parametrize(
    "text",
    [
        "c = 10**1000\nd = c * c\nL = x * d",
        "c = 2 * x\nd = c**2000\nL = d**3",
        "n = 10**9\nL = (2 * x)**n",
        "c = 10**9 * log(x)\nL = exp(c)",
        "\n".join(
            ["v0 = x + x", *(f"v{i} = v{i - 1} * v{i - 1}" for i in range(1, 20)), "L = v19"]
        ),
    ],
)
def test_constants_that_grow_through_definitions_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"constant|exponent"):
        parse(f"x: input\n{text}")


@pytest.mark.parametrize(
    "text",
    ["2**4096", "x**4096", "exp(1000 * x)", "exp(1e-6 * log(x))", "(x + y)**0.3333", "(2*x)**0.5",
     "pi**2000", "1e1000", "-" * 62 + "x", "(" * 63 + "x" + ")" * 63, "x" + "+x" * 2047,
     "sqrt(2 * pi) * exp(-x**2 / 2)", "lgamma(x + 1)", "0 * x", "x**0"],
)  # fmt: skip
def test_what_is_within_the_limits_is_read(text: str) -> None:
    value(text)


def test_definitions_that_double_are_not_unfolded() -> None:
    lines = ["x: input", "v0 = x", *(f"v{i} = v{i - 1} + v{i - 1}" for i in range(1, 1000))]
    assert len(parse("\n".join(lines[:75])).definitions) == 74
    with pytest.raises(InputError, match="nests 162 levels"):
        parse("\n".join(lines))


@pytest.fixture
def linear() -> Loss:
    return load("linear_softmax_cross_entropy")


def test_a_claim_is_read_in_the_names_of_the_loss(linear: Loss) -> None:
    entry = parse_entry(linear, "a[u]")
    claim = parse_expression(linear, "p[u] - y[u]", {"u": entry.indices[0]})
    assert claim == linear.tensor("p")[entry.indices[0]] - linear.tensor("y")[entry.indices[0]]


def test_a_claim_may_stand_on_several_lines(linear: Loss) -> None:
    claim = parse_expression(linear, "sum(y[i]\n  for i in K)  # of the targets\n + 1")
    assert claim == summed(Total, K, lambda k: Tensor("y", (K,))[k]) + 1


def test_entries(linear: Loss) -> None:
    weight = parse_entry(linear, "W[u, v]")
    assert weight == linear.tensor("W")[Index("u", K), Index("v", D)]
    assert parse_entry(linear, "a") == linear.tensor("a")[Index("i", K)]
    assert parse_entry(linear, "L") == linear.tensor("L")[()]
    assert parse_entries(linear, "a[i], W[u, v],b") == (
        parse_entry(linear, "a[i]"),
        weight,
        parse_entry(linear, "b"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q[j]", "1:1: found the unknown name 'q', expected a declared or defined name, or an "
         "index in scope"),
        ("a[y]", "1:3: found 'y', which already has a meaning, expected a new name"),
        ("a[K]", "1:3: found 'K', which is already an axis, expected a name that is not an axis"),
        ("a[i, j]", "1:1: found 2 indices on 'a', expected 1 index: a[i]"),
        ("W[i, i]", "1:6: found 'i' a second time, expected distinct index letters"),
        ("a[0]", "1:3: found '0', expected an index letter"),
        ("a + b", "1:1: found 'a + b', expected an entry such as 'a[j]' or a name"),
        ("  ", "1:1: found an empty text, expected an expression such as 'p[j] - y[j]'"),
    ],
)  # fmt: skip
def test_a_bad_entry_gets_one_clear_error(linear: Loss, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_entry(linear, text)
    assert str(caught.value) == f"<wrt>:{message}"


def test_a_bad_claim_gets_its_column(linear: Loss) -> None:
    free = {"j": Index("j", K)}
    for text, message in [
        ("p[j] - z[j]", "1:8: found the unknown name 'z', expected a declared or defined name, or "
         "an index in scope"),
        ("p[k]", "1:3: found the free index 'k', expected an index over axis K, here j or bound by "
         "a sum or on the left"),
        ("x[j]", "1:3: found 'j', an index over axis K, expected an index over axis D"),
        ("p[j]) + (y[j]", "1:5: found ')' that closes nothing, expected its opening bracket "
         "before it"),
        ("p[j] +", "1:7: found text that cannot be read (invalid syntax), expected an expression "
         "such as 'p[j] - y[j]'"),
    ]:  # fmt: skip
        with pytest.raises(InputError) as caught:
            parse_expression(linear, text, free)
        assert str(caught.value) == f"<claim>:{message}"


@pytest.mark.parametrize("name", library())
def test_every_loss_of_the_library_is_short_and_has_a_title_and_a_source(name: str) -> None:
    loss = load(name)
    assert loss.name == name
    assert loss.title.endswith(".")
    assert loss.source
    assert len(loss.text.splitlines()) <= 20
    assert not loss.value.entry.indices
    assert parse(loss.text, name) == loss


def test_the_library_has_the_losses_to_ship_first() -> None:
    assert list(library()) == sorted(library())
    assert {"softmax_cross_entropy", "mean_squared_error", "kl_divergence"} <= set(library())


def test_load_reads_a_path_and_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.loss"
    path.write_text("\ufeffx: input\r\nL = x**2\r\n", encoding="utf-8")
    assert load(str(path)).name == "mine"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x: input\nL = x")))
    assert load("-").name == "loss"


def test_load_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    latin, large = tmp_path / "latin.loss", tmp_path / "large.loss"
    latin.write_bytes(b"x: input \xe9")
    large.write_bytes(b"#" * 65537)
    for name, message in [
        (str(tmp_path / "none.loss"), f"cannot read {tmp_path / 'none.loss'}: "
         "No such file or directory"),
        (str(latin), f"{latin}: found a byte that is not UTF-8 at offset 9, expected UTF-8 text"),
        (str(large), f"{large}: found more than 65536 bytes, expected at most 64 KiB"),
        ("softmax_crossentropy", "found 'softmax_crossentropy', expected the name of a library "
         "loss, a path that ends in .loss, or '-'; did you mean 'softmax_cross_entropy'?"),
        ("../errors", "found '../errors', expected the name of a library loss, a path that ends in "
         ".loss, or '-'"),
    ]:  # fmt: skip
        with pytest.raises(PminusyError) as caught:
            load(name)
        assert str(caught.value) == message
