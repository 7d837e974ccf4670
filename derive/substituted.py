"""Formulas with numbers in the place of names: sums over few entries written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sympy import Basic, Expr

from derive.index import TRUE, Axis, Choice, Condition, Delta, Entry, Index, Total
from derive.printing import Writer
from derive.styles import ADD, Piece

FEW = 4
Numbers = Callable[[Entry, Mapping[Expr, int]], str | None]
Holds = Callable[[Expr, Mapping[Expr, int]], bool]


@dataclass(frozen=True)
class Substituted(Writer):
    """A writer that knows the sizes of the axes, where each index stands, and numbers.

    `number` gives the value of an entry, or None where its name is to stay; `holds` says
    whether a condition does.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    at: Mapping[Expr, int] = field(default_factory=dict)
    number: Numbers = lambda entry, at: None
    holds: Holds = lambda condition, at: True

    def index(self, index: Expr) -> str:
        return str(self.at[index]) if index in self.at else super().index(index)

    def piece(self, expr: Basic) -> Piece:
        if isinstance(expr, Entry):
            return self._value(expr)
        if isinstance(expr, Index) and expr in self.at:
            return Piece(self.index(expr))
        if isinstance(expr, Axis):
            return Piece(str(self.sizes[expr.name]))
        if isinstance(expr, Total) and self.sizes[expr.axis.name] <= FEW:
            return self._written_out(expr)
        if isinstance(expr, Delta) and self._settled(expr):
            return Piece("1" if self.holds(Condition("==", *expr.args), self.at) else "0")
        if isinstance(expr, Choice) and self._settled(expr.args[0]):
            _, value, otherwise = expr.args
            return self.piece(value if self.holds(expr.args[0], self.at) else otherwise)
        return super().piece(expr)

    def _settled(self, expr: Basic) -> bool:
        """Whether every index that is free in it has a place."""
        return all(index in self.at for index in expr.atoms(Index))

    def _value(self, entry: Entry) -> Piece:
        text = self.number(entry, self.at) if self._settled(entry) else None
        if text is None:
            return super().piece(entry)
        if text.startswith("-"):
            return Piece(self.style.minus + text[1:], ADD)
        return Piece(text)

    def _written_out(self, total: Total) -> Piece:
        index, inner, guard = total.args
        terms = []
        for place in range(self.sizes[index.axis.name]):
            here = replace(self, at={**self.at, index: place})
            if guard == TRUE or here.holds(guard, here.at):
                terms.append(self.style.wrap(here.piece(inner), ADD + 1))
        if len(terms) < 2:
            return Piece(terms[0] if terms else "0", ADD)
        return Piece(" + ".join(terms), ADD)
