"""A derivation as one HTML page that needs nothing else: static MathML, light and dark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from codegen.documents.latex import DRESS
from codegen.documents.mathml import mathml, styles
from codegen.documents.model import NESTED, NOTHING, Document, Wanted
from codegen.documents.parts import begun
from codegen.emit import render
from derive.derivation import Derivation

if TYPE_CHECKING:
    from codegen.plots.pictures import Picture

INLINE = re.compile(r"\$([^$]*)\$")


def html(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """A self-contained page; sub-steps are there, folded, unless `detail` is "brief"."""
    shown = "brief" if detail == "brief" else NESTED
    first, finish = begun(derivation, DRESS, shown, wanted)
    if wanted.processes > 1:
        _page(first)  # The formulas that there are become MathML while the others are derived.
    return _page(finish())


def _page(laid_out: Document) -> str:
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
