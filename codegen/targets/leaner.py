"""Kernels for libraries that compute one whole array after another, and keep each in memory.

What is read at labels only is computed for these entries, and a comparison that several sums
take up is made once.  Compilers, which fuse loops, need neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sympy import Basic, Expr

from codegen.kernel import Contract, Kernel, Map, Statement, defines, reads
from codegen.lower.names import unique
from codegen.lower.share import is_switch, share
from derive.index import Condition, Delta, Entry, Index, free_indices, rebuild, substitute, walk


def leaner(kernel: Kernel) -> Kernel:
    """The same kernel with fewer passes over whole arrays.

    What the loss needs comes first, and shares nothing more with the rest: it would be kept.
    """
    taken = {given.name for given in kernel.inputs} | {s.name for s in kernel.statements}
    first = list(kernel.needed("").statements)
    rest = [s for s in kernel.statements if s not in first]
    keep = frozenset(entry.tensor.name for _, entry in kernel.outputs)
    statements = [*share(first, taken, _switches), *share(rest, taken, _switches)]
    return replace(kernel, statements=tuple(_picked(statements, keep, taken)))


def _switches(expr: Basic) -> Iterator[Expr]:
    """The choices between numbers."""
    for node in walk(expr):
        if isinstance(node, Expr) and is_switch(node):
            yield node


def _picked(statements: list[Statement], keep: frozenset[str], taken: set[str]) -> list[Statement]:
    """An array that is only read at labels is not made: each entry is a number a row."""
    made = {s.name: s for s in statements if isinstance(s, Map) and _is_plain(s)}
    whole = {e.tensor.name for s in statements for e in reads(s) if not _is_picked(e)} | keep
    gone = {name: s for name, s in made.items() if name not in whole}
    found: dict[Basic, Entry] = {}
    done: list[Statement] = []

    def pick(node: Basic) -> Basic:
        if not isinstance(node, Entry) or node.tensor.name not in gone:
            return rebuild(node, pick)
        if node not in found:
            array = gone[node.tensor.name]
            (row,) = free_indices(node)
            expr = substitute(array.expr, dict(zip(array.indices, node.indices, strict=True)))
            number = Map(unique(f"{array.name}_at_label", taken), (row,), pick(expr))
            done.append(number)
            found[node] = Entry(defines(number), row)
        return found[node]

    for statement in statements:
        if statement.name in gone:
            continue
        if not isinstance(statement, Contract):
            statement = replace(statement, expr=pick(statement.expr))
        done.append(statement)
    return done


def _is_plain(statement: Map) -> bool:
    """Whether an entry depends on where it is by the entries that it reads alone."""
    compared = any(isinstance(node, Delta | Condition) for node in walk(statement.expr))
    return len(statement.indices) > 1 and not compared


def _is_picked(entry: Entry) -> bool:
    """Whether an index of it is a label, and it depends on the row alone."""
    labels = any(not isinstance(index, Index) for index in entry.indices)
    return labels and len(free_indices(entry)) == 1
