"""The plots that a loss has, as files or as SVG that stands in a page, in the page's colours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from codegen.builder import KernelFunction
from codegen.plots import curves, fields
from codegen.plots.paper import figure, saved
from codegen.plots.scene import Scene
from derive.errors import PminusyError
from derive.loss import Loss

OPENING = re.compile(r"<svg\b[^>]*?viewBox=\"([^\"]*)\"[^>]*>")
# Metadata names addresses, and a rule of its style would hold for the whole page.
UNWANTED = re.compile(r"\s*<metadata>.*?</metadata>|\s*<style\b.*?</style>", re.DOTALL)
PLACES = re.compile(r'\b(id="|xlink:href="#|url\(#)')
# What is black or white on paper follows the page, which may be dark.
COLOURS = {
    "#000000": "currentColor",
    "#dddddd": "var(--line)",
    "#0b3c6f": "var(--up)",
    "fill: #ffffff": "fill: none",
}


@dataclass(frozen=True)
class Picture:
    """A plot under a short name, what it shows in words, and the figure itself."""

    name: str
    words: str
    page: Any

    def file(self, form: str) -> bytes:
        """The plot in one of the formats of `codegen.plots.paper`."""
        return saved(self.page, form)


def available() -> None:
    """Raise PminusyError, which says how to get it, where what draws is missing."""
    with figure(1, 1):
        pass


def pictures(loss: Loss, wrt: str, function: KernelFunction | None = None) -> tuple[Picture, ...]:
    """The plots that a loss has as a function of one name; `function` is its kernel, if built."""
    available()
    try:
        scene = Scene(loss, wrt, built=function)
    except PminusyError:
        return ()
    slopes = _slopes(scene)
    grey = "; grey where the loss bends down" if curves.bends_down(slopes).any() else ""
    line = f"The loss along {wrt}, and its slope below{grey}."
    plane = f"The loss over three classes, whose probabilities {wrt} gives."
    drawn = [
        _drawn("line", line, lambda: curves.margin([scene])) if slopes.any() else None,
        _drawn("plane", plane, lambda: fields.simplex(scene)) if _has_classes(scene) else None,
    ]
    return tuple(picture for picture in drawn if picture is not None)


def _slopes(scene: Scene) -> Any:
    """The slopes along the line: all 0 where, say, every weight of a layer is 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, _, slopes = curves.along(scene)
    return slopes


def _has_classes(scene: Scene) -> bool:
    """Whether its entries compete for classes: some target is a class or a distribution of them."""
    axes = scene.loss.declared[scene.wrt].tensor.axes
    targets = [d for d in scene.loss.declarations if d.role == "target"]
    competing = [
        d.tensor.label in axes
        if d.tensor.label
        else d.domain.kind == "simplex" and d.tensor.axes == axes
        for d in targets
    ]
    bounded = scene.loss.declared[scene.wrt].domain
    free = bounded.kind == "simplex" or (bounded.lower is None and bounded.upper is None)
    return len(axes) == 1 and any(competing) and free


def _drawn(name: str, words: str, draw: Callable[[], Any]) -> Picture | None:
    """A plot; None where the loss has no finite values to draw."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Picture(name, words, draw())
    except (PminusyError, ValueError):
        return None


def inlined(picture: Picture) -> Markup:
    """The SVG element alone, with a name, and with ids that no other picture of the page has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        svg = picture.file("svg").decode()
    text = UNWANTED.sub("", svg[svg.index("<svg") :].rstrip())
    text = PLACES.sub(lambda found: f"{found[1]}{picture.name}-", text)
    for colour, own in COLOURS.items():
        text = text.replace(colour, own)
    label = escape(picture.words)
    return Markup(
        OPENING.sub(
            lambda found: (
                f'<svg viewBox="{found[1]}" role="img" aria-label="{label}" fill="currentColor">'
            ),
            text,
            count=1,
        )
    )
