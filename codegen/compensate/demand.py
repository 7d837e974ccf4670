"""Which functions make more of a relative error, and which arrays they read."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Basic, Expr, Function, Pow, atan, erf, tanh

from codegen.kernel import Contract, Kernel, corrected, leading, product_lost, sum_lost, weighted
from derive import functions
from derive.index import Condition, Delta, Entry, Index, walk

# |x f'(x)/f(x)| <= 1, or nearly, where they are used.
CALM = (
    functions.log1p,
    functions.relu,
    functions.step,
    functions.absolute,
    functions.signum,
    functions.largest,
    functions.smallest,
    atan,
    erf,
    tanh,
    weighted,
    corrected,
    leading,
    product_lost,
    sum_lost,
)
MOST = 2  # a power of this or less is calm


def amplifies(node: Basic) -> bool:
    """Whether the relative error of an argument may come out larger."""
    if isinstance(node, Pow):
        return not node.exp.is_number or abs(node.exp) > MOST
    return isinstance(node, Function) and not isinstance(node, CALM)


def read_values(expr: Basic) -> Iterator[Entry]:
    """The entries whose numbers reach the value: not those of conditions, nor labels."""
    if isinstance(expr, Entry):
        yield expr
    elif not isinstance(expr, Condition | Delta | Index):
        for arg in expr.args:
            yield from read_values(arg)


def carried_names(kernel: Kernel) -> frozenset[str]:
    """The arrays that arguments of amplifying functions are made of."""
    made = {s.name: s for s in kernel.statements}
    waiting = [
        entry.tensor.name
        for statement in kernel.statements
        if not isinstance(statement, Contract)
        for node in walk(statement.expr)
        if isinstance(node, Expr) and amplifies(node)
        for entry in read_values(node)
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        statement = made.get(name)
        if name in found or statement is None or isinstance(statement, Contract):
            continue
        read = [entry.tensor.name for entry in read_values(statement.expr)]
        if any(isinstance(made.get(other), Contract) for other in read):
            continue  # what a matrix product loses is not known, and more than this adds to it
        found.add(name)
        waiting += read
    return frozenset(found)
