"""The leaves of matrix notation: entries of tensors, deltas and derivatives that have a name."""

from __future__ import annotations

from sympy import Expr

from derive.index import Axis, Delta, Diff, Entry, Index, Partial, axis_of, free_indices
from derive.matrix_nodes import Mat, ones
from derive.matrix_tree import had, matmul, transpose


class NoForm(Exception):
    """An expression has no form in matrix notation."""


def entry_leaf(
    name: str, axes: tuple[Axis, ...], indices: tuple[Expr, ...], free: tuple[Index, ...]
) -> Mat:
    """An entry of a tensor as what its indices run over: the whole, a row, or what labels pick."""
    names = tuple(axis.name for axis in axes)
    if not free:
        labels = tuple(_label(index) for index in indices)
        return Mat("entry", (), (name, labels)) if labels else Mat("name", (), name)
    if len(indices) > 2:
        raise NoForm
    return _picked(Mat("name", (), name, (*names, "")[:2]), indices, free)


def _picked(tensor: Mat, indices: tuple[Expr, ...], free: tuple[Index, ...]) -> Mat:
    if indices == free:
        return tensor
    if len(indices) == 1:
        return matmul(_one_hot(indices[0], free), tensor)
    if indices == free[::-1]:
        return transpose(tensor)
    if len(free) == 1:
        return _row_or_picked(tensor, indices, free[0])
    first, second = free
    for matrix, (row, column) in (
        (tensor, indices),
        (transpose(tensor), indices[::-1]),
    ):
        if row == first:
            return matmul(matrix, transpose(_one_hot(column, (second,))))
        if column == second:
            return matmul(_one_hot(row, (first,)), matrix)
    raise NoForm


def _row_or_picked(tensor: Mat, indices: tuple[Expr, ...], index: Index) -> Mat:
    """A row or column by a label, or from each row the entry that its own label says."""
    if indices == (index, index):
        return Mat("diagonal", (tensor,), None, (tensor.shape[0], ""))
    if index not in indices:
        raise NoForm
    along = tensor if indices[0] == index else transpose(tensor)
    label = indices[1] if indices[0] == index else indices[0]
    if index not in free_indices(label):
        return matmul(along, Mat("unit", (), _label(label), (along.shape[1], "")))
    chosen = had([along, _one_hot(label, (index,))], [], along.shape)
    return matmul(chosen, ones(along.shape[1]))


def _one_hot(label: Expr, free: tuple[Index, ...]) -> Mat:
    """One row for each sample: the unit vector of its label."""
    if isinstance(label, Entry) and label.tensor.label and label.indices == free[:1]:
        shape = (free[0].axis.name, label.tensor.label.name)
        return Mat("onehot", (), label.tensor.name, shape)
    raise NoForm


def _label(label: Expr) -> str:
    if isinstance(label, Entry) and label.tensor.label and not label.indices:
        name: str = label.tensor.name
        return name
    raise NoForm


def delta_leaf(delta: Delta, free: tuple[Index, ...]) -> Mat:
    """A unit vector, or the unit vectors of all samples as rows."""
    if len(free) == 1:
        return Mat("unit", (), _label(delta.other(free[0])), (free[0].axis.name, ""))
    for sample, index in (free, free[::-1]):
        if index in delta.args and delta.other(index) not in free:
            rows = _one_hot(delta.other(index), (sample,))
            return rows if sample == free[0] else transpose(rows)
    raise NoForm


def derivative_leaf(expr: Expr, free: tuple[Index, ...]) -> Mat:
    """A derivative by its name, such as dL/da or dp/da."""
    direct = isinstance(expr, Partial) and expr.args[2] == 1
    wrt: list[Entry] = []
    while isinstance(expr, Partial | Diff):
        expr, wrt = expr.args[0], [*wrt, expr.args[1]]
    if not isinstance(expr, Entry):
        raise NoForm
    if len(wrt) == 2 and (wrt[1].indices, wrt[0].indices) == (free[:1], free[1:]):
        wrt = wrt[::-1]  # second derivatives do not depend on the order
    entries = (expr, *wrt)
    indices = tuple(index for entry in entries for index in entry.indices)
    if not all(isinstance(index, Index) for index in indices) or len(indices) > 2:
        raise NoForm
    named = tuple(entry.tensor.name for entry in entries)
    square = len(wrt) == 2 and all(len(entry.indices) == 1 for entry in wrt)
    rows, columns = (*(axis_of(index).name for index in indices), "", "")[:2]
    leaf = Mat("derivative", (), (named[0], named[1:], direct, square), (rows, columns))
    return _picked(leaf, indices, free) if free else leaf
