"""Expressions where a condition holds: u > v is u = v + s for a number s >= 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sympy import Add, Expr, S

from derive.index import Condition, Entry, Tensor, is_index, nodes, order, substitute
from derive.loss import Declaration, Domain, Loss
from derive.normal import Undecided, to_expr
from derive.normal.level import ENDLESS
from derive.rules.compare import OPPOSITE
from derive.rules.fold import shallow


@dataclass(frozen=True)
class Under:
    """An expression where a condition holds, over a loss that declares the number s >= 0, and
    the same with s written out, which is the expression again."""

    loss: Loss
    expr: Expr
    shown: Expr


def under(loss: Loss, condition: Condition, expr: Expr, holds: bool = True) -> Iterator[Under]:
    """The expression with what one comparison of the condition says put in, in each way."""
    slack = Entry(Tensor(loss.unused_name("s", "slack", "above")))
    positive = Declaration(slack.tensor, "const", Domain(lower=S.Zero))
    widened = replace(loss, declarations=(*loss.declarations, positive))
    for gap in _gaps(condition, holds):
        for atom, value in _solutions(gap, slack, expr):
            try:
                put = to_expr(shallow(widened)(substitute(expr, {atom: value})))
            except Undecided:
                continue
            if ENDLESS.isdisjoint(nodes(put)):
                yield Under(widened, put, substitute(put, {slack: gap}))


def _gaps(condition: Condition, holds: bool) -> Iterator[Expr]:
    """What is known to be >= 0."""
    op, operands = condition.op, condition.operands
    if op == "not":
        yield from _gaps(operands[0], not holds)
    elif op in ("and", "or") and (op == "and") == holds:
        for part in operands:
            yield from _gaps(part, holds)
    elif op in OPPOSITE and not is_index(operands[0]):
        left, right = operands
        op = op if holds else OPPOSITE[op]
        if op in (">", ">=", "=="):
            yield left - right
        if op in ("<", "<=", "=="):
            yield right - left


def _solutions(gap: Expr, slack: Expr, expr: Expr) -> Iterator[tuple[Expr, Expr]]:
    """gap = s solved for each of its terms that the expression holds."""
    inside = nodes(expr)
    for term in sorted(Add.make_args(gap), key=order):
        number, atom = term.as_coeff_Mul()
        rest = gap - term
        if atom in inside and not atom.is_number and atom not in nodes(rest):
            yield atom, (slack - rest) / number
