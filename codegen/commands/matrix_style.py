"""What --style matrix adds to a derivation: its result in matrix notation, and the layout."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from typing import TYPE_CHECKING

from derive.errors import PminusyError

if TYPE_CHECKING:
    from derive.derivation import Derivation

WIDTH = 100
_NONE = "No matrix form: too long, or with indices that no product of matrices can have."


def check(options: Namespace) -> None:
    """Raise PminusyError for a format that has no place for a matrix form."""
    to = "json" if options.json else options.to
    if to not in ("text", "markdown") and not (to == "latex" and options.fragment):
        raise PminusyError("--style matrix goes with --to text, markdown, or latex --fragment")


def with_matrix(text: str, derivation: Derivation, to: str) -> str:
    """The text of a derivation with its matrix form at the end."""
    from derive.matrix import matrix_form

    form = matrix_form(derivation)
    if form is None:
        return f"{text.rstrip()}\n\n{_NONE}\n"
    if to == "text":
        formula = f"  {form.left['unicode']} = {form.right['unicode']}"
        said = textwrap.fill(form.convention, WIDTH)
        return f"{text.rstrip()}\n\nMatrix form\n\n{formula}\n\n{said}\n"
    formula = f"{form.left['latex']} = {form.right['latex']}"
    if to == "markdown":
        return f"{text.rstrip()}\n\n### Matrix form\n\n$$\n{formula}\n$$\n\n{form.convention}\n"
    said = form.convention.replace("_", r"\_").replace("^", r"\textasciicircum{}")
    return f"{text.rstrip()}\n\\[\n{formula}\n\\]\n{said}\n"
