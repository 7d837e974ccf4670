"""A derivation as Markdown with LaTeX mathematics, for a repository page or a notebook."""

from __future__ import annotations

import re

from codegen.documents.latex import DRESS
from codegen.documents.model import NOTHING, Wanted
from codegen.documents.parts import whole
from codegen.emit import render
from derive.derivation import Derivation


def markdown(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """The derivation with display equations and a list of reasons below each."""
    laid_out = whole(derivation, DRESS, detail, wanted)
    return render("document.md.j2", document=laid_out, text=escape)


def escape(text: str) -> str:
    """Words as Markdown text."""
    return re.sub(r"([\\`*_<\[\]])", r"\\\1", text)
