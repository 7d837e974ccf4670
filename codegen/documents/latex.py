"""A derivation as LaTeX: a whole article, or a fragment to paste into one's own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codegen.documents.document import Dress, document
from codegen.emit import render
from derive.derivation import Derivation
from derive.latex_style import latex_name
from derive.printing import latex


def _space(base: str, axes: Sequence[str]) -> str:
    power = r" \times ".join(axes)
    return (base or r"\mathbb{R}") + (f"^{{{power}}}" if power else "")


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
)

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\(<\)",
    ">": r"\(>\)",
    "|": r"\(|\)",
}
# What pdflatex's utf8 input knows without further packages.
_KNOWN = re.compile(r"[ -~¡-ſ–—‘’“”…]")


def escape(text: str) -> str:
    """Words as LaTeX text: special characters escaped, Greek letters set as mathematics."""
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if _KNOWN.fullmatch(character):
        return character
    if character.isspace():
        return " "
    return rf"\({latex_name(character)}\)" if character.isidentifier() else "?"


def article(derivation: Derivation, detail: str = "normal") -> str:
    """A document that pdflatex compiles, with amsmath, amssymb, geometry and graphicx."""
    laid_out = document(derivation, DRESS, detail)
    return render("document.tex.j2", document=laid_out, text=escape)


def fragment(derivation: Derivation, detail: str = "normal") -> str:
    """Paragraphs and align* environments that need nothing but amsmath."""
    laid_out = document(derivation, DRESS, detail)
    return render("fragment.tex.j2", document=laid_out, text=escape)
