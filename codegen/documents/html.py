"""A derivation as one HTML page that needs nothing else: static MathML, light and dark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from codegen.documents.latex import DRESS
from codegen.documents.mathml import mathml, styles
from codegen.documents.model import NESTED, NOTHING, Wanted
from codegen.documents.parts import whole
from codegen.emit import render
from derive.derivation import Derivation

if TYPE_CHECKING:
    from codegen.plots.pictures import Picture

INLINE = re.compile(r"\$([^$]*)\$")


def html(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """A self-contained page; sub-steps are there, folded, unless `detail` is "brief"."""
    laid_out = whole(derivation, DRESS, "brief" if detail == "brief" else NESTED, wanted)
    return render("document.html.j2", document=laid_out, styles=Markup(styles()), **HELPERS)


def inline(formula: str) -> Markup:
    return Markup(mathml(formula)) if formula else Markup()


def display(formula: str) -> Markup:
    return Markup(mathml(rf"\displaystyle {formula}"))


def words(text: str) -> Markup:
    """Words with formulas between dollar signs."""
    parts = INLINE.split(text)
    shown = (inline(part) if place % 2 else escape(part) for place, part in enumerate(parts))
    return Markup().join(shown)


def inlined(picture: Picture) -> Markup:
    """A plot as an element of the page."""
    from codegen.plots.pictures import inlined as element

    return element(picture)


HELPERS = {"inline": inline, "display": display, "words": words, "inlined": inlined}
