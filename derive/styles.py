"""How the parts of an expression are set on one line: the language's style, and Unicode's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from derive.letters import SUBSCRIPTS

CHOICE, ADD, BIG, PREFIX, MUL, POW, ATOM = range(7)


class Piece(NamedTuple):
    """A printed expression and how tightly it holds together.

    A PREFIX text, such as a sum sign with its body, reaches as far to the right as it can;
    BIG is a product that ends in one.
    `bracket_first` marks a product that starts with a bracket.
    """

    text: str
    level: int = ATOM
    bracket_first: bool = False


class Clause(NamedTuple):
    """What a binder ranges over: letter, axis, and the guard with whether it is plainly k != t."""

    letter: str
    axis: str
    guard: str = ""
    plain: bool = False


@dataclass(frozen=True)
class Style:
    """One way of setting expressions; each function sets one kind of node.

    `exact` asks for a text that reads back as the very same tree, `stacked` for numbers such
    as one half in front of what they multiply.
    """

    minus: str
    name: Callable[[str], str]
    entry: Callable[[str, Sequence[str]], str]
    delta: Callable[[Sequence[str]], str]
    bracket: Callable[[str], str]
    product: Callable[[Sequence[Piece]], Piece]
    fraction: Callable[[Piece, Piece], Piece]
    scientific: Callable[[str, int], Piece]
    power: Callable[[Piece, Piece], Piece]
    root: Callable[[Piece, int], Piece]
    call: Callable[[str, Sequence[Piece]], Piece]
    binder: Callable[[str, Sequence[Clause], Piece], Piece]
    choice: Callable[[Sequence[tuple[Piece, str]], Piece], Piece]
    indicator: Callable[[str], Piece]
    derivative: Callable[[str, Sequence[str], bool], Piece]
    diff: Callable[[Piece, Sequence[str]], Piece]
    share: Callable[[Piece, str], Piece]
    relations: Mapping[str, str]
    connectives: Mapping[str, str]
    exact: bool = False
    stacked: bool = False

    def wrap(self, piece: Piece, least: int) -> str:
        """The text of a piece, in brackets where it holds together less than `least`."""
        return piece.text if piece.level >= least else self.bracket(piece.text)


_GREEK_WORDS = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda lamda lam mu nu xi omicron
    pi rho sigma tau upsilon phi chi psi omega
    Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
"""
_GREEK_LETTERS = "αβγδεζηθικλλλμνξοπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
GREEK = dict(zip(_GREEK_WORDS.split(), _GREEK_LETTERS, strict=True))


def _round(text: str) -> str:
    return f"({text})"


# ---------------------------------------------------------------- the language


def _plain_entry(name: str, indices: Sequence[str]) -> str:
    return f"{name}[{', '.join(indices)}]" if indices else name


def _line_product(times: str) -> Callable[[Sequence[Piece]], Piece]:
    def product(factors: Sequence[Piece]) -> Piece:
        if len(factors) == 1:
            return factors[0]
        *init, last = factors
        texts = [f.text if f.level >= POW else _round(f.text) for f in init]
        texts.append(last.text if last.level >= POW or last.level == PREFIX else _round(last.text))
        level = BIG if last.level == PREFIX else MUL
        return Piece(times.join(texts), level, factors[0].level == ADD)

    return product


def _line_fraction(above: Piece, below: Piece) -> Piece:
    top = above.text if above.level >= MUL else _round(above.text)
    bottom = below.text if below.level >= POW or below.level == PREFIX else _round(below.text)
    level = BIG if below.level == PREFIX else MUL
    return Piece(f"{top}/{bottom}", level, above.bracket_first or above.level == ADD)


def _plain_power(base: Piece, exponent: Piece) -> Piece:
    low = base.text if base.level == ATOM else _round(base.text)
    high = exponent.text if exponent.level == ATOM else _round(exponent.text)
    return Piece(f"{low}**{high}", POW)


def _plain_root(body: Piece, degree: int) -> Piece:
    if degree == 2:
        return Piece(f"sqrt({body.text})")
    return _plain_power(body, Piece(f"1/{degree}", MUL))


def _plain_call(name: str, args: Sequence[Piece]) -> Piece:
    return Piece(f"{name}({', '.join(arg.text for arg in args)})")


def _plain_binder(word: str, clauses: Sequence[Clause], body: Piece) -> Piece:
    loops = [
        f" for {c.letter} in {c.axis}" + (f" if {c.guard}" if c.guard else "") for c in clauses
    ]
    return Piece(f"{word}({body.text}{''.join(loops)})")


def _line_choice(cases: Sequence[tuple[Piece, str]], otherwise: Piece) -> Piece:
    parts = [
        f"{value.text if value.level > CHOICE else _round(value.text)} if {condition} else "
        for value, condition in cases
    ]
    return Piece("".join(parts) + otherwise.text, CHOICE)


def _plain_derivative(of: str, by: Sequence[str], direct: bool) -> Piece:
    power = f"{len(by)}" if len(by) > 1 else ""
    text = f"d{power}{of}/" + " ".join(f"d{name}" for name in by)
    return Piece(f"direct({text})") if direct else Piece(text, MUL)


def _plain_diff(body: Piece, by: Sequence[str]) -> Piece:
    power = f"{len(by)}" if len(by) > 1 else ""
    return Piece(f"d{power}/{' '.join(f'd{name}' for name in by)} ({body.text})", PREFIX)


LANGUAGE = Style(
    minus="-",
    name=str,
    entry=_plain_entry,
    delta=lambda indices: f"delta({', '.join(indices)})",
    bracket=_round,
    product=_line_product("*"),
    fraction=_line_fraction,
    scientific=lambda digits, power: Piece(f"{digits}e{power}"),
    power=_plain_power,
    root=_plain_root,
    call=_plain_call,
    binder=_plain_binder,
    choice=_line_choice,
    indicator=lambda condition: Piece(f"1 if {condition} else 0", CHOICE),
    derivative=_plain_derivative,
    diff=_plain_diff,
    share=lambda extremum, index: Piece(f"share({extremum.text}, {index})"),
    relations={op: op for op in ("==", "!=", "<", "<=", ">", ">=")},
    connectives={"and": " and ", "or": " or ", "not": "not ", "true": "true"},
    exact=True,
)

# ---------------------------------------------------------------- Unicode, for a terminal

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SIGNS = {"sum": "Σ", "prod": "Π", "max": "max", "min": "min", "argmax": "argmax"}


def unicode_name(name: str) -> str:
    """A name for the terminal: gamma becomes γ, and lambda_2 λ_2."""
    stem, line, below = name.partition("_")
    return GREEK.get(stem, stem) + line + below


def subscript(letters: Sequence[str]) -> str:
    """Index letters as Unicode subscripts."""
    return "".join(SUBSCRIPTS[character] for letter in letters for character in letter)


def _small_entry(name: str, indices: Sequence[str]) -> str:
    return unicode_name(name) + subscript(indices)


def _bracket_entry(name: str, indices: Sequence[str]) -> str:
    return _plain_entry(unicode_name(name), indices)


def _unicode_power(base: Piece, exponent: Piece) -> Piece:
    low = base.text if base.level == ATOM else _round(base.text)
    if exponent.text.lstrip("-−").isdigit():
        return Piece(low + exponent.text.replace("−", "-").translate(_SUPERSCRIPTS), POW)
    high = exponent.text if exponent.level == ATOM else _round(exponent.text)
    return Piece(f"{low}^{high}", POW)


def _unicode_scientific(digits: str, power: int) -> Piece:
    ten = Piece(f"10{str(power).translate(_SUPERSCRIPTS)}", POW)
    return ten if digits == "1" else _line_product("·")([Piece(digits), ten])


def _unicode_root(body: Piece, degree: int) -> Piece:
    if degree == 2:
        return Piece("√" + (body.text if body.level == ATOM else _round(body.text)), POW)
    return _unicode_power(body, Piece(f"1/{degree}", MUL))


def _unicode_call(name: str, args: Sequence[Piece]) -> Piece:
    text = ", ".join(arg.text for arg in args)
    if name == "abs":
        return Piece(f"|{text}|")
    return Piece(f"{ {'sigmoid': 'σ', 'lgamma': 'lnΓ', 'digamma': 'ψ'}.get(name, name) }({text})")


def _unicode_binder(small: bool) -> Callable[[str, Sequence[Clause], Piece], Piece]:
    def binder(word: str, clauses: Sequence[Clause], body: Piece) -> Piece:
        text = body.text if body.level >= BIG else _round(body.text)
        for clause in reversed(clauses):
            if clause.guard:
                head = clause.guard if clause.plain else f"{clause.letter}: {clause.guard}"
                below = f"_{{{head}}}"
            else:
                below = subscript([clause.letter]) if small else f"_{clause.letter}"
            text = f"{_SIGNS[word]}{below} {text}"
        return Piece(text, PREFIX)

    return binder


def _unicode_derivative(of: str, by: Sequence[str], direct: bool) -> Piece:
    power = str(len(by)).translate(_SUPERSCRIPTS) if len(by) > 1 else ""
    text = f"∂{power}{of}/" + _unicode_below(by, power)
    return Piece(f"({text})|direct") if direct else Piece(text, MUL)


def _unicode_diff(body: Piece, by: Sequence[str]) -> Piece:
    power = str(len(by)).translate(_SUPERSCRIPTS) if len(by) > 1 else ""
    text = body.text if body.level == ATOM else _round(body.text)
    return Piece(f"∂{power}/{_unicode_below(by, power)} {text}", PREFIX)


def _unicode_below(by: Sequence[str], power: str) -> str:
    if power and len(set(by)) == 1:
        return f"∂{by[0]}{power}"
    return "".join(f"∂{name}" for name in by)


def unicode_style(small: bool) -> Style:
    """The terminal's style, with subscripts (`small`) or with indices in brackets."""
    return Style(
        minus="−",
        name=unicode_name,
        entry=_small_entry if small else _bracket_entry,
        delta=lambda indices: _small_entry("δ", indices) if small else _bracket_entry("δ", indices),
        bracket=_round,
        product=_line_product("·"),
        fraction=_line_fraction,
        scientific=_unicode_scientific,
        power=_unicode_power,
        root=_unicode_root,
        call=_unicode_call,
        binder=_unicode_binder(small),
        choice=_line_choice,
        indicator=lambda condition: Piece(f"1[{condition}]"),
        derivative=_unicode_derivative,
        diff=_unicode_diff,
        share=lambda extremum, index: Piece(
            f"ω{subscript([index]) if small else f'[{index}]'}({extremum.text})"
        ),
        relations={"==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"},
        connectives={"and": " and ", "or": " or ", "not": "not ", "true": "true"},
    )
