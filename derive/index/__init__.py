"""Index algebra: axes, indices, tensor entries, and the nodes that bind an index.

A binder keeps its bound index in a canonical form: the index is named by its level, one more
than the highest binder inside.  Equality up to renaming of bound indices is therefore plain
equality, and an index that the user picked can never be captured.  To look inside a binder,
open it: its bound index becomes a fresh free one.
"""

from derive.index.binders import SCOPED, bind, occurs, rebuild, scoped, size, substitute, total
from derive.index.look import (
    dangling,
    entries,
    free_indices,
    height,
    kinds,
    nodes,
    order,
    tensor_names,
    tensors,
    unbound,
    walk,
)
from derive.index.names import Axis, Index
from derive.index.nodes import (
    TRUE,
    Argmax,
    Binder,
    Choice,
    Condition,
    Delta,
    Diff,
    Entry,
    Maximum,
    Minimum,
    Partial,
    Product,
    Share,
    Tensor,
    Total,
    axis_of,
    fresh,
)

__all__ = [
    "SCOPED",
    "TRUE",
    "Argmax",
    "Axis",
    "Binder",
    "Choice",
    "Condition",
    "Delta",
    "Diff",
    "Entry",
    "Index",
    "Maximum",
    "Minimum",
    "Partial",
    "Product",
    "Share",
    "Tensor",
    "Total",
    "axis_of",
    "bind",
    "dangling",
    "entries",
    "free_indices",
    "fresh",
    "height",
    "kinds",
    "nodes",
    "occurs",
    "order",
    "rebuild",
    "scoped",
    "size",
    "substitute",
    "tensor_names",
    "tensors",
    "total",
    "unbound",
    "walk",
]
