"""Statements as lines of NumPy: what the whole-array writer gives, and what is done in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from codegen.kernel import Map, Statement
from codegen.targets import array_lines
from codegen.targets.array_expressions import Layout, place, show
from codegen.targets.array_lines import WIDTH, dims_of
from codegen.targets.numpy_dialect import NUMPY
from codegen.targets.numpy_exponentials import Call
from codegen.targets.scattered import scattered
from derive.index import Entry


def lines_of(
    statement: Statement | Call,
    names: Mapping[str, str],
    ranges: set[str],
    kept: Collection[str] | None = None,
) -> tuple[str, ...]:
    """A statement as NumPy: one line, or two where one entry a row differs.

    `kept` are the arrays that are still needed; None means any may be.
    """
    if isinstance(statement, Call):
        read = statement.names if kept is None else kept
        left = ", ".join(names[name] if name in read else "_" for name in statement.names)
        right = ", ".join(names[entry.tensor.name] for entry in statement.arguments)
        return (f"{left} = {statement.function}({right})",)
    at = Layout(NUMPY, dims_of(statement), names, ranges)
    found = _scatter_lines(statement, at, kept) if isinstance(statement, Map) else None
    return found or array_lines.lines_of(statement, at)


def fitted(statements: Sequence[Statement | Call], names: dict[str, str]) -> list[Statement | Call]:
    """Statements that fit a line each."""

    def lines(statement: Statement, known: Mapping[str, str]) -> tuple[str, ...]:
        return lines_of(statement, known, set())

    done: list[Statement | Call] = []
    for one in statements:
        done += [one] if isinstance(one, Call) else array_lines.fitted((one,), names, NUMPY, lines)
    return done


def _scatter_lines(
    statement: Map, at: Layout, kept: Collection[str] | None
) -> tuple[str, ...] | None:
    """A copy and an assignment, for a comparison a cell; None for any other statement.

    An array that is not among those `kept` is changed itself rather than a copy of it.
    """
    found = scattered(statement.expr, statement.indices) if 0 < len(at.dims) <= 2 else None
    if found is None:
        return None
    rest, sign, value, label = found
    rows = Layout(NUMPY, at.dims[:-1], at.names, at.ranges)
    name = at.names[statement.name]
    slots = [show(i, rows) for i in at.dims[:-1]] + [place(label, rows)]
    start = show(rest, at)
    if isinstance(rest, Entry) and (kept is None or rest.tensor.name in kept):
        start += '.copy(order="K")'
    changed, number = show(value, rows), value.is_number and value < 0
    if sign == "+=" and number:
        sign, changed = "-=", show(-value, rows)
    return f"{name} = {start}", f"{name}[{', '.join(slots)}] {sign} {changed}"


__all__ = ["WIDTH", "fitted", "lines_of"]
