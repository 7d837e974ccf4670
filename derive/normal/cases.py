"""Equality case by case: each condition, delta and two-valued entry is split on.

Branches that no point reaches are left out; in the others every sign that the branch settles
is put in, and both sides must have one normal form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sympy import Basic, Expr, S

from derive.functions import absolute
from derive.index import (
    Choice,
    Delta,
    Entry,
    Share,
    free_indices,
    order,
    substitute,
    walk,
)
from derive.index.binders import SCOPED
from derive.index.look import dangling, distinct
from derive.normal import almost, deltas, level, linear
from derive.normal.form import NormalForm
from derive.normal.gather import gathered
from derive.normal.poly import Poly, Undecided, add_to, to_expr
from derive.normal.signs import VALUES

MOST_BRANCHES = 96


@dataclass(frozen=True)
class Branch:
    """What a case puts in, and the comparisons (> 0 where strict, else >= 0) that it assumes."""

    put: Mapping[Expr, Expr]
    rows: tuple[tuple[Expr, bool], ...] = ()


class ByCases:
    """Decides whether expressions vanish, within a number of branches."""

    def __init__(self, form: NormalForm) -> None:
        self.form = form
        self.left = MOST_BRANCHES

    def equal(self, one: Expr, two: Expr) -> bool:
        """Whether two expressions are equal in every branch.

        Raises Undecided where there are too many, or a branch makes a side undefined.
        """
        difference = dict(self.form(one))
        add_to(difference, self.form(two), -1)
        return self._vanishes(difference, ())

    def _vanishes(self, poly: Poly, rows: tuple[tuple[Expr, bool], ...]) -> bool:
        self.left -= 1
        if self.left < 0:
            raise Undecided
        if self.form.vanishes(poly) or self.form.vanishes(gathered(self.form, poly)):
            return True
        expr = to_expr(poly)
        atom = _atom(self.form, expr)
        if atom is None:
            return False
        return all(self._holds(expr, rows, branch) for branch in self._branches(atom, expr))

    def _holds(self, expr: Expr, rows: tuple[tuple[Expr, bool], ...], branch: Branch) -> bool:
        """Whether the expression vanishes in one branch; it does where no point reaches it."""
        known = (*((_put(row, branch.put), strict) for row, strict in rows), *branch.rows)
        polys = [(self.form(row), strict) for row, strict in known]
        if linear.impossible(self.form, polys):
            return True
        here = _put(expr, branch.put)
        for poly, strict in polys[len(rows) :]:
            zero = None if strict else self._zero(poly, polys)
            if zero is not None:
                here = _put(here, zero)
                known = tuple((_put(row, zero), strict) for row, strict in known)
        return self._vanishes(self.form(here), known)

    def _zero(self, poly: Poly, rows: list[linear.Row]) -> Mapping[Expr, Expr] | None:
        """Where poly >= 0 can only be poly = 0: the entry that this determines."""
        if not poly or not linear.impossible(self.form, [*rows, (poly, True)]):
            return None
        return next(level.solutions(self.form, poly), None)

    def _branches(self, atom: Expr, expr: Expr) -> Iterator[Branch]:
        if isinstance(atom, Entry):
            kind = self.form.loss.declared[atom.tensor.name].domain.kind
            self.form.allows(f"{atom.tensor.name} in {kind}")
            for value in VALUES[kind]:
                yield Branch({atom: S(value)})
        elif isinstance(atom, Delta):
            keep, drop = deltas.keep_first(self.form, atom)
            yield Branch({drop: keep})
            yield Branch({atom: S.Zero})
        elif isinstance(atom, Choice):
            condition = atom.args[0]
            inner = condition.operands[0]
            equal = condition.op == "=="
            never = almost.never_zero(self.form, inner)
            yield Branch({atom: S.One}, ((inner, not equal), *(((-inner, False),) * equal)))
            yield Branch({atom: S.Zero}, () if equal else ((-inner, never),))
        elif isinstance(atom, Share):
            yield Branch({atom: S.One, **_attained(atom, expr)})
            yield Branch({atom: S.Zero})
        else:
            inner = atom.args[0]
            yield Branch({atom: inner}, ((inner, False),))
            yield Branch({atom: -inner}, ((-inner, False),))


def _attained(share: Expr, expr: Expr) -> dict[Expr, Expr]:
    """What follows from who attains an extremum: its value, and that no other one does."""
    extremum, place = share.args
    index, body, _ = extremum.open()
    put: dict[Expr, Expr] = {extremum: substitute(body, {index: place})}
    others = {node for node in walk(expr) if isinstance(node, Share) and node.args[0] == extremum}
    for other in sorted(others - {share}, key=order):
        if dangling(other):
            return {}
        put[other] = Delta(other.args[1], place)
    return put


def _put(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    found: Expr = substitute(expr, values)
    if not level.ENDLESS.isdisjoint(distinct(found)):
        raise Undecided
    return found


def _atom(form: NormalForm, expr: Expr) -> Expr | None:
    """The next thing to split on: of two values first, then what stands inside nothing else."""
    found = {node for node in distinct(expr) if _splits(form, node) and _outermost(node)}
    ranks = {Entry: 0, Delta: 1, Choice: 2, Share: 3}
    key = lambda node: (ranks.get(type(node), 4), _depth(node, found), order(node))  # noqa: E731
    return min(found, key=key, default=None)


def _outermost(node: Basic) -> bool:
    """Whether a node holds no index of a sum around it."""
    return not dangling(node) and all(index.uid < SCOPED for index in free_indices(node))


def _depth(node: Expr, among: set[Expr]) -> int:
    """How many of the others stand inside this one."""
    return len(among & distinct(node)) - 1


def _splits(form: NormalForm, node: Basic) -> bool:
    if isinstance(node, Entry):
        declaration = form.loss.declared.get(node.tensor.name)
        kind = declaration.domain.kind if declaration else ""
        return kind in VALUES and form.may_assume(f"{node.tensor.name} in {kind}")
    return isinstance(node, Delta | Choice | Share | absolute)
