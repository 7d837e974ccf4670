"""Bounds of sums of w log(a / b), such as divergences, by the tangent of the logarithm.

log u <= u - 1 for u > 0, with equality at u = 1 alone.  So w log(a / b) >= w (1 - b / a) where
w >= 0: of two distributions, sum_i q_i log(q_i / p_i) >= sum_i (q_i - p_i) = 0.  That is Gibbs'
inequality.  Source: Cover and Thomas, Elements of Information Theory (2006), section 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import islice

from sympy import Add, Expr, Integer, expand, log

from derive.index import Entry, Tensor, free_indices, tensors, total
from derive.logarithms import Logs, Path, Weighted, logarithms
from derive.loss import Loss
from derive.normal import Undecided
from derive.normal.kept import assuming_all
from derive.normal.poly import content, mono_expr, to_expr
from derive.ranges import Ranges
from derive.rules.fold import shallow
from derive.rules.shorten import factored
from derive.sampling import points
from derive.statement import value_at

TANGENT = "log u <= u - 1"
MIXTURE = "a part of a mixture is at most the whole"
TRIED = 24  # points at which a bound is tried, though it is proved


@dataclass(frozen=True)
class Bound:
    """An ascending chain of expressions, each <= the next, with the loss at place `at`, and why."""

    chain: tuple[Expr, ...]
    at: int
    why: str = TANGENT

    @property
    def lower(self) -> Expr | None:
        return self.chain[0] if self.at else None

    @property
    def upper(self) -> Expr | None:
        return self.chain[-1] if self.at < len(self.chain) - 1 else None


@dataclass(frozen=True)
class Term:
    """sum over a path of  sum_a w_a log(a / below),  where every w_a, a and `below` is >= 0."""

    path: Path
    above: tuple[Weighted, ...]
    below: Expr

    @property
    def is_entropy(self) -> bool:
        """Whether the weight is what the logarithm is of."""
        return any(a == self.below for a, _ in self.above)

    def summed(self, body: Expr) -> Expr:
        """The sum over the path; a distribution's own axis, its last, is inside."""
        places = self.below.indices if isinstance(self.below, Entry) else self.path
        path = sorted(self.path, key=lambda i: places.index(i) if i in places else -1)
        return reduce(lambda inner, index: total(index, inner), reversed(path), body)

    @property
    def tangent(self) -> Expr:
        """What each entry is at least: every log(a / b) is at least 1 - b / a."""
        return Add(*(expand(w - w * self.below / a) for a, w in self.above))


def divergence_bounds(loss: Loss) -> Bound | None:
    """Numbers, or expressions in consts, that a loss made of divergences lies between."""
    logs = logarithms(loss)
    terms = _terms(loss, logs) if logs else None
    if logs is None or not terms:
        return None
    body = loss.value.body
    chain, why = [body], []
    form = shallow(loss)
    tangent = Add(*logs.rest, *(term.summed(factored(form(term.tangent))) for term in terms))
    least = _in_consts(loss, tangent)
    if least is not None and _holds(loss, least, body):
        chain, why = [*dict.fromkeys((least, tangent, body))], [TANGENT]
    at = len(chain) - 1
    most = _at_most(loss, logs, terms)
    if most is not None and _holds(loss, body, most):
        chain, why = [*chain, most], [*why, MIXTURE]
    return Bound(tuple(chain), at, " and ".join(why)) if why else None


def entropy_bound(loss: Loss) -> Bound | None:
    """-sum a log a is at most log K, where a is a distribution over K."""
    terms = _crossed(loss)
    if terms is None or len(terms) != 1 or not terms[0].is_entropy:
        return None
    (term,), body = terms, loss.value.body
    mass = _in_consts(loss, term.summed(term.below))
    if len(term.path) != 1 or mass != 1:
        return None
    most = log(term.path[0].axis)
    return Bound((body, most), 0) if _holds(loss, body, most) else None


def gibbs(loss: Loss) -> tuple[Bound, Expr, Expr] | None:
    """-sum w log a is at least -sum w log w, w and a both distributions; and this a and w."""
    terms = _crossed(loss)
    if not terms or any(term.is_entropy for term in terms) or not _one_in_all(loss, terms):
        return None
    least = Add(*(-term.summed(w * log(w)) for term in terms for w, _ in term.above))
    known = _in_consts(loss, Add(*(term.summed(term.tangent) for term in terms)))
    if known != 0 or not _holds(loss, least, loss.value.body):
        return None
    first = max(terms, key=lambda term: isinstance(term.below, Entry))
    return Bound((least, loss.value.body), 1), first.below, first.above[0][0]


def _one_in_all(loss: Loss, terms: list[Term]) -> bool:
    """Whether the weights are of one distribution: over an axis, or of an event and its like."""
    if len(terms) == 1:
        return _in_consts(loss, terms[0].summed(terms[0].above[0][0])) == 1
    pairs = [(term.below, term.above[0][0]) for term in terms if not term.path]
    return len(pairs) == len(terms) == 2 and all(
        _equal(loss, Add(*both), Integer(1)) for both in zip(*pairs, strict=True)
    )


@lru_cache(maxsize=1 << 6)
def _crossed(loss: Loss) -> list[Term] | None:
    """A loss that is -sum w log a alone, as sum w log(w / a) short of its first half."""
    logs = logarithms(loss)
    if logs is None or any(logs.rest):
        return None
    terms = []
    for path, weights in logs.weights.items():
        for a, weight in weights:
            if not _all_nonnegative(loss, -weight, a):
                return None
            own = factored(shallow(loss)(-weight))
            terms.append(Term(path, ((own, own),), a))
    return terms


def _terms(loss: Loss, logs: Logs) -> list[Term] | None:
    """The logarithms below, each with those above that have together its weight."""
    found: list[Term] = []
    for path, weights in logs.weights.items():
        pairs = _paired(loss, path, weights) or _paired(loss, path, _apart(loss, weights))
        if pairs is None:
            return None
        found += pairs
    return found


def _paired(loss: Loss, path: Path, weights: tuple[Weighted, ...]) -> list[Term] | None:
    above = [(a, w) for a, w in weights if _all_nonnegative(loss, w, a)]
    below, found = [each for each in weights if each not in above], []
    for b, weight in below:
        sets = [*([each] for each in above), above]
        alike = (s for s in sets if _equal(loss, Add(*(w for _, w in s)), -weight))
        chosen = next(alike, None)
        if chosen is None or not _all_nonnegative(loss, b):
            return None
        found.append(Term(path, tuple(chosen), b))
        above = [each for each in above if each not in chosen]
    return None if above else found


def _apart(loss: Loss, weights: tuple[Weighted, ...]) -> tuple[Weighted, ...]:
    """Every term of a weight on its own."""
    form = shallow(loss)
    return tuple((a, to_expr({m: c})) for a, w in weights for m, c in form(w).items())


def _at_most(loss: Loss, logs: Logs, terms: list[Term]) -> Expr | None:
    """Where each `below` is the sum of the weights c a, as a mixture is: a / below <= 1 / c."""
    found = [*logs.rest]
    for term in terms:
        scale = _scale(loss, term)
        if scale is None:
            return None
        parts = []
        for a, weight in term.above:
            share = factored(shallow(loss)(weight / (a * scale)))
            if free_indices(share):
                return None
            parts.append(-weight * log(share))
        found.append(term.summed(Add(*parts)))
    return _in_consts(loss, Add(*found))


def _scale(loss: Loss, term: Term) -> Expr | None:
    """The constant that `below` is multiplied by in the sum of the weights, if it is > 0."""
    whole = Add(*(w for _, w in term.above))
    if _equal(loss, whole, term.below):
        return Integer(1)
    _, common, _ = content(shallow(loss)(whole))
    front = mono_expr(frozenset(item for item in common if not free_indices(item[0])))
    consts = tensors(front) <= _consts(loss) and _all_nonnegative(loss, front)
    return front if consts and _equal(loss, whole, front * term.below) else None


def _equal(loss: Loss, one: Expr, two: Expr) -> bool:
    try:
        return shallow(loss).equal(one, two) or assuming_all(loss).equal(one, two)
    except Undecided:
        return False


def _all_nonnegative(loss: Loss, *parts: Expr) -> bool:
    """Whether all are known to be >= 0, as they are or factored."""
    ranges, form = Ranges(loss), shallow(loss)
    return all(ranges.nonnegative(e) or ranges.nonnegative(factored(form(e))) for e in parts)


def _in_consts(loss: Loss, expr: Expr) -> Expr | None:
    """An expression as one in consts alone, by what definitions and domains say of sums."""
    try:
        poly = assuming_all(loss)(expr)
    except Undecided:
        return None
    whole = to_expr(poly)
    constant = not free_indices(whole) and tensors(whole) <= _consts(loss)
    return factored(poly) if constant else None


def _consts(loss: Loss) -> set[Tensor]:
    return {d.tensor for d in loss.declarations if d.role == "const"}


def _holds(loss: Loss, one: Expr, two: Expr) -> bool:
    """Whether no point that is tried says that one > two."""
    gaps = (value_at(loss, two - one, point) for point in islice(points(loss), TRIED))
    return not any(gap is not None and gap < 0 for gap in gaps)
