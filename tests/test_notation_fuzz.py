"""Whatever the text, reading it gives a Loss or one clear error, quickly, and runs nothing."""

from __future__ import annotations

import builtins
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.errors import InputError, PminusyError
from derive.loss import Loss
from derive.notation import library, load, parse, parse_entries, parse_expression

TEXTS = [load(name).text for name in library()]
TOKEN = re.compile(r"\w+|\*\*|[<>=!]=|\s+|.", re.DOTALL)
KEPT = """
x y a p W t i j k K D N L input param target const in simplex unit binary sum max min mean prod for
if else and or not exp log sqrt abs sign sigmoid relu lgamma erf erfc tan asin atan delta pi 0 1
2 -1 0.5 1e9 1e-9 9 1000 lambda import + - * / ** ( ) [ ] , : = == != < > . ' { } @ := ; # λ é \\
"""
WORDS = [*KEPT.split(), '"""', "\n", "\n"]
FUNCTIONS = (
    "exp log sqrt sin cos tan asin acos atan sinh cosh tanh erf erfc lgamma abs sigmoid relu"
)


def read(text: str) -> Loss | None:
    """The loss, or None for a clear error; anything else is a failure."""
    try:
        loss = parse(text)
    except InputError as error:
        assert str(error).startswith("<text>:")
        assert error.place.line <= text.count("\n") + text.count("\r") + 1
        return None
    assert not loss.value.entry.indices
    return loss


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid text with a few tokens deleted, inserted, doubled or swapped."""
    tokens = TOKEN.findall(draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, len(tokens) - 1))
        other = draw(st.integers(0, len(tokens) - 1))
        change = draw(st.sampled_from(["delete", "insert", "double", "swap"]))
        if change == "delete":
            tokens[place] = ""
        elif change == "insert":
            tokens.insert(place, draw(st.sampled_from(WORDS)))
        elif change == "double":
            tokens.insert(place, tokens[other])
        else:
            tokens[place], tokens[other] = tokens[other], tokens[place]
    return "".join(tokens)


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Formulas of formulas, with a liking for the dangerous."""
    call = st.tuples(st.sampled_from(FUNCTIONS.split()), inner).map(lambda p: f"{p[0]}({p[1]})")
    pair = st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner)
    return st.one_of(
        call,
        pair.map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
        st.tuples(inner, inner).map(lambda p: f"max({p[0]},{p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"(1 if {p[0]} > 0 else {p[1]})"),
        inner.map(lambda e: f"sum({e} * a[k] for k in K)"),
    )


LEAVES = "x y pi K 0 1 2 3 -1 0.5 9 10**9 1e300 1e-300 0.377777 a[t] 1/3"
FORMULAS = st.recursive(st.sampled_from(LEAVES.split()), compound, max_leaves=25)


@settings(max_examples=400, deadline=5000)
@given(mutated())
def test_mutated_losses(text: str) -> None:
    read(text)


@settings(max_examples=200, deadline=5000)
@given(st.text(max_size=200))
def test_random_text(text: str) -> None:
    read(text)
    read(f"x: input\nL = {text}")


@settings(max_examples=300, deadline=5000)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
def test_token_soup(text: str) -> None:
    read(text)
    read(f"x: input\na: input[K]\nt: target in K\nL = {text}")


@settings(max_examples=600, deadline=5000)
@given(FORMULAS)
def test_hostile_formulas(text: str) -> None:
    loss = read(f"x: input\ny: input\na: input[K]\nt: target in K\nL = {text}")
    if loss is not None:
        assert parse(loss.text) == loss


@settings(max_examples=200, deadline=5000)
@given(st.lists(FORMULAS, min_size=2, max_size=8))
def test_hostile_definitions(formulas: list[str]) -> None:
    lines = ["x: input", "y: input", "a: input[K]", "t: target in K", "v0 = x"]
    for number, formula in enumerate(formulas, 1):
        lines.append(f"v{number} = {formula.replace('y', f'v{number - 1}')}")
    read("\n".join(lines))


@settings(max_examples=200, deadline=5000)
@given(st.one_of(st.text(max_size=60), FORMULAS, st.sampled_from(WORDS)))
def test_claims_and_entries(text: str) -> None:
    loss = load("linear_softmax_cross_entropy")
    for reader in (parse_expression, parse_entries):
        try:
            reader(loss, text)
        except PminusyError as error:
            assert str(error).startswith("<")


UNITS = [
    *("-", "not ", "a**", "1 if 1 else ", "lambda:", "x[0]", "x.", "x()", "(", "[", "{", "*"),
    *('"""', "'", "\\\n", "x<", "x and ", "x+", "x*", "é", "x\n", "x: input\n", "x;", "\t", "\f"),
]


@pytest.mark.parametrize("unit", UNITS)
def test_endless_repetition(unit: str) -> None:
    for length in (4000, 65536):
        repeated = (unit * length)[:length]
        read(repeated)
        read(f"x: input\nL = {repeated}"[:65536])
        read(f"x: input\nL = {repeated}x"[:65536])


HOSTILE = [
    "__import__('os').system('touch canary')",
    "().__class__.__bases__[0].__subclasses__()",
    'exec(\'open("canary", "w")\')',
    "(lambda: open('canary', 'w'))()",
    "[open('canary', 'w') for _ in '1']",
    'f\'{open("canary", "w")}\'',
    "x if open('canary', 'w') else x",
    "sum(x for k in __import__('os').environ)",
    "gamma(x)",
    "Symbol('x')",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_text_is_run(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def canary(*_: object, **__: object) -> None:
        raise AssertionError("something was run")

    for owner, name in [(builtins, "eval"), (builtins, "exec"), (builtins, "open"), (os, "system")]:
        monkeypatch.setattr(owner, name, canary)
    for written in (f"x: input\nL = {text}", text, f"{text}: input\nL = 1", f"x: {text}\nL = 1"):
        with pytest.raises(InputError):
            parse(written)
