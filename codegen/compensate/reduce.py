"""What is lost of sums and extrema over an axis."""

from __future__ import annotations

from sympy import Expr, S, oo

from codegen.compensate.carry import Carrier
from codegen.kernel import Reduce, leading
from derive.functions import absolute
from derive.index import Choice, Condition

# Above the sum of the sizes, for the leading parts to add up without rounding; a power of 2, for
# a compiler may fuse the product with the sum that cuts.
ROOM = 4


def reduced(statement: Reduce, value: Expr, lost: Expr, to: Carrier) -> tuple[Expr, Expr]:
    """The reduction of values of which something is lost, and what is lost of it."""
    if statement.op == "sum" and not to.is_whole(statement.expr):
        return _summed(statement, to.hoist(value), lost, to)
    if statement.op not in ("max", "min") or lost == 0:
        return value, S.Zero
    whole = to.reduce(statement, statement.op, value)
    never = -oo if statement.op == "max" else oo
    taken = Choice(Condition("==", value, whole), lost, never)
    return whole, to.reduce(statement, statement.op, taken)


def _summed(statement: Reduce, term: Expr, lost: Expr, to: Carrier) -> tuple[Expr, Expr]:
    """Each term is cut at one digit for all: the leading parts have an exact sum.

    Source: Rump, Ogita and Oishi (2008).
    """
    whole = to.reduce(statement, "sum", term)
    unit = to.hoist(ROOM * to.reduce(statement, "sum", absolute(term)))
    high = to.hoist(leading(term, unit))
    low = to.hoist(term - high)
    exact = to.hoist(to.reduce(statement, "sum", high) - whole)
    return whole, exact + to.reduce(statement, "sum", low + lost)
