"""Choices that are a maximum, a minimum, an absolute value or a clip."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, Mul, S

from derive.functions import absolute, largest, relu, signum, smallest
from derive.index import Choice, Condition
from derive.normal import NormalForm, Undecided
from derive.normal.cases import ByCases
from derive.rules.compare import compared, difference
from derive.rules.shorten import length, shortness

LONGEST = 40
EXTREMA = (largest, smallest)


def as_extremum(form: NormalForm, condition: Condition, yes: Expr, no: Expr) -> Expr | None:
    """The shortest extremum that a choice is, proved case by case; None where it is none."""
    choice = Choice(condition, yes, no)
    fact = compared(form, condition)
    if fact is None or length(choice) > LONGEST:
        return None
    for candidate in sorted(_candidates(form, fact[0], yes, no), key=shortness):
        if length(candidate) < length(choice) and _equal(form, choice, candidate):
            return candidate
    return None


def _candidates(form: NormalForm, key: Expr, yes: Expr, no: Expr) -> Iterator[Expr]:
    for one, two in ((yes, no), (no, yes)):
        if two == 0:
            for factor in Mul.make_args(one):
                if _changes(form, key, factor):
                    rest = Mul(*(arg for arg in Mul.make_args(one) if arg is not factor))
                    yield rest * relu(factor)
                    yield -rest * relu(-factor)
        elif one == -two and _changes(form, key, one):
            yield absolute(one)
        for factor in Mul.make_args(two):
            if isinstance(factor, signum):
                bound = Mul(*(arg for arg in Mul.make_args(two) if arg is not factor))
                yield largest(-bound, smallest(bound, one))
    if 0 not in (yes, no) and yes != -no:
        nested = isinstance(yes, EXTREMA) or isinstance(no, EXTREMA)
        if nested or _changes(form, key, yes - no):
            yield largest(yes, no)
            yield smallest(yes, no)


def _changes(form: NormalForm, key: Expr, expr: Expr) -> bool:
    """Whether an expression changes its sign where the key does: it is a multiple of that."""
    found = difference(form, expr, S.Zero, frozenset())
    return found is not None and found[0] == key


def _equal(form: NormalForm, one: Expr, two: Expr) -> bool:
    try:
        return ByCases(form.opaque).equal(one, two)
    except Undecided:
        return False
