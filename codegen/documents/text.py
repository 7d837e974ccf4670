"""A derivation as plain Unicode text for a terminal: equals signs and rule names aligned."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sympy import Basic

from codegen.documents.model import NOTHING, Document, Dress, Line, Part, Section, Wanted
from codegen.documents.parts import whole
from codegen.emit import render
from derive.derivation import Derivation, distinct_lemmas
from derive.letters import Names, names_of
from derive.loss import Loss
from derive.printing import unicode
from derive.styles import unicode_name, unicode_style

LONGEST_NOTE = 40
_NARROWEST = 20
SIGNS_BETWEEN = ("+", "−", "=", "if", "else", ">", "<", "≥", "≤", "≠", "and", "or", "/")
BINDER = re.compile(r"(?:[ΣΠ]|max|min|argmax)(?:[^\s()]*|_\{.*\})$")
_INDENT = 2
_MIN_RULES = 40


def _space(base: str, axes: Sequence[str]) -> str:
    power = "×".join(axes)
    return (base or "ℝ") + (f"^({power})" if len(axes) > 1 else f"^{power}" if power else "")


def _grid(rows: Sequence[Sequence[str]]) -> str:
    return f"({'; '.join(', '.join(row) for row in rows)})"


DRESS = Dress(
    show=unicode,
    name=unicode_name,
    inline=str,
    comma=", ",
    member="∈",
    at_most="≤",
    less="<",
    braces=("{", "}"),
    space=_space,
    integers="ℤ",
    union="∪",
    style=lambda names: unicode_style(names.subscripts),
    grid=_grid,
    medium="unicode",
)


def _in_brackets(expr: Basic, loss: Loss, names: Names | None) -> str:
    return unicode(expr, loss, replace(names or names_of(loss, expr), subscripts=False))


BRACKETS = replace(DRESS, show=_in_brackets, style=lambda names: unicode_style(False))


def dress_of(derivation: Derivation) -> Dress:
    """Indices as subscripts, or all in brackets where some letter of theirs has no subscript."""
    loss = derivation.loss
    used = [each.names for each in (derivation, *distinct_lemmas([derivation]))]
    used += [names_of(loss, each.entry, each.body) for each in loss.definitions]
    return DRESS if all(names.subscripts for names in used) else BRACKETS


def text(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """The derivation on lines of at most `wanted.width`, wherever a formula can be broken."""
    width = wanted.width
    laid_out = whole(derivation, dress_of(derivation), detail, wanted)
    return render(
        "document.txt.j2",
        document=laid_out,
        title=textwrap.fill(laid_out.title, width),
        variables=_columns(
            [(v.place, v.role, DRESS.comma.join(v.facts)) for v in laid_out.variables]
        ),
        definitions=_equations(laid_out.definitions, width),
        sections=[(s.heading, list(_rows(s, detail == "full", width))) for s in laid_out.sections],
        boxed=_boxed(laid_out, width),
        parts=[_part(part, detail == "full", width) for part in laid_out.parts],
    )


def _part(
    part: Part, reasons: bool, width: int
) -> tuple[str, list[tuple[str, list[str]]], list[str]]:
    """The heading, the chains of equations each under its own, and what is said in words."""
    chains = [(s.heading if s.lines else "", list(_rows(s, reasons, width))) for s in part.sections]
    said = textwrap.wrap(part.said, width - 2)
    for one in part.statements:
        given = f", given {one.given}" if one.given else ""
        at = f"  At {one.counterexample}." if one.counterexample else ""
        said += textwrap.wrap(f"{one.name} ({one.status}): {one.sentence}{given}.{at}", width - 2)
        for number, step in enumerate(one.steps if len(one.steps) > 1 else ()):
            said.append(f"  {one.relation if number else '':2}{step}")
    return part.heading, chains, said


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _equations(pairs: Sequence[tuple[str, str]], columns: int) -> list[str]:
    width = max(len(left) for left, _ in pairs)
    return [
        row
        for left, right in pairs
        for row in _wrapped(left.rjust(width), right, columns - _INDENT)
    ]


def _wrapped(left: str, right: str, room: int) -> list[str]:
    """`left = right`, broken between words where it is too long."""
    first, hang = f"{left} = ", " " * (len(left) + 3)
    if len(first) + len(right) <= room:
        return [first + right]
    lines = broken(right, max(room - len(first), _NARROWEST))
    return [(first if number == 0 else hang) + line for number, line in enumerate(lines)]


def broken(formula: str, room: int) -> list[str]:
    """A formula on lines of at most `room` where it can be broken: before a sign, as little
    inside brackets as that allows, never among indices or after a summation sign."""
    lines = []
    while len(formula) > room:
        places = list(_breaks(formula))
        fitting = [(cost, -place) for place, cost in places if room // 4 <= place <= room]
        later = [place for place, _ in places if place > room]
        if not fitting and not later:
            break
        # Where no place fits, the first after it: a name longer than the line stays whole.
        where = -min(fitting)[1] if fitting else later[0]
        lines.append(formula[:where])
        formula = formula[where:].lstrip(" ")
    return [*lines, formula]


def _breaks(formula: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where a formula may be broken, each place with how much that disturbs: how deep it is in
    brackets, and whether it is before a sum's sign, a product's, or between words."""
    depth = 0
    for place, character in enumerate(formula):
        depth += (character in "([{") - (character in ")]}")
        fraction = character == "/" and formula[place - 1] in ")]" and formula[place + 1] != "∂"
        if (character == "·" and place) or fraction:
            yield place, (depth, 1)
        if character != " " or formula[place - 1] == ",":
            continue
        before = formula[:place].rpartition(" ")[2]
        after = formula[place + 1 :].partition(" ")[0]
        if before not in SIGNS_BETWEEN and not BINDER.search(before):
            yield place, (depth, 0 if after in SIGNS_BETWEEN else 2)


def _rows(section: Section, reasons: bool, columns: int) -> Iterator[str]:
    lines = section.lines or (Line(section.left, section.right),)
    width = max(len(line.left) for line in lines)
    column = _rule_column(width, lines, columns)
    for line in lines:
        *above, last = _wrapped(line.left.rjust(width), line.right, columns - _INDENT)
        yield from above
        yield from _with_rule(last, line, column, columns)
        if reasons and line.reason:
            indent = " " * (width + 3)
            room = max(columns - _INDENT, len(indent) + _NARROWEST)
            yield from textwrap.wrap(
                f"({line.reason})", room, initial_indent=indent, subsequent_indent=indent + " "
            )


def _rule_column(width: int, lines: Sequence[Line], columns: int) -> int:
    """Where rule names start: right of every formula that leaves them room."""
    notes = [note for line in lines if len(note := _note(line)) <= LONGEST_NOTE]
    longest = max(map(len, notes), default=LONGEST_NOTE)
    room = columns - _INDENT - longest - 3
    fitting = [width + 3 + len(line.right) for line in lines]
    return min(max((w for w in fitting if w <= room), default=room), room)


def _note(line: Line) -> str:
    return f"{line.rule} [{line.check}]" if line.check else line.rule


def _with_rule(row: str, line: Line, column: int, columns: int) -> Iterator[str]:
    note = _note(line)
    room = columns - _INDENT - column - 3
    if not note:
        yield row
    elif len(row) <= column and len(note) <= room:
        yield f"{row.ljust(column)}   {note}"
    else:
        yield row
        indent = column + 3 if len(note) <= room else 8
        for part in textwrap.wrap(note, columns - _INDENT - indent):
            yield " " * indent + part


def _boxed(laid_out: Document, width: int) -> list[str]:
    rows = _wrapped(laid_out.main.left, laid_out.main.right, width - _INDENT - 4)
    widest = max(map(len, rows))
    inside = [f"│ {row.ljust(widest)} │" for row in rows]
    return [f"┌{'─' * (widest + 2)}┐", *inside, f"└{'─' * (widest + 2)}┘"]
