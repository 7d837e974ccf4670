"""Loss over two entries, over the simplex of three classes, and matrices of derivatives."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from flint import ctx

from codegen.plots.curves import reach
from codegen.plots.paper import figure, math
from codegen.plots.scene import Scene
from derive.engine import gradient
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.forwards import hessian
from derive.latex_style import latex_entry
from derive.point import Point

GRID = 81
ARROWS = 15
LEVELS = 12


def surface(scene: Scene) -> Any:
    """The loss over the first two entries, the others as they are, and where the negative
    gradient points."""
    if scene.axes == () or scene.classes ** len(scene.axes) < 2:
        raise PminusyError(f"{scene.wrt} has one entry: a surface needs two")
    low, high = reach(scene)
    xs, ys, losses, _ = _plane(scene, low, high, GRID)
    at_x, at_y, _, slopes = _plane(scene, low, high, ARROWS)
    with figure(1, 1, size=(5.4, 4.6)) as (page, axes):
        here = axes[0, 0]
        filled = here.contourf(xs, ys, losses, LEVELS)
        here.contour(xs, ys, losses, LEVELS, colors="white", linewidths=0.5)
        here.quiver(at_x, at_y, -slopes[..., 0], -slopes[..., 1], color="white", width=0.004)
        here.set_xlabel(f"{_entry(scene, 0)}{scene.of_the_target}")
        here.set_ylabel(_entry(scene, 1))
        here.grid(False)
        page.colorbar(filled, ax=here, label=f"{math(scene.loss.value.name)}; arrows: −gradient")
    return page


def simplex(scene: Scene) -> Any:
    """The loss over three probabilities; logits are their logarithms."""
    if len(scene.axes) != 1 or scene.classes != 3:
        raise PminusyError(f"{scene.wrt} is not a vector of three classes")
    kind = scene.loss.declared[scene.wrt].domain.kind
    rows = [
        (i, j, GRID - i - j) for i in range(1, GRID) for j in range(1, GRID - i) if i + j < GRID
    ]
    shares = np.array(rows) / GRID
    losses, _ = scene.at(shares if kind in ("unit", "simplex") else np.log(shares))
    across, up = shares[:, 1] + shares[:, 2] / 2, shares[:, 2] * np.sqrt(3) / 2
    with figure(1, 1, size=(5.4, 4.4)) as (page, axes):
        here = axes[0, 0]
        filled = here.tricontourf(across, up, losses, LEVELS)
        here.tricontour(across, up, losses, LEVELS, colors="white", linewidths=0.5)
        here.set_aspect("equal")
        here.axis("off")
        here.set_xlim(-0.15, 1.15)
        here.set_ylim(-0.1, 0.97)
        top = float(up.max())
        for x, y, name in ((0, 0, "class 0, the target"), (1, 0, "class 1"), (0.5, top, "class 2")):
            aligned = "bottom" if y else "top"
            here.text(x, y + (0.02 if y else -0.02), name, ha="center", va=aligned)
        shares_of = f" at {math(scene.wrt)} = log of the probabilities"
        source = "" if kind in ("unit", "simplex") else shares_of
        page.colorbar(filled, ax=here, label=f"{math(scene.loss.value.name)}{source}")
    return page


def jacobian(scene: Scene) -> Any:
    """The derivative of the first definition with two sides of classes, and the Hessian."""
    if len(scene.axes) != 1:
        raise PminusyError(f"{scene.wrt} is not a vector: its Jacobian is no picture")
    point = _point(scene)
    found = hessian(scene.loss, scene.wrt)
    by = math(scene.wrt)[1:-1]
    twice = rf"\partial {{{by}}}_i\,\partial {{{by}}}_j"
    pictures = [(rf"$\partial^2 {{{math(scene.loss.value.name)[1:-1]}}}/{twice}$", found)]
    for definition in scene.loss.definitions:
        axes = [axis.name for axis in definition.entry.tensor.axes]
        if axes == list(scene.axes) and scene.wrt in scene.loss.below(definition.name):
            slope = gradient(scene.loss, scene.wrt, definition.name)
            of = math(definition.name)[1:-1]
            title = rf"$\partial {{{of}}}_i/\partial {{{by}}}_j$"
            pictures.insert(0, (title, slope))
            break
    with figure(1, len(pictures), size=(3.6 * len(pictures), 3.6)) as (page, axes):
        for here, (title, derivation) in zip(axes[0], pictures, strict=True):
            _heat_map(page, here, _matrix(scene, point, derivation))
            here.set_title(title)
        page.suptitle(f"at {_where(scene, point)}; hatched: below 0", fontsize=9)
    return page


def _heat_map(page: Any, here: Any, table: Any) -> None:
    """A matrix as coloured cells with their numbers; what is negative is hatched, for print in
    grey, where the two ends of the colours look alike."""
    most = max(np.abs(table).max(), 1e-300)
    shown = here.imshow(table, cmap="PuOr", vmin=-most, vmax=most)
    for row, column in product(range(len(table)), repeat=2):
        value = table[row, column]
        ink = "white" if abs(value) > 0.6 * most else "black"
        behind = {"facecolor": shown.to_rgba(value), "edgecolor": "none", "pad": 1.5}
        if round(value, 2) < 0:
            here.add_patch(_hatched((column - 0.5, row - 0.5), 1, 1, ink))
        here.text(column, row, _decimals(value), color=ink, ha="center", va="center", bbox=behind)
    here.set_xlabel("$j$")
    here.set_ylabel("$i$", rotation=0, labelpad=8)
    here.set_xticks(range(len(table)))
    here.set_yticks(range(len(table)))
    here.grid(False)
    bar = page.colorbar(shown, ax=here, shrink=0.8)
    bar.ax.add_patch(_hatched((0, -most), 1, most, "black"))


def _hatched(corner: tuple[float, float], width: float, height: float, ink: str) -> Any:
    from matplotlib.patches import Rectangle

    patch = Rectangle(corner, width, height, fill=False, edgecolor=ink, linewidth=0, alpha=0.45)
    patch.set_hatch("////")
    return patch


def _where(scene: Scene, point: Point) -> str:
    values = [_short(float(value)) for value in point.values[scene.wrt].values()]
    return f"{math(scene.wrt)} = ({', '.join(values)})"


def _short(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _decimals(value: float) -> str:
    """Two decimals with the sign of mathematics, as the axes have it; no -0.00."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _plane(scene: Scene, low: float, high: float, steps: int) -> tuple[Any, Any, Any, Any]:
    line = np.linspace(low, high, steps)
    xs, ys = np.meshgrid(line, line)
    points = np.zeros((steps * steps, *scene.shape)) + np.asarray(scene.values[scene.wrt])
    flat = points.reshape(steps * steps, -1)
    flat[:, 0], flat[:, 1] = xs.ravel(), ys.ravel()
    losses, slopes = scene.at(flat)
    slopes = slopes.reshape(steps, steps, -1)
    return xs, ys, np.where(np.isfinite(losses), losses, np.nan).reshape(steps, steps), slopes


def _entry(scene: Scene, number: int) -> str:
    place = np.unravel_index(number, scene.shape)
    return f"${latex_entry(scene.wrt, [str(at) for at in place])}$"


def _point(scene: Scene) -> Point:
    """The scene with its moving name at 1, 0, -1, ... instead of at one value."""
    values: dict[str, dict[tuple[int, ...], Fraction]] = {}
    for name, value in scene.values.items():
        array = np.asarray(value, dtype=float)
        values[name] = {place: Fraction(array[place].item()) for place in np.ndindex(array.shape)}
    if scene.loss.declared[scene.wrt].domain.lower is None:
        values[scene.wrt] = {place: Fraction(1 - place[0]) for place in np.ndindex(*scene.shape)}
    return Point({axis.name: scene.classes for axis in scene.loss.axes}, values)


def _matrix(scene: Scene, point: Point, derivation: Any) -> Any:
    indices = [index for entry in (derivation.of, *derivation.wrt) for index in entry.indices]
    evaluator = Evaluator(scene.loss, point)
    table = np.empty((scene.classes, scene.classes))
    with ctx.workprec(64):
        for place in np.ndindex(table.shape):
            table[place] = float(
                evaluator(derivation.result, dict(zip(indices, place, strict=True)))
            )
    return table
