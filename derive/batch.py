"""From a per-sample loss to a loss over a batch, as a loss of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from sympy import Expr

from derive.errors import DerivationError
from derive.index import Axis, Entry, Index, Tensor, rebuild, total
from derive.loss import Declaration, Definition, Loss

BATCH = "N"
PER_SAMPLE = ("input", "target")


def names_batch(loss: Loss) -> bool:
    """Whether the loss is written over the whole batch already."""
    return any(axis.name == BATCH for axis in loss.axes)


def batched(loss: Loss, reduction: str = "mean") -> Loss:
    """The loss over a batch of N samples, reduced by "mean" or "sum".

    A mean divides by N, or by the sum of the weights where the loss declares them.  Inputs,
    targets and definitions get a leading axis N; params and consts are shared.
    Raises DerivationError where the loss names N itself.
    """
    if names_batch(loss):
        raise DerivationError(f"{loss.name} names N: it is written over the whole batch already")
    axis = Axis(BATCH)
    index = Index("n", axis)
    moved = _moved_names(loss)

    def move(expr: Expr) -> Expr:
        return of_sample(loss, expr, index)

    definitions = [Definition(move(d.entry), move(d.body)) for d in loss.definitions]
    whole = total(index, definitions[-1].entry)
    count = axis if loss.weight is None else total(index, move(loss.weight))
    value = whole / count if reduction == "mean" else whole
    definitions.append(
        Definition(Entry(Tensor(loss.unused_name("J", "total", "objective"))), value)
    )
    return replace(
        loss,
        name=f"{loss.name}_{reduction}",
        declarations=tuple(_moved(d, moved) for d in loss.declarations),
        definitions=tuple(definitions),
        letters={BATCH: ("n",), **loss.letters},
        weight=None,
    )


def has_samples(loss: Loss, name: str) -> bool:
    """Whether each sample has its own of a name, as of inputs, targets and definitions."""
    return name in _moved_names(loss)


def of_sample(loss: Loss, expr: Expr, sample: Index) -> Expr:
    """An expression of the loss as it stands for one sample of a batch."""
    moved = _moved_names(loss)

    def move(node: Expr) -> Expr:
        if isinstance(node, Entry) and node.tensor.name in moved:
            places = [move(i) if isinstance(i, Entry) else i for i in node.indices]
            return moved[node.tensor.name][(sample, *places)]
        return rebuild(node, move)

    return move(expr)


@lru_cache(maxsize=8)
def _moved_names(loss: Loss) -> Mapping[str, Tensor]:
    """What each sample has its own of, with an axis of samples in front."""
    own = [d.tensor for d in loss.declarations if d.role in PER_SAMPLE]
    own += [definition.entry.tensor for definition in loss.definitions]
    return {tensor.name: _leading(tensor, Axis(BATCH)) for tensor in own}


def _leading(tensor: Tensor, axis: Axis) -> Tensor:
    return Tensor(tensor.name, (axis, *tensor.axes), tensor.label)


def _moved(declaration: Declaration, moved: Mapping[str, Tensor]) -> Declaration:
    tensor = moved.get(declaration.name, declaration.tensor)
    return replace(declaration, tensor=tensor)
