"""The controls of the live part: the range, the step and the start of each argument."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np

from codegen.builder import KernelFunction
from derive.batch import PER_SAMPLE, names_batch
from derive.loss import Declaration, Loss

REACH = Decimal(6)
MOST = 5  # entries along an axis
USUAL = 3
MANY = 12  # sliders; beyond, the axes that carry no classes get two entries
# Where the entries of a vector start, from the lower end of the range to the upper.
STARTS = ("0.6", "0.4", "0.75", "0.3", "0.5")
SHARES = ("0.5", "0.3", "0.2", "0.1", "0.1")


def arguments(loss: Loss, function: KernelFunction) -> list[dict[str, Any]]:
    """The controls of a loss; they start where its gradient, by its kernel, is not 0."""
    tried = (
        [argument(d, p, turn) for p, d in enumerate(loss.declarations)] for turn in range(MOST)
    )
    found = list(tried)
    return next((controls for controls in found if _tells(loss, controls, function)), found[0])


def _tells(loss: Loss, controls: list[dict[str, Any]], function: KernelFunction) -> bool:
    """Whether some entry of the gradient is not 0 at the start."""
    count, given = sizes(loss), {}
    for declaration, control in zip(loss.declarations, controls, strict=True):
        shape = tuple(count[axis.name] for axis in declaration.tensor.axes)
        start = np.resize(np.array(control["start"], dtype=float), shape)
        value = start if declaration.tensor.label is None else start.astype(np.int64)
        rows = declaration.role in PER_SAMPLE and not names_batch(loss)
        given[declaration.name] = value[np.newaxis] if rows else value
    with np.errstate(all="ignore"):
        _, slopes = function(**given)
    return any(np.any(slope) for slope in slopes.values())


def argument(declaration: Declaration, place: int = 0, turn: int = 0) -> dict[str, Any]:
    """The control of the declared name at this place, and where each of five entries starts;
    another `turn` starts them elsewhere."""
    tensor, kind = declaration.tensor, declaration.domain.kind
    control: dict[str, Any] = {
        "name": declaration.name,
        "role": declaration.role,
        "axes": [axis.name for axis in tensor.axes],
    }
    if declaration.is_mark:
        mark = "-100" if declaration.default is None else str(declaration.default)
        return {**control, "kind": "choice", "choices": [mark], "start": [mark] * MOST}
    if tensor.label is not None:
        return {**control, "kind": "label", "of": tensor.label.name, "start": ["0"] * MOST}
    if kind in ("binary", "sign"):
        choices = ["0", "1"] if kind == "binary" else ["-1", "1"]
        starts = [choices[1 - (k + turn) % 2] for k in range(MOST)]
        return {**control, "kind": "choice", "choices": choices, "start": starts}
    if kind == "simplex":
        one_hot = ["1"] + ["0"] * (MOST - 1)
        starts = one_hot if declaration.role == "target" else list(SHARES)
        return {**control, "kind": "simplex", **_steps(Decimal(0), Decimal(1)), "start": starts}
    return {**control, "kind": "number", **_numbers(declaration, (2 + turn) * place + turn)}


def sizes(loss: Loss) -> dict[str, int]:
    """How many entries each axis of an argument has at first."""
    tensors = [d.tensor for d in loss.declarations]
    labels = [t.label.name for t in tensors if t.label is not None]
    shared = [
        axis.name
        for d in loss.declarations
        if d.domain.kind == "simplex"
        for axis in d.tensor.axes[-1:]
    ]
    axes = list(dict.fromkeys(chain((a.name for t in tensors for a in t.axes), labels)))
    found = dict.fromkeys(axes, USUAL)
    if sum(math.prod(found[a.name] for a in t.axes) for t in tensors) > MANY:
        found.update({axis: 2 for axis in axes if axis not in (*labels, *shared)})
    return found


def _numbers(declaration: Declaration, first: int) -> dict[str, Any]:
    """The range of a number: its domain, cut to a part that says something."""
    domain, default = declaration.domain, _decimal(declaration.default)
    low, high = _decimal(domain.lower), _decimal(domain.upper)
    if domain.kind == "unit":
        low, high = Decimal(0), Decimal(1)
    reach = max(REACH, 2 * abs(default)) if default is not None else REACH
    if declaration.role == "const" and default is not None and default > 0:
        reach = max(2 * default, Decimal(4))
    open_low = low is not None and domain.lower_open
    open_high = high is not None and domain.upper_open
    if low is None:
        low = -reach if high is None else high - 2 * reach
    if high is None:
        high = low + reach if domain.lower is not None else reach
    step = _step(low, high)
    low, high = low + step * open_low, high - step * open_high
    # Vectors that are compared with each other start apart.
    starts = [_start(declaration, low, high, step, k + first) for k in range(MOST)]
    return {"low": _plain(low), "high": _plain(high), "step": _plain(step), "start": starts}


def _start(declaration: Declaration, low: Decimal, high: Decimal, step: Decimal, place: int) -> str:
    default = _decimal(declaration.default)
    if default is not None:
        return _plain(default)
    if declaration.domain.kind == "unit" and declaration.role == "target":
        return "10"[place % 2]
    wanted = low + (high - low) * Decimal(STARTS[place % MOST])
    if declaration.role == "target":
        wanted = low + (high - low) * Decimal("0.5")
    return _plain(low + round((wanted - low) / step) * step)


def _steps(low: Decimal, high: Decimal) -> dict[str, str]:
    return {"low": _plain(low), "high": _plain(high), "step": _plain(_step(low, high))}


def _step(low: Decimal, high: Decimal) -> Decimal:
    """A power of ten, at least a hundred of which make the range."""
    return Decimal(1).scaleb((high - low).adjusted() - 2)


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(repr(float(value)))


def _plain(value: Decimal) -> str:
    """Without an exponent and without zeros that say nothing."""
    text = f"{value.normalize():f}"
    return "0" if text == "-0" else text
