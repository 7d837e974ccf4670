"""A sum over the rows that earlier phases computed, as lines of C."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Mul

from codegen.kernel import Contract, Reduce
from codegen.schedule import Sum
from codegen.targets.c_frame import Frame, store

STRIP = 64


def sum_over_rows(phase: Sum, frame: Frame) -> Iterator[str]:
    """Each result is summed in double, in the order of the rows, whatever the number of threads."""
    statement = phase.statement
    if isinstance(statement, Contract):
        statement = Reduce(
            statement.name, statement.indices, "sum", statement.over, Mul(*statement.operands)
        )
    *first, last = statement.indices
    size = last.axis.name
    name = frame.names[statement.name]
    yield "PM_PARALLEL(collapse(2))" if first else "PM_PARALLEL()"
    for index in first:
        yield f"for (int64_t {index.name} = 0; {index.name} < {index.axis.name}; ++{index.name})"
    yield f"for (int64_t block = 0; block < {size}; block += {STRIP}) {{"
    yield f"    const int64_t end = {size} - block < {STRIP} ? {size} : block + {STRIP};"
    yield f"    double {name}_all[{STRIP}] = {{0}};"
    depth = 1
    for index in statement.over:
        head = f"for (int64_t {index.name} = 0; {index.name} < {index.axis.name}; ++{index.name})"
        yield "    " * depth + head
        depth += 1
    text = frame.writer(phase, frame.real)(statement.expr)
    yield "    " * depth + "PM_SIMD()"
    yield "    " * depth + f"for (int64_t {last.name} = block; {last.name} < end; ++{last.name}) {{"
    yield "    " * depth + f"    {name}_all[{last.name} - block] += {text};"
    yield "    " * depth + "}"
    yield f"    for (int64_t {last.name} = block; {last.name} < end; ++{last.name})"
    value = f"{name}_all[{last.name} - block]"
    yield "        " + store(statement.name, statement.indices, value, phase, frame)
    yield "}"
