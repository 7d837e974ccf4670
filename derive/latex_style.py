"""How the parts of an expression are set in LaTeX (amsmath)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from derive.styles import ATOM, BIG, GREEK, MUL, POW, PREFIX, Clause, Piece, Style

_COMMANDS = {letter: "\\" + name for name, letter in GREEK.items() if name not in ("lam", "lamda")}
_COMMANDS["ο"] = "o"
_TALL = re.compile(r"\\(frac|sum|prod|max_|min_|begin)")
# A name of several letters.  A bracket after it would look like the call of a function, and
# another name beside it like one longer name.
_LONG = r"\\mathrm\{(?:\w|\\_){2,}\}(?:_\{[^{}]*\})?"
_WORD = re.compile(_LONG + "$")
_SPACED = re.compile(_LONG + r"(?:\^\{[^{}]*\})?$")
_LONG_FIRST = re.compile(_LONG + r"|\\mathbf\{1\}(?:\\!\\left)?\[")
_NUMERIC = re.compile(r"\(-[\d.]+\)|e\^\{-?\d")
_ACCENTS = {"hat", "bar", "tilde", "dot"}
_OPERATORS = {"log", "sin", "cos", "tan", "sinh", "cosh", "tanh"}
_CIRCULAR = re.compile(r"\\(sin|cos|tan)h?\b")  # their powers are written sin^2 x
_SPECIAL = {
    "asin": r"\arcsin",
    "acos": r"\arccos",
    "atan": r"\arctan",
    "sigmoid": r"\sigma",
    "lgamma": r"\log\Gamma",
    "digamma": r"\psi",
    "sign": r"\operatorname{sign}",
    "exp": r"\exp",
    "max": r"\max",
    "min": r"\min",
}


def _letter(character: str) -> str:
    if character.isascii():
        return character
    if character in _COMMANDS:
        return _COMMANDS[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or f"U{ord(character):04X}"


def _is_symbol(word: str) -> bool:
    """Whether a word is set as one letter: x, gamma, or either with a number, as in x1."""
    stem = word.rstrip("0123456789")
    return len(stem) == 1 or stem in GREEK


def _word(word: str) -> str:
    """A name without digits."""
    if word in GREEK:
        return _COMMANDS[GREEK[word]]
    if len(word) == 1:
        letter = _letter(word)
        return letter if len(letter) == 1 or letter.startswith("\\") else rf"\mathrm{{{letter}}}"
    if all(character in _COMMANDS for character in word):
        return "".join(f"{{{_COMMANDS[character]}}}" for character in word)
    letters = "".join(_letter(c) if c.isascii() else rf"{{{_letter(c)}}}" for c in word)
    letters = letters.replace("_", r"\_")
    return rf"\mathrm{{{letters}}}"


def _name_parts(name: str) -> tuple[str, list[str]]:
    """The stem of a name and its subscripts: w1 is w with 1, x_max is x with max.

    Words hold together: log_prob is one name, and neither a logarithm nor an entry of one.
    """
    stem, *rest = (part for part in name.split("_") if part)
    if rest and not _is_symbol(stem):
        numbers = [rest.pop()] if rest[-1].isdigit() else []
        return _word("_".join((stem, *rest))), numbers
    digits = re.fullmatch(r"(.*?\D)(\d+)", stem)
    below = [digits[2]] if digits else []
    symbol = _word(digits[1] if digits else stem)
    while rest and rest[0] in _ACCENTS:
        symbol = rf"\{rest.pop(0)}{{{symbol}}}"
    return symbol, below + [part if part.isdigit() else latex_name(part) for part in rest]


def latex_name(name: str) -> str:
    """A name in math mode: gamma, w1, KL, y_hat and x_max as a mathematician writes them."""
    return latex_entry(name, ())


def _subscript(indices: Sequence[str]) -> str:
    single = all(len(index) == 1 for index in indices)
    return ("" if single else ",").join(indices)


def latex_entry(name: str, indices: Sequence[str]) -> str:
    """An entry of a tensor, its indices below, after what its name has there."""
    stem, below = _name_parts(name)
    if indices:
        below.append(_subscript(indices))
    return f"{stem}_{{{','.join(below)}}}" if below else stem


def beside(left: str, right: str) -> str:
    """The sign or the space between two factors."""
    called = _WORD.search(left) and right.startswith(("(", r"\left("))
    numbers = left[-1].isdigit() and _NUMERIC.match(right)  # 1e^{2} would be 100
    if right[0].isdigit() or called or numbers:
        return r" \cdot "
    return r" \, " if _SPACED.search(left) or _LONG_FIRST.match(right) else " "


def bracket(text: str) -> str:
    """A text in round brackets that are as tall as it needs."""
    if _TALL.search(text):
        return rf"\left({text}\right)"
    return f"({text})"


def _product(factors: Sequence[Piece]) -> Piece:
    if len(factors) == 1:
        return factors[0]
    *init, last = factors
    texts = [f.text if f.level >= MUL else bracket(f.text) for f in init]
    texts.append(last.text if last.level >= PREFIX else bracket(last.text))
    joined = texts[0]
    for text in texts[1:]:
        joined += beside(joined, text) + text
    return Piece(joined, BIG if last.level == PREFIX else MUL)


def _fraction(above: Piece, below: Piece) -> Piece:
    return Piece(rf"\frac{{{above.text}}}{{{below.text}}}", POW)


def _power(base: Piece, exponent: Piece) -> Piece:
    circular = _CIRCULAR.match(base.text) if base.level in (PREFIX, ATOM) else None
    if circular and exponent.text.isdigit():
        return Piece(f"{circular[0]}^{{{exponent.text}}}{base.text[circular.end() :]}", base.level)
    low = base.text if base.level == ATOM else bracket(base.text)
    return Piece(f"{low}^{{{exponent.text}}}", POW)


def _scientific(digits: str, power: int) -> Piece:
    ten = Piece(f"10^{{{power}}}", POW)
    return ten if digits == "1" else _product([Piece(digits), ten])


def _root(body: Piece, degree: int) -> Piece:
    return Piece(rf"\sqrt{'' if degree == 2 else f'[{degree}]'}{{{body.text}}}", ATOM)


def _call(name: str, args: Sequence[Piece]) -> Piece:
    text = ", ".join(arg.text for arg in args)
    if name == "abs":
        return Piece(rf"\left|{text}\right|" if _TALL.search(text) else rf"\lvert {text} \rvert")
    if name == "exp" and _short(text):
        return Piece(f"e^{{{text}}}", POW)
    command = _SPECIAL.get(name, rf"\{name}" if name in _OPERATORS else rf"\operatorname{{{name}}}")
    if name in _OPERATORS and args[0].level >= POW:
        return Piece(f"{command} {text}", PREFIX)
    inner = bracket(text)
    return Piece(command + (r"\!" if inner.startswith(r"\left") else "") + inner)


def _short(text: str) -> bool:
    return not _TALL.search(text) and len(re.sub(r"\\[a-zA-Z]+|[{}_^ ]", "", text)) <= 12


def _binder(word: str, clauses: Sequence[Clause], body: Piece) -> Piece:
    text = body.text if body.level >= BIG else bracket(body.text)
    for clause in reversed(clauses):
        below = clause.letter
        if clause.guard:
            below = clause.guard if clause.plain else rf"{clause.letter} :\, {clause.guard}"
        sign = r"\operatorname*{argmax}" if word == "argmax" else rf"\{word}"
        text = rf"{sign}_{{{below}}} {text}"
    return Piece(text, PREFIX)


def _choice(cases: Sequence[tuple[Piece, str]], otherwise: Piece) -> Piece:
    rows = [rf"{value.text} & \text{{if }} {condition}" for value, condition in cases]
    rows.append(rf"{otherwise.text} & \text{{otherwise}}")
    return Piece(r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}", PREFIX)


def _indicator(condition: str) -> Piece:
    tall = _TALL.search(condition)
    opening, closing = (r"\!\left[", r"\right]") if tall else ("[", "]")
    return Piece(rf"\mathbf{{1}}{opening}{condition}{closing}")


def _derivative(of: str, by: Sequence[str], direct: bool) -> Piece:
    text = _nabla(of, by)
    return Piece(rf"\left.{text}\right|_{{\text{{direct}}}}" if direct else text, POW)


def _nabla(of: str, by: Sequence[str]) -> str:
    order = f"^{{{len(by)}}}" if len(by) > 1 else ""
    below = r"\, ".join(rf"\partial {name}" for name in by)
    if order and len(set(by)) == 1:
        below = rf"\partial {by[0]}{order}"
    return rf"\frac{{\partial{order}{of and ' '}{of}}}{{{below}}}"


def _diff(body: Piece, by: Sequence[str]) -> Piece:
    text = body.text if body.level in (PREFIX, POW, ATOM) else bracket(body.text)
    return Piece(f"{_nabla('', by)} {text}", PREFIX)


def _share(extremum: Piece, index: str) -> Piece:
    return Piece(rf"\omega_{{{index}}}\!{bracket(extremum.text)}")


LATEX = Style(
    minus="-",
    name=latex_name,
    entry=latex_entry,
    delta=lambda indices: rf"\delta_{{{_subscript(indices)}}}",
    bracket=bracket,
    product=_product,
    fraction=_fraction,
    power=_power,
    scientific=_scientific,
    root=_root,
    call=_call,
    binder=_binder,
    choice=_choice,
    indicator=_indicator,
    derivative=_derivative,
    diff=_diff,
    share=_share,
    relations={"==": "=", "!=": r"\ne", "<": "<", "<=": r"\le", ">": ">", ">=": r"\ge"},
    connectives={
        "and": r" \text{ and } ",
        "or": r" \text{ or } ",
        "not": r"\text{not } ",
        "true": r"\text{true}",
    },
    stacked=True,
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
    "≥": r"\(\ge\)",
    "≤": r"\(\le\)",
    "∞": r"\(\infty\)",
    "→": r"\(\to\)",
    "−": r"\(-\)",
    "′": r"\('\)",
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
