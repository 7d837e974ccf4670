"""Proofs by the normal form: at once, off the kinks, case by case, functions of deltas apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sympy import Expr

from derive import apart
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.cases import ByCases
from derive.places import by_levels, taken_apart
from derive.verdict import Verdict

EXACTLY: frozenset[str] = frozenset()
Way = tuple[Loss, Expr, Expr, frozenset[str], Callable[[NormalForm, Expr, Expr], bool]]


def plainly(loss: Loss, claim: Expr, truth: Expr) -> Verdict | None:
    """A proof that both have one normal form."""
    return _proof(loss, claim, truth, EXACTLY, NormalForm.equal)


def otherwise(loss: Loss, claim: Expr, truth: Expr, varying: frozenset[str]) -> Verdict | None:
    """A proof in another way; `varying` are the names at whose kinks the two may differ."""
    ways = (_proof(*way) for way in _ways(loss, claim, truth, varying))
    found = next(filter(None, ways), None) or _in_cases(loss, claim, truth, varying)
    return None if found is None else replace(found, claim=claim)


def _ways(loss: Loss, claim: Expr, truth: Expr, varying: frozenset[str]) -> Iterator[Way]:
    """What else is tried than one normal form, the quickest first."""
    yield loss, claim, truth, varying, NormalForm.equal
    yield loss, claim, truth, EXACTLY, _by_cases
    yield loss, claim, truth, varying, _by_cases
    for whole, text in taken_apart(loss, claim, truth):
        yield whole, text, truth, EXACTLY, NormalForm.equal
        yield whole, text, truth, varying, NormalForm.equal


def _in_cases(loss: Loss, claim: Expr, truth: Expr, varying: frozenset[str]) -> Verdict | None:
    """A proof where a number is the one that a choice asks for, and one where it is not."""
    found: list[Verdict] = []
    for whole, text in by_levels(loss, claim, truth):
        ways = (_proof(whole, text, truth, almost, _by_cases) for almost in (EXACTLY, varying))
        proof = next(filter(None, ways), None)
        if proof is None:
            return None
        found.append(proof)
    used = tuple(dict.fromkeys(hypothesis for proof in found for hypothesis in proof.hypotheses))
    longest = max(found, key=lambda proof: len(proof.reason), default=None)
    return None if longest is None else replace(longest, hypotheses=used)


def _by_cases(form: NormalForm, claim: Expr, truth: Expr) -> bool:
    return form.assume is True and ByCases(form).equal(claim, truth)


def _proof(
    loss: Loss,
    claim: Expr,
    truth: Expr,
    almost: frozenset[str],
    equal: Callable[[NormalForm, Expr, Expr], bool],
) -> Verdict | None:
    """A proof by one method, without the hypotheses first; None where there is none."""
    for assume in (False, True):
        form = NormalForm(loss, assume=assume, almost=almost)
        try:
            if not equal(form, claim, truth):
                continue
        except Undecided:
            continue
        if not apart.nonzero(loss, form.edges):
            continue
        used = tuple(sorted(form.used))
        reason = "both sides have the same normal form"
        if equal is _by_cases:
            reason += " in each case"
        if almost:
            reason += " off the kinks, at which any value between the one-sided ones is accepted"
        if used:
            reason += ", given " + " and ".join(used)
        return Verdict("proved", claim, truth, reason, used)
    return None
