"""Losses that the library does not hold, with gradients worked out by hand, right and wrong.

`red_cases.txt` is written as `prover_cases.txt` is.  What is right, and what the engine derives,
is held against central differences at 60 digits of the text run as plain Python.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from random import Random

import mpmath
import pytest
from mpmath import mp, mpf
from plain import FUNCTIONS, claimed, slope
from points import generic_point
from samples import with_coined

from derive import InputError, check, gradient, parse
from derive.notation import parse_entries
from derive.printing import language

PATH = Path(__file__).with_name("red_cases.txt")
PLACES = 2
MORE = {
    "sin": mpmath.sin, "cos": mpmath.cos, "asin": mpmath.asin, "acos": mpmath.acos,
    "atan": mpmath.atan, "log1p": mpmath.log1p, "erf": mpmath.erf, "erfc": mpmath.erfc,
    "lgamma": mpmath.loggamma,
    "digamma": mpmath.digamma, "trigamma": lambda x: mpmath.psi(1, x), "pi": mp.pi,
}  # fmt: skip


def read() -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """(name, loss, claims) of every block; a claim is (= or !, entry, text)."""
    found = []
    for block in PATH.read_text().split("\n--- ")[1:]:
        name, *lines = block.strip().splitlines()
        claims = [line for line in lines if line.startswith(("= ", "! "))]
        text = "\n".join(line for line in lines if line not in claims) + "\n"
        found.append((name, text, [(c[0], *c[2:].split(" : ", 1)) for c in claims]))
    return found


CASES = read()


@pytest.fixture(autouse=True)
def more_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `plain` the functions of these losses."""
    for name, function in MORE.items():
        monkeypatch.setitem(FUNCTIONS, name, function)


@pytest.mark.parametrize(("name", "text", "claims"), CASES, ids=[case[0] for case in CASES])
def test_verdicts(name: str, text: str, claims: list[tuple[str, str, str]]) -> None:
    loss = parse(text, name)
    for sign, entry, claim in claims:
        verdict = check(loss, entry, claim)
        assert verdict.status == ("proved" if sign == "=" else "refuted"), (entry, claim, verdict)


def _assert_slope(text: str, entry: str, claim: str) -> None:
    """A claim equals the differences of the loss at a point without ties."""
    loss = parse(text)
    variables = parse_entries(loss, entry)
    if any(variable.tensor.name not in loss.declared for variable in variables):
        return
    point = generic_point(loss, 3)
    indices = list(dict.fromkeys(i for variable in variables for i in variable.indices))
    places = list(product(*(range(point.sizes[index.axis.name]) for index in indices)))
    Random(5).shuffle(places)
    with mp.workdps(60):
        for place in places[:PLACES]:
            at = dict(zip(indices, place, strict=True))
            along = [(v.tensor.name, tuple(at[i] for i in v.indices)) for v in variables]
            letters = {index.name: number for index, number in at.items()}
            try:
                true = slope(text, point.sizes, point.values, along[0][0], along)
                found = claimed(text, point.sizes, point.values, claim, letters)
            except (ValueError, ZeroDivisionError):
                continue  # the point lies outside of where the loss is defined
            assert abs(true - found) < mpf(10) ** -12 * (1 + abs(true)), (entry, claim, letters)


@pytest.mark.parametrize(("name", "text", "claims"), CASES, ids=[case[0] for case in CASES])
def test_what_is_called_right_is_the_slope(
    name: str, text: str, claims: list[tuple[str, str, str]]
) -> None:
    """Both the claims of the table and what the engine derives, for the names they are about."""
    right = [(entry, claim) for sign, entry, claim in claims if sign == "="]
    for entry, claim in right:
        _assert_slope(text, entry, claim)
    loss = parse(text, name)
    for entry in dict.fromkeys(entry for _, entry, _ in claims):
        variable, *others = parse_entries(loss, entry)
        if others or variable.tensor.name not in loss.declared:
            continue
        derivation = gradient(loss, variable)
        assert all(step.check != "unknown" for step in derivation.steps)
        result = language(derivation.result, loss)
        if "share(" not in result and "step(" not in result:
            _assert_slope(with_coined(text, derivation.loss), entry, result)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("lambda: const\nx: input\nL = lambda*x\n", 1, "the word 'lambda'"),
        ("K: input[K]\nL = K\n", 1, "the name of a tensor"),
        ("sum: input\nL = sum\n", 1, "the language's own words"),
        ("i: input\nx: input[K]\nL = i*sum(x[i] for i in K)\n", 3, "already has a meaning"),
        ("x: input[K]\nL = sum(x[i+1] for i in K)\n", 2, "an index over axis K"),
        ("x: input[K]\nL = sum(x[i]*i for i in K)\n", 2, "used as a number"),
        ("x: input\nL = x if x > 0\n", 2, "else"),
        ("x: input\nL = x^2\n", 2, "one of +, -, *, /, **"),
    ],
)
def test_a_mistake_has_its_place(text: str, line: int, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.place.line == line and words in str(caught.value)


@pytest.mark.parametrize("name", ["E", "I", "S", "Q", "O", "beta", "zeta", "λ", "print", "match"])
def test_names_that_others_keep_are_the_authors(name: str) -> None:
    loss = parse(f"{name}: input\nc: const\nL = c*{name}**2\n")
    assert check(loss, name, f"2*c*{name}").status == "proved"
    assert check(loss, name, f"2*{name}").status == "refuted"


def test_a_bound_that_is_irrational_holds() -> None:
    """No point of a refutation lies outside of a domain such as 0 < x < pi/2."""
    found = check(parse("x: 0 < input < pi/2\nL = sin(x)\n"), "x", "1").counterexample
    assert found is not None and 0 < found.point.values["x"][()] < 1.5708
