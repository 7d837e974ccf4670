"""What an ignored label leaves: nothing, by selection and not by a factor of 0."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, S

from derive.derivation import Rule
from derive.index import Choice, Condition, Delta, Entry, dangling, entries
from derive.loss import Declaration, Loss
from derive.normal import Undecided
from derive.rules.compare import where
from derive.rules.fold import shallow, unfolded
from derive.rules.registry import register
from derive.rules.shorten import factored


def _select(expr: Expr, loss: Loss) -> Expr:
    """0 where a label is ignored and the expression is then 0, else what is left of it."""
    for declaration in loss.declarations:
        if declaration.ignored is None:
            continue
        for label in _labels(expr, declaration, loss):
            expr = _selected(expr, Delta(label, Entry(declaration.ignored)), label, loss)
    return expr


def _labels(expr: Expr, declaration: Declaration, loss: Loss) -> Iterator[Entry]:
    """The labels of this declaration that the whole expression depends on."""
    found = {e for e in entries(loss.unfold(expr)) if e.tensor == declaration.tensor}
    yield from sorted((e for e in found if not dangling(e)), key=str)


def _selected(expr: Expr, same: Expr, label: Entry, loss: Loss) -> Expr:
    if expr == 0 or (isinstance(expr, Choice) and label in expr.args[0].operands):
        return expr
    try:
        exact = unfolded(loss)
        if exact(where(exact, loss.unfold(expr), (same, frozenset((1,))))):
            return expr
        rest = where(shallow(loss), expr, (same, frozenset((0,))))
        rest = min(rest, factored(shallow(loss)(rest)), key=lambda e: (len(str(e)), str(e)))
    except Undecided:
        return expr
    mark = next(side for side in same.args if side != label)
    return Choice(Condition("==", label, mark), S.Zero, rest)


select = register(
    Rule("ignored labels", "a sample whose label is ignored gives exactly 0", _select)
)
