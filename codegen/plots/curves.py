"""Loss and gradient along a line: the margin of the target class, or the value itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.plots.paper import figure, lines, math
from codegen.plots.scene import Scene
from derive.errors import PminusyError
from derive.latex_style import latex_entry
from derive.loss import Loss

REACH = 6.0
STEPS = 481
LONGEST = 50


def margin(scenes: Sequence[Scene], labels: Sequence[str] = ()) -> Any:
    """Loss above, slope of the moved entry below; grey where the loss bends down (is concave)."""
    labels = labels or [_label(scene.loss) for scene in scenes]
    with figure(2, 1, sharex=True) as (page, axes):
        upper, lower = axes[:, 0]
        for scene, label, style in zip(scenes, labels, lines(), strict=False):
            xs, losses, slopes = along(scene)
            upper.plot(xs, losses, label=label, **style)
            lower.plot(xs, slopes, label=label, **style)
            if len(scenes) == 1:
                _shade(lower, xs, slopes)
        first = scenes[0]
        upper.set_ylabel(f"{math(first.loss.value.name)}, the loss")
        lower.set_ylabel(slope_label(first))
        lower.set_xlabel(line_label(first))
        if len(scenes) > 1:
            upper.legend()
    return page


def sweep(scene: Scene, name: str, values: Sequence[float]) -> Any:
    """The margin curves for several values of one const."""
    declared = scene.loss.declared.get(name)
    if declared is None or declared.role != "const":
        consts = [d.name for d in scene.loss.declarations if d.role == "const"]
        raise PminusyError(
            f"no const '{name}' to sweep; "
            + (f"there are {', '.join(consts)}" if consts else f"{scene.loss.name} has none")
        )
    scenes = [replace(scene, given={**scene.given, name: value}) for value in values]
    return margin(scenes, [f"{math(name)} = {value:g}" for value in values])


def along(scene: Scene) -> tuple[Any, Any, Any]:
    """The line, the loss on it, and the slope of the entry that moves."""
    xs = np.linspace(*reach(scene), STEPS)
    points = np.zeros((STEPS, *scene.shape)) + np.asarray(scene.values[scene.wrt])
    points.reshape(STEPS, -1)[:, 0] = xs
    losses, slopes = scene.at(points)
    return xs, losses, slopes.reshape(STEPS, -1)[:, 0]


def reach(scene: Scene) -> tuple[float, float]:
    """The part of the domain that is drawn; its open ends are left out."""
    domain = scene.loss.declared[scene.wrt].domain
    if domain.kind in ("unit", "simplex"):
        return 0.005, 0.995
    low = -REACH if domain.lower is None else float(domain.lower)
    high = REACH if domain.upper is None else float(domain.upper)
    edge = 0.004 * (high - low)
    return low + edge * (domain.lower is not None), high - edge * (domain.upper is not None)


def line_label(scene: Scene) -> str:
    """The entry that moves, and what it is measured against."""
    name = entry_label(scene)
    if scene.axes:
        fixed = [f"{math(d.name)} = {_shown(scene.values[d.name])}" for d in scene.unlike]
        where = f"\nwhere {', '.join(fixed)}" if fixed else ""
        return f"{name}{scene.of_the_target}; the others {scene.others}{where}"
    targets = [d.name for d in scene.loss.declarations if d.role == "target" and not d.tensor.axes]
    fixed = [f"{math(t)} = {float(scene.values[t]):g}" for t in targets]
    return f"{name}, where {', '.join(fixed)}" if fixed else name


def _shown(value: Any) -> str:
    """The entries of a vector; of what is larger the first ones, by which it goes on."""
    entries = [f"{entry:g}".replace("-", "−") for entry in np.ravel(value)]
    return f"({', '.join(entries)})" if np.ndim(value) == 1 else f"{', '.join(entries[:3])}, …"


def _label(loss: Loss) -> str:
    """What the loss is called: its title up to the first colon, or its name where that is long."""
    head = loss.title.partition(":")[0].rstrip(".")
    return head if len(head) <= LONGEST else loss.name


def slope_label(scene: Scene) -> str:
    of, by = (label.strip("$") for label in (math(scene.loss.value.name), entry_label(scene)))
    return rf"$\partial {{{of}}}/\partial {{{by}}}$"


def entry_label(scene: Scene) -> str:
    return f"${latex_entry(scene.wrt, ['0' for _ in scene.axes])}$"


def bends_down(slopes: Any) -> Any:
    """Between which neighbours on a line the slope falls."""
    return np.diff(slopes) < -1e-9 * (1 + np.abs(slopes[1:]))


def _shade(axes: Any, xs: Any, slopes: Any) -> None:
    bends = bends_down(slopes)
    if not bends.any():
        return
    low, high = axes.get_ylim()
    grey = {"color": "#000000", "alpha": 0.08, "linewidth": 0}
    axes.fill_between(xs[1:], low, high, where=bends, label="second derivative < 0", **grey)
    axes.set_ylim(low, high)
    axes.legend(handles=axes.collections)
