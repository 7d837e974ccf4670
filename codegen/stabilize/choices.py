"""Rules for sums of choices by one condition, in whose branches terms cancel."""

from __future__ import annotations

from sympy import Add, Expr

from codegen.stabilize.complement import complement
from codegen.stabilize.local import body_of, rule
from derive.index import Choice
from derive.loss import Loss


@rule(
    "choices by one condition",
    "the branches are added up, and what is left of 1 in one of them keeps its digits",
)
def by_one_condition(node: Expr, loss: Loss) -> Expr | None:
    """c (u if t else v) + d (w if t else x) = c u + d w if t else c v + d x."""
    if not node.is_Add:
        return None
    found = []
    for arg in node.args:
        scale, name = arg.as_coeff_Mul()
        choice = body_of(name, loss) or name
        if isinstance(choice, Choice):
            found.append((arg, scale, choice))
    for at, (one, c, first) in enumerate(found):
        for two, d, second in found[at + 1 :]:
            if first.args[0] != second.args[0]:
                continue
            pairs = zip(first.args[1:], second.args[1:], strict=True)
            sums = [c * u + d * v for u, v in pairs]
            if any(complement.apply(branch, loss=loss) != branch for branch in sums):
                return Add(node, -one, -two, Choice(first.args[0], *sums))
    return None


RULES = (by_one_condition,)
