"""Documents: a derivation as LaTeX, PDF, Markdown, HTML, a notebook, text, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from codegen.documents.latex import fragment as latex_fragment
from codegen.documents.model import DETAILS, PARTS, Wanted
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.point import Point

# Where each format is written: a module of this package, imported when it is asked for, and
# its function.
_WRITERS = {
    "text": ("text", "text"),
    "latex": ("latex", "article"),
    "markdown": ("markdown", "markdown"),
    "html": ("html", "html"),
    "ipynb": ("notebook", "notebook"),
    "json": ("data", "to_json"),
    "pdf": ("pdf", "pdf"),
}
BINARY = ("pdf",)
FORMATS = tuple(to for to in _WRITERS if to not in BINARY)


def write(
    derivation: Derivation,
    to: str = "latex",
    *,
    fragment: bool = False,
    detail: str = "normal",
    parts: Sequence[str] = (),
    example: Point | None = None,
) -> str:
    """A derivation in one of FORMATS.

    `detail` is "brief" (results only), "normal" (every step) or "full" (sub-steps too); JSON
    always holds everything.  `fragment` leaves out the preamble of a LaTeX document.
    `parts` names what else a document is to say: some of PARTS, where the derivation is the
    gradient of a loss; `example` is a point whose numbers are put into the formulas.
    Raises PminusyError for a format or a detail that does not exist, and where what a format
    needs is not installed.
    """
    if to not in FORMATS:
        raise PminusyError(f"no document format '{to}'; there are {', '.join(FORMATS)}")
    wanted = Wanted(tuple(parts), example)
    if to == "json":
        return str(_writer(to)(derivation))
    if fragment and to == "latex":
        return latex_fragment(derivation, _checked(detail), wanted)
    return str(_writer(to)(derivation, _checked(detail), wanted))


def typeset(
    derivation: Derivation,
    detail: str = "normal",
    parts: Sequence[str] = (),
    example: Point | None = None,
) -> bytes:
    """A derivation as PDF; raises PminusyError where there is no TeX."""
    wanted = Wanted(tuple(parts), example)
    return bytes(_writer("pdf")(derivation, _checked(detail), wanted))


def _writer(to: str) -> Any:
    module, function = _WRITERS[to]
    return getattr(import_module(f"codegen.documents.{module}"), function)


def _checked(detail: str) -> str:
    if detail not in DETAILS:
        raise PminusyError(f"no detail '{detail}'; there are {', '.join(DETAILS)}")
    return detail


__all__ = ["BINARY", "DETAILS", "FORMATS", "PARTS", "latex_fragment", "typeset", "write"]
