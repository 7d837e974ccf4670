"""A derivation as Markdown with LaTeX mathematics, for a repository page or a notebook.

Dollar signs around formulas are what Jupyter, Quarto, pandoc, GitLab and editors read.  GitHub
reads them as Markdown first, which eats backslashes before punctuation; its own marks (a fence
named math, a backtick inside the dollar sign) keep a formula as it is.
"""

from __future__ import annotations

import re

from codegen.documents.latex import DRESS
from codegen.documents.model import NOTHING, Wanted
from codegen.documents.parts import whole
from codegen.emit import render
from derive.derivation import Derivation

DISPLAY = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!\\)\$(?!`)([^$\n]+?)\$")
OPERATOR = re.compile(r"\\operatorname\*?\{(\w+)\}")  # a macro that GitHub does not allow
ACTIVE = re.compile(r"([\\`*_<>\[\]$~^&@|])")
GAP = re.compile(r"\n{3,}")
OPENING = re.compile(r"^(\d*)([#+.)-])")  # of a heading or of a list


def markdown(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """The derivation with display equations and a list of reasons below each."""
    laid_out = whole(derivation, DRESS, detail, wanted)
    text = render("document.md.j2", document=laid_out, text=escape)
    return GAP.sub("\n\n", text).rstrip("\n") + "\n"


def gfm(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """The same in the Markdown of GitHub."""
    text = DISPLAY.sub(r"```math\n\1\n```", markdown(derivation, detail, wanted))
    text = INLINE.sub(r"$`\1`$", text)
    return OPERATOR.sub(r"\\mathop{\\mathrm{\1}}", text)


def escape(text: str) -> str:
    """Words as Markdown text, in every dialect."""
    return OPENING.sub(r"\1\\\2", ACTIVE.sub(r"\\\1", text))
