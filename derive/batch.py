"""From a per-sample loss to a loss over a batch, as a loss of its own."""

from __future__ import annotations

from dataclasses import replace

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
    moved: dict[str, Tensor] = {}
    for declaration in loss.declarations:
        if declaration.role in PER_SAMPLE:
            moved[declaration.name] = _leading(declaration.tensor, axis)
    for definition in loss.definitions:
        moved[definition.name] = _leading(definition.entry.tensor, axis)

    def move(node: Expr) -> Expr:
        if isinstance(node, Entry) and node.tensor.name in moved:
            places = [move(i) if isinstance(i, Entry) else i for i in node.indices]
            return moved[node.tensor.name][(index, *places)]
        return rebuild(node, move)

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


def _leading(tensor: Tensor, axis: Axis) -> Tensor:
    return Tensor(tensor.name, (axis, *tensor.axes), tensor.label)


def _moved(declaration: Declaration, moved: dict[str, Tensor]) -> Declaration:
    tensor = moved.get(declaration.name, declaration.tensor)
    return replace(declaration, tensor=tensor)
