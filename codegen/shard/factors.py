"""What normalises the terms of a sum over a split axis, taken out of it, so that it waits for less.

With e[k] = exp(x[k] - max x) and S = sum_k e[k], 1 <= S <= K, a sum of softmax probabilities
e[k]/S times anything is that of the e[k], divided by S: both go in one message.  What is divided
by lies in that range, so that nothing overflows or is lost that would not be otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sympy import Expr, Integer, Mul, Pow

from codegen.kernel import Map, Reduce, Statement, weighted
from codegen.lower.names import unique
from codegen.shard.signs import is_exponential, is_sum_of_exponentials
from derive.index import Choice, Entry, Index, Tensor, entries, free_indices, substitute

Parts = tuple[Expr, Expr]
ONE, ZERO = Integer(1), Integer(0)


def without_factor(
    statement: Statement, late: set[str], known: Mapping[str, Statement], taken: set[str]
) -> tuple[Reduce, Map] | None:
    """A sum of what waits, as a sum of what does not and its factor; None where there is none."""
    if not isinstance(statement, Reduce) or statement.op != "sum":
        return None
    scale = _Scale(frozenset(statement.over), late, known)
    found = scale.split(statement.expr)
    if found is None or found[0] == 1:
        return None
    name = unique(f"{statement.name}_scaled", taken)
    rest = replace(statement, name=name, expr=found[1])
    axes = tuple(index.axis for index in statement.indices)
    whole = Mul(found[0], Entry(Tensor(name, axes), *statement.indices))
    return rest, Map(statement.name, statement.indices, whole)


@dataclass(frozen=True)
class _Scale:
    """The indices that are summed over, what waits for a message, and how all is made."""

    over: frozenset[Index]
    late: set[str]
    known: Mapping[str, Statement]

    def split(self, expr: Expr) -> Parts | None:
        """(u, v) with expr = u v, where u is made of S and the same for every term, and v is not
        waiting, but for the second argument of a weight; None where there is no such form."""
        if not self._waits(expr):
            return ONE, expr
        if isinstance(expr, Entry):
            return self._entry(expr)
        if expr.is_Mul:
            parts = [self.split(arg) for arg in expr.args]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            return Mul(*(u for u, _ in known)), Mul(*(v for _, v in known))
        if isinstance(expr, weighted):
            return self._weighted(expr)
        if isinstance(expr, Pow) and not self._waits(expr.exp):
            base = None if free_indices(expr.exp) & self.over else self.split(expr.base)
            if base is None or not (base[1] == 1 or is_exponential(base[1], self.known)):
                return None
            return base[0] ** expr.exp, base[1] ** expr.exp
        if isinstance(expr, Choice) and expr.args[2] == 0 and not self._waits(expr.args[0]):
            chosen = self.split(expr.args[1])
            return None if chosen is None else (chosen[0], Choice(expr.args[0], chosen[1], ZERO))
        return None

    def _waits(self, expr: Expr) -> bool:
        return any(entry.tensor.name in self.late for entry in entries(expr))

    def _weighted(self, expr: Expr) -> Parts | None:
        weight, rest = (self.split(arg) for arg in expr.args)
        if weight is None:
            return None
        there = (ONE, expr.args[1]) if rest is None else rest
        return weight[0] * there[0], weighted(weight[1], there[1])

    def _entry(self, expr: Entry) -> Parts | None:
        if not free_indices(expr) & self.over and is_sum_of_exponentials(expr, self.known):
            return expr, ONE
        made = self.known.get(expr.tensor.name)
        plain = all(isinstance(index, Index) for index in expr.indices)
        if not isinstance(made, Map) or not plain:
            return None
        return self.split(substitute(made.expr, dict(zip(made.indices, expr.indices, strict=True))))
