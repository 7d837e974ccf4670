"""A derivation as LaTeX: a whole article, or a fragment to paste into one's own."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.documents.model import NOTHING, Dress, Wanted
from codegen.documents.parts import whole
from codegen.emit import render
from derive.derivation import Derivation
from derive.latex_style import LATEX, escape, latex_name
from derive.printing import latex


def _space(base: str, axes: Sequence[str]) -> str:
    power = r" \times ".join(axes)
    return (base or r"\mathbb{R}") + (f"^{{{power}}}" if power else "")


def _grid(rows: Sequence[Sequence[str]]) -> str:
    inside = r" \\ ".join(" & ".join(row) for row in rows)
    return rf"\begin{{pmatrix}} {inside} \end{{pmatrix}}"


DRESS = Dress(
    show=latex,
    name=latex_name,
    inline=lambda formula: f"${formula}$",
    comma=r",\quad ",
    member=r"\in",
    at_most=r"\le",
    less="<",
    braces=(r"\{", r"\}"),
    space=_space,
    integers=r"\mathbb{Z}",
    union=r"\cup",
    style=lambda names: LATEX,
    grid=_grid,
    medium="latex",
)


def article(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """A document that pdflatex compiles, with amsmath, amssymb, geometry and graphicx."""
    laid_out = whole(derivation, DRESS, detail, wanted)
    return render("document.tex.j2", document=laid_out, text=escape)


def fragment(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """Paragraphs and align* environments that need nothing but amsmath.

    Each step is tagged (place.number) and has the label NAME:OF:WRT:place.number, place
    counting the lemmas and then the derivation itself; so two fragments in one paper agree.
    """
    laid_out = whole(derivation, DRESS, detail, wanted)
    entries = (derivation.of, *derivation.wrt)
    names = [derivation.loss.name, *(entry.tensor.name for entry in entries)]

    def label(place: int, number: str) -> str:
        return rf" \tag{{{place}.{number}}}\label{{{':'.join(names)}:{place}.{number}}}"

    return render("fragment.tex.j2", document=laid_out, text=escape, label=label)
