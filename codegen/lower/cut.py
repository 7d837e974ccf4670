"""Cutting a loss at names of its own: they become inputs, and what only they need goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from derive.errors import KernelError
from derive.index import tensors
from derive.loss import Declaration, Definition, Loss


def cut(loss: Loss, names: Iterable[str]) -> Loss:
    """The loss in which each defined name of `names` is an input; the loss itself if none is."""
    wanted = tuple(names)
    for name in wanted:
        loss.tensor(name)
    cuts = [name for name in wanted if name in loss.defined]
    if not cuts:
        return loss
    if loss.value.name in cuts:
        raise KernelError(f"{loss.name}: '{loss.value.name}' is the loss, and cannot be its input")
    live = {loss.value.name}
    live |= set() if loss.weight is None else {tensor.name for tensor in tensors(loss.weight)}
    kept: list[Definition] = []
    for definition in reversed(loss.definitions):
        if definition.name in live and definition.name not in cuts:
            kept.append(definition)
            live |= {tensor.name for tensor in tensors(definition.body)}
    for name in wanted:
        if name not in live:
            raise KernelError(
                f"{loss.name}: '{name}' does not reach the loss once it is cut at {', '.join(cuts)}"
            )
    live |= {d.ignored.name for d in loss.declarations if d.name in live and d.ignored}
    inputs = tuple(Declaration(loss.tensor(name), "input") for name in cuts)
    declared = tuple(d for d in loss.declarations if d.name in live)
    return replace(loss, declarations=(*inputs, *declared), definitions=tuple(reversed(kept)))
