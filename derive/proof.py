"""Verdicts: a claim is proved by the exact normal form, or refuted by a rigorous counterexample.

The proof compares the claim with the derivative of the fully unfolded loss.  A refutation
compares balls: the claim's value against automatic differentiation of the loss itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from itertools import product as cartesian

from flint import arb, ctx
from sympy import Expr

from derive import edges, kinks, valueless
from derive.balls import Undetermined
from derive.evaluate import Evaluator
from derive.functions import absolute, largest, relu, signum, smallest, step
from derive.index import (
    Choice,
    Index,
    Maximum,
    Minimum,
    axis_of,
    free_indices,
    kinds,
)
from derive.loss import Loss
from derive.point import Point
from derive.prove import otherwise, plainly
from derive.sampling import numbers, points
from derive.shrink import shrink
from derive.verdict import Counterexample, Verdict

PRECISION = 128
MOST_PLACES = 12
ALL_PLACES = 10_000  # of a point that somebody gave
MOST_KINKS = 8
MOST_SKIPPED = 30
MOST_AT_EDGES = 3
FIRST = 6  # points that are tried before a proof is
APART = "a counterexample in ball arithmetic: the two balls do not meet"
AT_KINK = (
    "a counterexample at a kink: the claim is none of the values between the derivatives all "
    "around it"
)
ELSEWHERE = "; at the numbers given they agree"
EDGED = frozenset((Choice, Maximum, Minimum, absolute, relu, largest, smallest, signum, step))


def decide(
    loss: Loss,
    claim: Expr,
    truth: Expr,
    varying: frozenset[str] = frozenset(),
    at: Point | None = None,
) -> Verdict:
    """Compare two expressions of one loss, whose free indices mean the same.

    `varying` are the declared names that a derivative is taken along: at the kinks in them
    the two may differ.  A counterexample is looked for at the point `at` first.
    """
    if at is not None and (here := differs(loss, claim, truth, at, most=ALL_PLACES)[0]):
        return Verdict("refuted", claim, truth, APART, (), here, tried=1)
    search = _Search(loss, claim, truth)
    many = chain(points(loss, hints=numbers(loss, claim)), edges.and_beyond(loss, claim))
    found = search.among(islice(many, FIRST))
    proof = plainly(loss, claim, truth) if found is None else None
    if proof is not None:  # at its edges a proof takes one side
        many = chain(points(loss, 2), edges.on_levels(loss, claim))
    found = search.among(many) if found is None else found
    if found is not None:
        return found if at is None else replace(found, reason=APART + ELSEWHERE)
    missing = without_value(loss, claim, truth)
    if missing is not None:
        return missing
    if proof is not None:
        return proof
    proof = otherwise(loss, claim, truth, varying)
    if proof is not None:
        return proof
    found = _at_edges(loss, claim, truth)
    return search.unknown() if found is None else found


def without_value(
    loss: Loss, claim: Expr, truth: Expr, whole: Loss | None = None
) -> Verdict | None:
    """A refutation where the claim has no value all around a point at which the truth has one.

    The value of `whole` is one too, if that is given: the loss as its text says it.
    """
    if not valueless.may_be(claim):
        return None

    def missing(point: Point) -> Counterexample | None:
        if whole is not None and valueless.why(whole, whole.value.entry, point, {}):
            return None
        return _missing(loss, claim, truth, point)

    def around(point: Point) -> Counterexample | None:
        found = missing(point)
        everywhere = found and all(map(missing, valueless.beside(loss, point)))
        return found if everywhere else None

    for found in filter(None, map(around, valueless.generic(loss))):
        small = shrink(loss, found, around)
        env = {index: small.indices[index.name] for index in letters(claim, truth)}
        why = valueless.why(loss, claim, small.point, env)
        reason = f"the claim has no value at this point, nor around it: {why}"
        return Verdict("refuted", claim, truth, reason, (), small, tried=1)
    return None


def _missing(loss: Loss, claim: Expr, truth: Expr, point: Point) -> Counterexample | None:
    """The place at a point where the truth has a value and the claim has none."""
    for env in places(letters(claim, truth), point.sizes, MOST_AT_EDGES):
        if not valueless.why(loss, claim, point, env):
            continue
        true = valueless.value(loss, truth, point, env)
        if true is not None:
            named = {index.name: number for index, number in env.items()}
            return Counterexample(point, named, arb("nan"), true)
    return None


def _at_edges(loss: Loss, claim: Expr, truth: Expr) -> Verdict | None:
    """A refutation next to an edge of the claim: a threshold that is off by little."""
    if not kinds(claim) & EDGED:
        return None
    for one, two in edges.pairs(loss, claim):
        for env in islice(places(letters(claim, truth), one.sizes), MOST_AT_EDGES):
            for point in edges.between(loss, claim, env, one, two):
                found, _, _ = differs(loss, claim, truth, point)
                if found is not None:
                    small = _shrink(loss, claim, truth, found)
                    return Verdict("refuted", claim, truth, APART, (), small)
    return None


class _Search:
    """Looks for a counterexample at one point after the other, and counts them."""

    def __init__(self, loss: Loss, claim: Expr, truth: Expr) -> None:
        self.loss, self.claim, self.truth = loss, claim, truth
        self.tried = self.skipped = self.met = 0

    def among(self, many: Iterable[Point]) -> Verdict | None:
        """The refutation at the first of some points where there is one."""
        for point in many:
            found, seen, at_kinks = differs(self.loss, self.claim, self.truth, point)
            self.tried += seen
            self.skipped += not seen
            if self.skipped >= MOST_SKIPPED and not self.tried:
                break
            if found is not None:
                return self._refuted(_shrink(self.loss, self.claim, self.truth, found), APART)
            beyond = self._beyond(point, at_kinks)
            if beyond is not None:
                return self._refuted(beyond, AT_KINK)
        return None

    def _beyond(self, point: Point, at_kinks: list[dict[Index, int]]) -> Counterexample | None:
        """A place at which the claim is none of the values between the slopes around it."""
        for env in at_kinks[: MOST_KINKS - self.met]:
            self.met += 1
            beyond = kinks.outside(self.loss, self.claim, self.truth, point, env)
            if beyond is not None:
                named = {index.name: number for index, number in env.items()}
                return Counterexample(point, named, *beyond)
        return None

    def _refuted(self, found: Counterexample, reason: str) -> Verdict:
        return Verdict("refuted", self.claim, self.truth, reason, (), found, tried=self.tried)

    def unknown(self) -> Verdict:
        """What is said where no point decides, and no proof does."""
        reason = (
            f"the normal forms differ, but at {self.tried} points in ball arithmetic "
            "both sides agree"
            if self.tried
            else f"neither side could be evaluated at any of {self.skipped} points"
        )
        return Verdict("unknown", self.claim, self.truth, reason, tried=self.tried)


def letters(*exprs: Expr) -> tuple[Index, ...]:
    """The free indices of some expressions, in a fixed order."""
    found = frozenset().union(*(free_indices(expr) for expr in exprs))
    return tuple(sorted(found, key=lambda index: (index.name, index.axis.name, index.uid)))


def places(
    indices: tuple[Index, ...], sizes: Mapping[str, int], most: int = MOST_PLACES
) -> Iterator[dict[Index, int]]:
    """Index numbers to try, a few where there are many."""
    ranges = [range(sizes[axis_of(index).name]) for index in indices]
    for count, chosen in enumerate(cartesian(*ranges)):
        if count >= most:
            return
        yield dict(zip(indices, chosen, strict=True))


def differs(
    loss: Loss,
    claim: Expr,
    truth: Expr,
    point: Point,
    strict: bool = False,
    most: int = MOST_PLACES,
) -> tuple[Counterexample | None, int, list[dict[Index, int]]]:
    """A counterexample at this point, whether the point could be evaluated, and where not.

    The truth is evaluated first: where it has a kink the place is left out, and listed.
    `strict` leaves out every point on which an order comparison is an equality.
    """
    seen = 0
    kinked: list[dict[Index, int]] = []
    with ctx.workprec(PRECISION):
        evaluator = Evaluator(loss, point, strict)
        indices = letters(claim, truth)
        for env in places(indices, point.sizes, most):
            try:
                true = evaluator(truth, env)
            except Undetermined:
                kinked.append(env)
                continue
            except (ZeroDivisionError, ValueError):
                continue
            claimed = number(evaluator, claim, env) if true.is_finite() else None
            if claimed is None:
                continue
            seen = 1
            if not claimed.overlaps(true):
                named = {index.name: number for index, number in env.items()}
                return Counterexample(point, named, claimed, true), 1, kinked
    return None, seen, kinked


def number(evaluator: Evaluator, expr: Expr, env: Mapping[Index, int]) -> arb | None:
    """The value, where there is one."""
    try:
        value = evaluator(expr, env)
    except (Undetermined, ZeroDivisionError, ValueError):
        return None
    return value if value.is_finite() else None


def _shrink(loss: Loss, claim: Expr, truth: Expr, found: Counterexample) -> Counterexample:
    return shrink(loss, found, lambda point: differs(loss, claim, truth, point)[0])
