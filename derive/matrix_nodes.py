"""The nodes of matrix notation: trees without indices, which know the axes of rows and columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sympy import Expr, Integer

SCALAR = ("", "")
ONE: Expr = Integer(1)


@dataclass(frozen=True)
class Mat:
    """A node.  `shape` names the axes of rows and columns, "" for a single one.

    Leaves: number (data: a SymPy number), size (axis), name (a tensor's), entry (name, labels),
    zero, ones, identity, unit (label), onehot (label), derivative (of, wrt, direct).
    Of matrices: transpose, diag, diagonal (of a matrix, as a vector), matmul, norm (data: 1 or
    2, the latter Frobenius' of a matrix), reduce (max, min or prod of a vector, or of each row),
    weights (of a max or min).
    Entry by entry: add, had (data: how many arguments are multiplied, the rest divide), pow,
    call (name), step, choice (condition, value, otherwise), compare and logic (operator).
    scale: data is (coefficient, how many arguments multiply, whether the last one is a body);
    what is between them divides.
    """

    op: str
    args: tuple[Mat, ...] = ()
    data: Any = None
    shape: tuple[str, str] = SCALAR

    def walk(self) -> Iterator[Mat]:
        """Every node, parents first."""
        yield self
        for arg in self.args:
            yield from arg.walk()


def weight(node: Mat) -> int:
    """How many nodes a tree has."""
    return 1 + sum(weight(arg) for arg in node.args)


def number(value: Any) -> Mat:
    return Mat("number", (), value)


def zero(shape: tuple[str, str]) -> Mat:
    return number(Integer(0)) if shape == SCALAR else Mat("zero", (), None, shape)


def ones(axis: str) -> Mat:
    return Mat("ones", (), None, (axis, ""))


def is_zero(node: Mat) -> bool:
    return node.op == "zero" or (node.op == "number" and node.data == 0)
