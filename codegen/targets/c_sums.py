"""A sum over the rows that earlier phases computed, as lines of C."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Mul

from codegen.kernel import Contract, Reduce, defines
from codegen.schedule import Sum
from codegen.schedule.chunks import is_product
from codegen.targets.c_frame import Frame, store
from derive.index import Entry

STRIP = 64


def sum_over_rows(phase: Sum, frame: Frame) -> Iterator[str]:
    """Each result is summed in double, in the order of the rows, whatever the number of threads."""
    statement = phase.statement
    if isinstance(statement, Contract) and is_product(statement):
        yield from _product(statement, frame)
        return
    if isinstance(statement, Contract):
        statement = Reduce(
            statement.name, statement.indices, "sum", statement.over, Mul(*statement.operands)
        )
    # Only gradients are taken over the rows of a batch that the loss does not name.
    assert statement.op == "sum"
    *first, last = statement.indices
    size = last.axis.name
    name = frame.names[statement.name]
    work = frame.work((*statement.indices, *statement.over))
    yield f"PM_PARALLEL({work}, {'collapse(2)' if first else ''})"
    for index in first:
        yield f"for (int64_t {index.name} = 0; {index.name} < {index.axis.name}; ++{index.name})"
    yield f"for (int64_t block = 0; block < {size}; block += {STRIP}) {{"
    yield f"    const int64_t end = {size} - block < {STRIP} ? {size} : block + {STRIP};"
    yield f"    double {name}_all[{STRIP}] = {{0}};"
    depth = 1
    for index in statement.over:
        yield "    " * depth + frame.rows(index)
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


def _product(statement: Contract, frame: Frame) -> Iterator[str]:
    """A product of matrices, by the library for it where there is one."""
    row, column = statement.indices
    (depth,) = statement.over
    left, right = statement.operands
    if row not in left.indices:
        left, right = right, left
    real = "f32" if frame.real == "float" else "f64"
    sizes = [frame.size(index) for index in (row, column, depth)]
    added = "first > 0" if frame.plan.chunked and depth.axis == frame.plan.kernel.batch else "0"
    alpha = "scale" if statement.name in frame.scaled else "1"
    operands = [
        f"{frame.matrix(x.tensor.name)}, {frame.stride(x.tensor.name)}"
        for x in (left, right, Entry(defines(statement), row, column))
    ]
    turns = [str(int(left.indices[0] != row)), str(int(right.indices[0] != depth))]
    words = [*turns, *sizes, alpha, *operands[:2], added, operands[2]]
    yield f"pm_gemm_{real}({', '.join(words)});"
