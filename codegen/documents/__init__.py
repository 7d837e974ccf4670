"""Documents: a derivation as LaTeX, PDF, Markdown (two dialects), HTML, a notebook, text, JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from codegen.documents.latex import fragment as latex_fragment
from codegen.documents.model import DETAILS, PAGE_PARTS, PARTS, WIDTH, Wanted
from codegen.documents.parts import of_loss
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.point import Point

if TYPE_CHECKING:
    from codegen.plots.pictures import Picture

# Where each format is written: a module of this package, imported when it is asked for, and
# its function.
_WRITERS = {
    "text": ("text", "text"),
    "latex": ("latex", "article"),
    "markdown": ("markdown", "markdown"),
    "gfm": ("markdown", "gfm"),
    "html": ("html", "html"),
    "ipynb": ("notebook", "notebook"),
    "json": ("data", "to_json"),
    "pdf": ("pdf", "pdf"),
}
BINARY = ("pdf",)
# What its pictures are where a document shows files that lie beside it.
BESIDE = {"latex": "pdf", "markdown": "svg", "gfm": "svg"}
FORMATS = tuple(to for to in _WRITERS if to not in BINARY)


def write(
    derivation: Derivation,
    to: str = "latex",
    *,
    fragment: bool = False,
    detail: str = "normal",
    parts: Sequence[str] = (),
    example: Point | None = None,
    others: Sequence[Derivation] = (),
    width: int = WIDTH,
    processes: int = 1,
) -> str:
    """A derivation in one of FORMATS.

    `detail` is "brief" (results only), "normal" (every step) or "full" (sub-steps too); JSON
    always holds every step.  `fragment` leaves out the preamble of a LaTeX document.
    `others` are further derivations of the loss, which follow in the same document; text, JSON
    and a fragment hold one.
    `parts` names what else a document is to say: some of PARTS, where the derivation is the
    gradient of a loss; `example` is a point whose numbers are put into the formulas.
    `width` is how many columns a text takes.
    With two `processes` a page's second derivatives are derived beside the rest.
    Plots stand inside HTML and notebooks; LaTeX and Markdown need files beside them: `files`.
    Raises PminusyError for a format or a detail that does not exist, and where what a format
    needs is not installed.
    """
    if "plots" in parts and to in BESIDE:
        raise PminusyError(f"plots are files beside a document in {to}: write it with -o FILE")
    wanted = replace(
        _wanted(derivation, to, parts, example),
        others=tuple(others),
        width=width,
        processes=processes,
    )
    return _text(derivation, to, fragment, detail, wanted)


def files(
    derivation: Derivation,
    to: str,
    stem: str,
    *,
    fragment: bool = False,
    detail: str = "normal",
    parts: Sequence[str] = (),
    example: Point | None = None,
    others: Sequence[Derivation] = (),
) -> tuple[bytes, dict[str, bytes]]:
    """The document as bytes, and by name the picture files that it shows, which begin with `stem`.

    Otherwise as `write`; PDF too, which raises PminusyError where there is no TeX.
    """
    wanted = replace(_wanted(derivation, to, parts, example, stem), others=tuple(others))
    if to == "pdf":
        return bytes(_writer(to)(derivation, _checked(detail), wanted)), {}
    text = _text(derivation, to, fragment, detail, wanted).encode()
    beside = wanted.pictures if to in BESIDE else ()
    return text, {wanted.picture_at.format(one.name): one.file(BESIDE[to]) for one in beside}


def typeset(
    derivation: Derivation,
    detail: str = "normal",
    parts: Sequence[str] = (),
    example: Point | None = None,
) -> bytes:
    """A derivation as PDF; raises PminusyError where there is no TeX."""
    return files(derivation, "pdf", "page", detail=detail, parts=parts, example=example)[0]


def _wanted(
    derivation: Derivation, to: str, parts: Sequence[str], example: Point | None, stem: str = ""
) -> Wanted:
    """What is wanted, the plots drawn where the format has a place for them."""
    form = {"pdf": "pdf", **BESIDE}.get(to, "png")
    drawn: tuple[Picture, ...] = ()
    if "plots" in parts and to not in ("text", "json") and of_loss(derivation):
        drawn = import_module("codegen.plots.pictures").pictures(
            derivation.loss, derivation.wrt[0].tensor.name
        )
    plain = "page" if to == "pdf" else re.sub(r"[^\w.+-]", "_", stem)
    at = "attachment:{}.png" if to == "ipynb" else f"{plain}-{{}}.{form}"
    return Wanted(tuple(parts), example, drawn, at)


def _text(derivation: Derivation, to: str, fragment: bool, detail: str, wanted: Wanted) -> str:
    if to not in FORMATS:
        raise PminusyError(f"no document format '{to}'; there are {', '.join(FORMATS)}")
    if fragment and to == "latex":
        return latex_fragment(derivation, _checked(detail), wanted)
    return str(_writer(to)(derivation, _checked(detail), wanted))


def _writer(to: str) -> Any:
    module, function = _WRITERS[to]
    return getattr(import_module(f"codegen.documents.{module}"), function)


def _checked(detail: str) -> str:
    if detail not in DETAILS:
        raise PminusyError(f"no detail '{detail}'; there are {', '.join(DETAILS)}")
    return detail


__all__ = [
    "BESIDE",
    "BINARY",
    "DETAILS",
    "FORMATS",
    "PAGE_PARTS",
    "PARTS",
    "WIDTH",
    "files",
    "latex_fragment",
    "typeset",
    "write",
]
