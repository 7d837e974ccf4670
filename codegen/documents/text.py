"""A derivation as plain Unicode text for a terminal: equals signs and rule names aligned."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from codegen.documents.model import NOTHING, Document, Dress, Line, Part, Section, Wanted
from codegen.documents.parts import whole
from codegen.emit import render
from derive.derivation import Derivation
from derive.printing import unicode
from derive.styles import unicode_name, unicode_style

WIDTH = 100
LONGEST_NOTE = 40
_NARROWEST = 20
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


def text(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """The derivation on lines of at most 100 columns, wherever a formula can be broken."""
    laid_out = whole(derivation, DRESS, detail, wanted)
    return render(
        "document.txt.j2",
        document=laid_out,
        title=laid_out.title,
        variables=_columns([(v.place, v.role, v.facts) for v in laid_out.variables]),
        definitions=_equations(laid_out.definitions),
        sections=[(s.heading, list(_rows(s, detail == "full"))) for s in laid_out.sections],
        boxed=_boxed(laid_out),
        parts=[_part(part, detail == "full") for part in laid_out.parts],
    )


def _part(part: Part, reasons: bool) -> tuple[str, list[tuple[str, list[str]]], list[str]]:
    """The heading, the chains of equations each under its own, and what is said in words."""
    chains = [(s.heading if s.lines else "", list(_rows(s, reasons))) for s in part.sections]
    said = textwrap.wrap(part.said, WIDTH - 2)
    for one in part.statements:
        given = f", given {one.given}" if one.given else ""
        at = f"  At {one.counterexample}." if one.counterexample else ""
        said += textwrap.wrap(f"{one.name} ({one.status}): {one.sentence}{given}.{at}", WIDTH - 2)
        for number, step in enumerate(one.steps if len(one.steps) > 1 else ()):
            said.append(f"  {one.relation if number else '':2}{step}")
    return part.heading, chains, said


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _equations(pairs: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(left) for left, _ in pairs)
    return [row for left, right in pairs for row in _wrapped(left.rjust(width), right)]


def _wrapped(left: str, right: str, room: int = WIDTH - _INDENT) -> list[str]:
    """`left = right`, broken between words where it is too long."""
    first, hang = f"{left} = ", " " * (len(left) + 3)
    if len(first) + len(right) <= room:
        return [first + right]
    room = max(room - len(first), _NARROWEST)
    lines = textwrap.wrap(right, room, break_long_words=False, break_on_hyphens=False)
    return [(first if number == 0 else hang) + line for number, line in enumerate(lines)]


def _rows(section: Section, reasons: bool) -> Iterator[str]:
    lines = section.lines or (Line(section.left, section.right),)
    width = max(len(line.left) for line in lines)
    column = _rule_column(width, lines)
    for line in lines:
        *above, last = _wrapped(line.left.rjust(width), line.right)
        yield from above
        yield from _with_rule(last, line, column)
        if reasons and line.reason:
            indent = " " * (width + 3)
            room = max(WIDTH - _INDENT, len(indent) + _NARROWEST)
            yield from textwrap.wrap(
                f"({line.reason})", room, initial_indent=indent, subsequent_indent=indent + " "
            )


def _rule_column(width: int, lines: Sequence[Line]) -> int:
    """Where rule names start: right of every formula that leaves them room."""
    notes = [note for line in lines if len(note := _note(line)) <= LONGEST_NOTE]
    longest = max(map(len, notes), default=LONGEST_NOTE)
    room = WIDTH - _INDENT - longest - 3
    fitting = [width + 3 + len(line.right) for line in lines]
    return min(max((w for w in fitting if w <= room), default=room), room)


def _note(line: Line) -> str:
    return f"{line.rule} [{line.check}]" if line.check else line.rule


def _with_rule(row: str, line: Line, column: int) -> Iterator[str]:
    note = _note(line)
    room = WIDTH - _INDENT - column - 3
    if not note:
        yield row
    elif len(row) <= column and len(note) <= room:
        yield f"{row.ljust(column)}   {note}"
    else:
        yield row
        indent = column + 3 if len(note) <= room else 8
        for part in textwrap.wrap(note, WIDTH - _INDENT - indent):
            yield " " * indent + part


def _boxed(laid_out: Document) -> list[str]:
    rows = _wrapped(laid_out.main.left, laid_out.main.right, WIDTH - _INDENT - 4)
    width = max(map(len, rows))
    inside = [f"│ {row.ljust(width)} │" for row in rows]
    return [f"┌{'─' * (width + 2)}┐", *inside, f"└{'─' * (width + 2)}┘"]
