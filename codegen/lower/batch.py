"""From one sample to many: a leading axis N for whatever differs from sample to sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sympy import Basic

from derive.index import Axis, Entry, Index, Tensor, rebuild, tensors
from derive.loss import Definition, Loss

BATCH = Axis("N")
SAMPLE = Index("n", BATCH)


def names_batch(loss: Loss) -> bool:
    """Whether the loss is written over the whole batch."""
    return BATCH in loss.axes


def batched_names(loss: Loss) -> frozenset[str]:
    """The names that differ from sample to sample: what depends on an input or a target."""
    found = {d.name for d in loss.declarations if d.role in ("input", "target")}
    for definition in loss.definitions:
        if any(tensor.name in found for tensor in tensors(definition.body)):
            found.add(definition.name)
    return frozenset(found | {loss.value.name})


def with_samples(expr: Any, names: frozenset[str]) -> Any:
    """The expression with the sample's index at each entry of a name in `names`."""

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor.name in names:
            return Entry(widen(node.tensor), SAMPLE, *(visit(i) for i in node.indices))
        return rebuild(node, visit)

    return visit(expr)


def widen(tensor: Tensor) -> Tensor:
    """The tensor with a leading batch axis."""
    return Tensor(tensor.name, (BATCH, *tensor.axes), tensor.label)


def batch(loss: Loss) -> Loss:
    """The same loss for N samples: every definition is per sample where it differs."""
    names = batched_names(loss)
    declarations = tuple(
        replace(d, tensor=widen(d.tensor)) if d.name in names else d for d in loss.declarations
    )
    definitions = tuple(
        Definition(with_samples(d.entry, names), with_samples(d.body, names))
        for d in loss.definitions
    )
    return replace(loss, declarations=declarations, definitions=definitions)
