"""A sum of exponentials from what is summed anyway: its ties at the maximum, and the rest."""

from __future__ import annotations

from sympy import Add, Expr

from codegen.kernel import Map, Reduce, Statement, defines, reads
from derive.index import Choice, Entry


def from_parts(statements: list[Statement], large: frozenset[str]) -> list[Statement]:
    """sum e = sum (e - [tied]) + sum [tied], where those two are there: one reduction less.

    Both parts are sums of what is >= 0, so nothing cancels.
    """
    for at, whole in enumerate(statements):
        if not isinstance(whole, Reduce) or whole.name not in large:
            continue
        parts = _parts(whole, statements)
        if parts is None:
            continue
        first = min(at, *(statements.index(part) for part in parts))
        later = {s.name for s in statements[first:]}
        if any(entry.tensor.name in later for part in parts for entry in reads(part)):
            continue
        total = Add(*(Entry(defines(part), *part.indices) for part in parts))
        made: list[Statement] = [*parts, Map(whole.name, whole.indices, total)]
        rest = [s for s in statements[first:] if s not in parts and s is not whole]
        return from_parts([*statements[:first], *made, *rest], large - {whole.name})
    return statements


def _parts(whole: Reduce, statements: list[Statement]) -> tuple[Reduce, Reduce] | None:
    others = [
        s
        for s in statements
        if isinstance(s, Reduce)
        and s.op == "sum"
        and (s.indices, s.over) == (whole.indices, whole.over)
    ]
    for ties in others:
        for rest in others:
            if _is_count(ties.expr) and Add(ties.expr, rest.expr) == whole.expr:
                return rest, ties
    return None


def _is_count(expr: Expr) -> bool:
    return isinstance(expr, Choice) and expr.args[1:] == (1, 0)
