"""LaTeX formulas as MathML, by Temml (codegen/assets/temml) in an embedded JavaScript engine."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from derive.errors import PminusyError

# What stands before the name of a function without a sign between them: TeX sets a thin space.
SPACED = re.compile(
    r"(</m(?:i|n|sub|sup|subsup|frac|sqrt|root)>|form=\"postfix\"[^>]*>[^<]*</mo>(?:</mrow>)?)"
    r"(?=(?:<mrow>)?(?:<m(?:under|sub)>)?<mi>[a-z]\w+</mi>(?:<mi>\w</mi></m(?:under|sub)>)?<mo>\u2061)"
)
# Two fractions side by side: TeX keeps their bars apart.
FRACTIONS = re.compile(r"(</mfrac>)(?=(?:<mrow>)?<mfrac>)")
THIN = '<mspace width="0.1667em"></mspace>'
# A roman name with an underscore: as text it stays one word, not a row of letters.
UNDERSCORED = re.compile(r"\\mathrm(?=\{\w*\\_)")
REMEDY = "HTML needs quickjs-ng: pip install 'pminusy[documents]'"
FORMULA = """JSON.stringify(temml.renderToString({formula}, {{
  displayMode: {display}, annotate: false, throwOnError: true, trust: false
}}))"""


@lru_cache(maxsize=1)
def _engine() -> tuple[Any, type[Exception]]:
    """The engine with Temml in it, and the error that it raises."""
    try:
        import quickjs
    except ImportError as error:
        raise PminusyError(REMEDY) from error
    context = quickjs.Context()
    context.eval(asset("temml.min.js"))
    return context, quickjs.JSException


def asset(name: str) -> str:
    """A file of Temml, as text."""
    return (files("codegen") / "assets" / "temml" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1 << 12)
def mathml(formula: str, display: bool = False) -> str:
    """A formula in LaTeX as one <math> element; PminusyError where Temml cannot read it."""
    read = UNDERSCORED.sub(r"\\textrm", formula)
    call = FORMULA.format(formula=json.dumps(read), display=json.dumps(display))
    engine, refused = _engine()
    try:
        made = SPACED.sub(rf"\1{THIN}", str(json.loads(engine.eval(call))))
        return FRACTIONS.sub(rf"\1{THIN}", made)
    except refused as error:
        why = str(error).partition("\n")[0]
        raise PminusyError(f"no MathML for the formula {formula}: {why}") from error


def styles() -> str:
    """What the MathML needs of CSS; the font that Temml keeps in a file of its own is left out."""
    sheet = asset("Temml-Local.css")
    start = sheet.index("@font-face")
    return sheet[:start] + sheet[sheet.index("}", start) + 1 :].lstrip()
