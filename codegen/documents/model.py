"""The document model: what every printed form of a derivation says, as data.

The texts in a document are finished formulas of one `Dress`; templates only place them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sympy import Basic

from derive.derivation import Derivation
from derive.letters import Names
from derive.loss import Loss
from derive.point import Point
from derive.styles import Style

if TYPE_CHECKING:
    from codegen.plots.pictures import Picture

Show = Callable[[Basic, Loss, Names | None], str]
DETAILS = ("brief", "normal", "full")
NESTED = "nested"
WIDTH = 100
PARTS = ("matrix", "second", "stable", "properties", "example", "plots")
PAGE_PARTS = PARTS[:-1]  # what a page says when nothing is asked for: plots take their time


@dataclass(frozen=True)
class Dress:
    """How formulas, and the few signs that are not expressions, look in one kind of document."""

    show: Show
    name: Callable[[str], str]
    inline: Callable[[str], str]
    comma: str
    member: str
    at_most: str
    less: str
    braces: tuple[str, str]
    space: Callable[[str, Sequence[str]], str]
    integers: str
    union: str
    style: Callable[[Names], Style]
    grid: Callable[[Sequence[Sequence[str]]], str]
    medium: str


@dataclass(frozen=True)
class Line:
    """One row of a chain of equations; `left` is empty where the row goes on from the last.

    `rule`, `reason` and `check` say why the row equals the one before; `inside` are the rows
    that lead to this one, where a document shows them on demand.
    """

    left: str
    right: str
    number: str = ""
    rule: str = ""
    reason: str = ""
    check: str = ""
    inside: tuple[Line, ...] = ()

    def why(self, text: Callable[[str], str], opening: str, closing: str) -> str:
        """The reason in words, the rule's name between `opening` and `closing`."""
        if not self.rule:
            return ""
        checked = f" [{self.check}]" if self.check else ""
        return f"{opening}{text(self.rule)}{closing}: {text(self.reason + checked)}"


@dataclass(frozen=True)
class Section:
    """A lemma, or the derivation itself: a heading and its rows; it shows that `left = right`."""

    heading: str
    left: str
    right: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Variable:
    """A declared name: its role, where it lives (W in R^(K x D)), and what is known of it."""

    place: str
    role: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What else a document is to say: some of PARTS, with an example at this point.

    `pictures` are those of the part "plots", under the addresses of `picture_at`; `others` are
    further derivations of the same loss, which refer to what stands before them; `width` is how
    many columns a text takes; `processes` is how many may work on the document.
    """

    parts: tuple[str, ...] = ()
    example: Point | None = None
    pictures: tuple[Picture, ...] = ()
    picture_at: str = "{}"
    others: tuple[Derivation, ...] = ()
    width: int = WIDTH
    processes: int = 1


NOTHING = Wanted()


@dataclass(frozen=True)
class Statement:
    """A property in a sentence, what it rests on, and the chain of expressions that shows it."""

    name: str
    status: str
    sentence: str
    given: str
    steps: tuple[str, ...]
    relation: str
    counterexample: str


@dataclass(frozen=True)
class Part:
    """A part of a document: chains of equations, statements, pictures, and words at the end.

    The pictures come with the addresses of their files.
    """

    heading: str
    sections: tuple[Section, ...] = ()
    statements: tuple[Statement, ...] = ()
    said: str = ""
    pictures: tuple[tuple[str, Picture], ...] = ()

    @property
    def chains(self) -> tuple[tuple[Section, ...], ...]:
        """The sections, single equations that follow each other together."""
        found: list[list[Section]] = []
        for one in self.sections:
            alone = bool(one.lines)
            if found and not alone and not found[-1][-1].lines:
                found[-1].append(one)
            else:
                found.append([one])
        return tuple(map(tuple, found))


@dataclass(frozen=True)
class Document:
    """Everything that a printed derivation says.

    `plain` is the result as one would type it; `verdict` says how many steps were confirmed,
    `proof` what it means that they were.  `others` are further derivations of the same loss;
    `before` is how many sections stand before those of this one.  `notation` says what signs mean,
    `named` which definitions are not the loss's own.
    """

    name: str
    title: str
    source: str
    variables: tuple[Variable, ...]
    definitions: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    hypotheses: tuple[tuple[str, str], ...]
    plain: str
    verdict: str
    proof: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    others: tuple[Document, ...] = ()
    before: int = 0
    notation: str = ""
    named: str = ""

    @property
    def main(self) -> Section:
        """The derivation itself; the sections before it are its lemmas."""
        return self.sections[-1]
