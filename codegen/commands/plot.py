"""Draw a loss: along the margin, over two logits, over the simplex, or its second derivative.

  pminusy plot softmax_cross_entropy -o ce.svg
  pminusy plot sigmoid_cross_entropy sigmoid_mse -o saturation.svg    two losses in one picture
  pminusy plot focal --sweep gamma=0,1,2,5 -o focal.png
  pminusy plot softmax_cross_entropy --kind surface -o surface.svg    and the gradient field
  pminusy plot softmax_cross_entropy --kind simplex -o simplex.svg    three classes
  pminusy plot softmax_cross_entropy --kind jacobian -o hessian.svg

Class 0 is the target.  The curves come from the generated NumPy kernels.  Shaded: where the
loss bends down, so that the second derivative along the line is negative.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen.commands import as_json, say, split_names, write_file
from derive.errors import PminusyError

if TYPE_CHECKING:
    from derive import Loss

HELP = "pictures of a loss and of its gradient"
KINDS = ("margin", "surface", "simplex", "jacobian")


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("losses", metavar="LOSS", nargs="+", help="library names or .loss files")
    add("--wrt", metavar="NAME", help="what moves; by default the first input")
    add("--kind", choices=KINDS, default="margin", help="what to draw")
    add("--sweep", metavar="NAME=VALUES", help="one curve for each value of a const: gamma=0,1,2")
    add("--set", metavar="NAME=VALUE", nargs="+", default=[], help="values of consts: s=1 m=0.5")
    add("-o", metavar="FILE", dest="out", required=True, help="an .svg, .png or .pdf file")


def run(options: Namespace) -> int:
    from codegen.plots.paper import FORMATS, saved

    form = Path(options.out).suffix.removeprefix(".")
    if form not in FORMATS:
        raise PminusyError(f"-o names a file that ends in .{', .'.join(FORMATS)}")
    write_file(Path(options.out), saved(_page(options), form))
    if options.json:
        as_json({"losses": options.losses, "kind": options.kind, "file": options.out})
    else:
        say(options.out)
    return 0


def _page(options: Namespace) -> Any:
    from codegen.plots import curves, fields
    from codegen.plots.scene import Scene
    from derive import load

    given = dict(_setting(text) for text in options.set)
    scenes = []
    for name in options.losses:
        loss = load(name)
        scenes.append(Scene(loss, options.wrt or _first_input(loss), given))
    if len(scenes) > 1 and (options.kind != "margin" or options.sweep):
        raise PminusyError("several losses go into one picture of margins only")
    if options.sweep:
        name, _, values = options.sweep.partition("=")
        return curves.sweep(scenes[0], name, [_number(value) for value in split_names(values)])
    if options.kind == "margin":
        return curves.margin(scenes)
    draw = {"surface": fields.surface, "simplex": fields.simplex, "jacobian": fields.jacobian}
    return draw[options.kind](scenes[0])


def _first_input(loss: Loss) -> str:
    for role in ("input", "param"):
        for declaration in loss.declarations:
            if declaration.role == role:
                return declaration.name
    raise PminusyError(f"{loss.name} has no input")


def _setting(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise PminusyError(f"'{text}' has no value: write {text}=2")
    return name.strip(), _number(value)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise PminusyError(f"'{text}' is not a number: write gamma=0,1,2")
    return value
