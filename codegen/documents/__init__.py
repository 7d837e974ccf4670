"""Documents: a derivation as LaTeX, Markdown, text for a terminal, or JSON."""

from __future__ import annotations

from codegen.documents.data import to_json
from codegen.documents.document import DETAILS
from codegen.documents.latex import article
from codegen.documents.latex import fragment as latex_fragment
from codegen.documents.markdown import markdown
from codegen.documents.text import text
from derive.derivation import Derivation
from derive.errors import PminusyError

FORMATS = ("text", "latex", "markdown", "json")
_WRITERS = {"text": text, "latex": article, "markdown": markdown}


def write(
    derivation: Derivation, to: str = "latex", *, fragment: bool = False, detail: str = "normal"
) -> str:
    """A derivation in one of FORMATS.

    `detail` is "brief" (results only), "normal" (every step) or "full" (sub-steps too); JSON
    always holds everything.  `fragment` leaves out the preamble of a LaTeX document.
    Raises PminusyError for a format or a detail that does not exist.
    """
    if to not in FORMATS:
        raise PminusyError(f"no document format '{to}'; there are {', '.join(FORMATS)}")
    if detail not in DETAILS:
        raise PminusyError(f"no detail '{detail}'; there are {', '.join(DETAILS)}")
    if to == "json":
        return to_json(derivation)
    if fragment and to == "latex":
        return latex_fragment(derivation, detail)
    return _WRITERS[to](derivation, detail)
