"""Expressions as text: in the language of .loss files, in Unicode, and in LaTeX.

One walk over the tree serves all styles: it orders terms and factors, splits fractions and
chooses letters; a style says how each kind of node is set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sympy import Add, Basic, E, Expr, Function, Integer, Mul, Number, Pow, Rational, pi

from derive import functions
from derive.arrange import factor_order, reciprocal, term_order, turned_factor
from derive.decimals import scientific
from derive.index import (
    TRUE,
    Axis,
    Binder,
    Choice,
    Condition,
    Delta,
    Diff,
    Entry,
    Index,
    Partial,
    Share,
    Tensor,
    Total,
    tensors,
)
from derive.latex_style import LATEX
from derive.letters import Names, names_of
from derive.loss import Loss
from derive.styles import ADD, LANGUAGE, POW, Clause, Piece, Style, unicode_style

ONE = Piece("1")
_CALLED = {
    functions.absolute: "abs",
    functions.signum: "sign",
    functions.largest: "max",
    functions.smallest: "min",
}


@dataclass(frozen=True)
class Writer:
    """What a walk needs to know: the style, the letters, and the indices bound around here."""

    style: Style
    names: Names
    bound: Mapping[Index, str] = field(default_factory=dict)

    def index(self, index: Expr) -> str:
        """An index's letter, or a class label's text."""
        if not isinstance(index, Index):
            return self.piece(index).text
        letter = self.bound[index] if index in self.bound else self.names.free[index]
        return self.style.name(letter)

    def piece(self, expr: Basic) -> Piece:
        """Any expression."""
        for kind, write in _WRITERS:
            if isinstance(expr, kind):
                return write(self, expr)
        if isinstance(expr, functions.grouped):
            return Piece(self.style.bracket(self.piece(expr.args[0]).text))
        if isinstance(expr, Function):
            return self._call(expr)
        return Piece(str(expr))

    def condition(self, condition: Basic, inside: bool = False) -> str:
        """A condition; in brackets where it stands inside another one."""
        assert isinstance(condition, Condition)
        op, style = condition.op, self.style
        if op == "true":
            return style.connectives[op]
        if op in style.relations:
            left, right = (self._operand(operand) for operand in condition.operands)
            return f"{left} {style.relations[op]} {right}"
        parts = [self.condition(operand, True) for operand in condition.operands]
        if op == "not":
            return style.connectives[op] + style.bracket(self.condition(condition.operands[0]))
        text = style.connectives[op].join(parts)
        return style.bracket(text) if inside else text

    def _operand(self, operand: Basic) -> str:
        if isinstance(operand, Index):
            return self.index(operand)
        return self.style.wrap(self.piece(operand), ADD)

    def _number(self, number: Expr) -> Piece:
        if number.is_negative:
            return Piece(self.style.minus + self._number(-number).text, ADD)
        made = scientific(number)
        if made is not None:
            return self.style.scientific(*made)
        if isinstance(number, Rational) and not isinstance(number, Integer):
            return self.style.fraction(Piece(str(number.p)), Piece(str(number.q)))
        return Piece(str(number))

    def _entry(self, entry: Entry) -> Piece:
        indices = [self.index(index) for index in entry.indices]
        return Piece(self.style.entry(entry.tensor.name, indices))

    def _delta(self, delta: Delta) -> Piece:
        sides = sorted(delta.args, key=lambda side: (not isinstance(side, Index), self.index(side)))
        return Piece(self.style.delta([self.index(side) for side in sides]))

    def _add(self, expr: Expr) -> Piece:
        style, text = self.style, ""
        for term in sorted(expr.args, key=term_order):
            negative, piece = self._signed_term(term)
            if text:
                text += f" {style.minus if negative else '+'} {style.wrap(piece, ADD + 1)}"
            else:
                text = self._negated(piece).text if negative else style.wrap(piece, ADD + 1)
        return Piece(text, ADD)

    def _negated(self, piece: Piece) -> Piece:
        hidden = piece.level <= ADD or (self.style.exact and piece.bracket_first)
        text = self.style.bracket(piece.text) if hidden else piece.text
        return Piece(self.style.minus + text, ADD)

    def _mul(self, expr: Expr) -> Piece:
        negative, piece = self._signed_term(expr)
        return self._negated(piece) if negative else piece

    def _signed_term(self, term: Expr) -> tuple[bool, Piece]:
        """Whether a term carries a minus sign, and the term without it."""
        coefficient, rest = term.as_coeff_Mul()
        if rest == 1:
            return bool(coefficient.is_negative), self._number(abs(coefficient))
        turned = turned_factor(rest) if coefficient.is_negative else None
        negative = bool(coefficient.is_negative) and turned is None
        top: list[Piece] = []
        bottom: list[Piece] = []
        sums: list[Piece] = []
        for factor in sorted(Mul.make_args(rest), key=partial(factor_order, loss=self.names.loss)):
            below = reciprocal(factor)
            if below is not None:
                bottom.append(self._factor(below))
            elif factor == turned:
                top.append(self._call(factor, -factor.args[0]))
            else:
                beside = self.style.stacked and isinstance(factor, Binder)
                (sums if beside else top).append(self._factor(factor))
        number, divisor = self._number(abs(coefficient)), ONE
        if scientific(abs(coefficient)) is None:
            number, divisor = (Piece(str(part)) for part in (abs(coefficient.p), coefficient.q))
        if not bottom:
            top, sums = top + sums, []
        quotient = self._quotient(number, divisor, top, bottom)
        return negative, self.style.product([quotient, *sums])

    def _factor(self, factor: Expr) -> Piece:
        return self._power(factor) if isinstance(factor, Pow) else self.piece(factor)

    def _quotient(
        self, number: Piece, divisor: Piece, top: list[Piece], bottom: list[Piece]
    ) -> Piece:
        style = self.style
        if style.exact and divisor != ONE and bottom and bottom[0].level == ADD:
            return style.fraction(self._quotient(number, ONE, top, bottom), divisor)
        if style.exact and number != ONE and top and top[0].level == ADD:
            rest = self._quotient(ONE, ONE, top, bottom)
            scaled = style.product([number, Piece(style.bracket(rest.text))])
            return scaled if divisor == ONE else style.fraction(scaled, divisor)
        if style.stacked and divisor != ONE and not bottom:
            return style.product([style.fraction(number, divisor), *top])
        above = style.product(_with_number(number, top))
        if divisor == ONE and not bottom:
            return above
        return style.fraction(above, style.product(_with_number(divisor, bottom)))

    def _any_power(self, expr: Expr) -> Piece:
        return self._mul(expr) if reciprocal(expr) is not None else self._power(expr)

    def _power(self, expr: Expr) -> Piece:
        base, exponent = expr.as_base_exp() if isinstance(expr, Pow) else (expr, Integer(1))
        if isinstance(exponent, Rational) and exponent.p == 1 and exponent.q > 1:
            return self.style.root(self.piece(base), int(exponent.q))
        return self.style.power(self.piece(base), self.piece(exponent))

    def _call(self, expr: Any, *args: Expr) -> Piece:
        if isinstance(expr, functions.step):
            return self.style.indicator(self.condition(expr.meaning().args[0]))
        name = _CALLED.get(expr.func, expr.func.__name__)
        return self.style.call(name, [self.piece(arg) for arg in args or expr.args])

    def _binder(self, expr: Binder) -> Piece:
        clauses, here, body = [], self, expr
        while True:
            index, inner, guard = body.args
            letter = self.names.bound(index.axis, here.bound.values())
            here = replace(here, bound={**here.bound, index: letter})
            text = "" if guard == TRUE else here.condition(guard)
            plain = isinstance(guard, Condition) and guard.op == "!=" and guard.operands[0] == index
            clauses.append(Clause(self.style.name(letter), index.axis.name, text, plain))
            if not (isinstance(body, Total) and isinstance(inner, Total)):
                return self.style.binder(expr.word, clauses, here.piece(inner))
            body = inner

    def _choice(self, expr: Expr) -> Piece:
        cases = []
        while isinstance(expr, Choice):
            condition, value, expr = expr.args
            cases.append((self.piece(value), self.condition(condition)))
        return self.style.choice(cases, self.piece(expr))

    def _partial(self, expr: Partial) -> Piece:
        of, by, direct = expr.args
        apart = direct == 1 and _has_detour(self.names.loss, of.tensor, by.tensor)
        return self.style.derivative(self.piece(of).text, [self.piece(by).text], apart)

    def _diff(self, expr: Expr) -> Piece:
        by: list[str] = []
        while isinstance(expr, Diff):
            expr, variable = expr.args
            by.append(self.piece(variable).text)
        if isinstance(expr, Entry):
            return self.style.derivative(self.piece(expr).text, by, False)
        return self.style.diff(self.piece(expr), by)

    def _share(self, share: Share) -> Piece:
        extremum, index = share.args
        return self.style.share(self.piece(extremum), self.index(index))


_WRITERS: tuple[tuple[type, Callable[[Writer, Any], Piece]], ...] = (
    (Number, Writer._number),
    (Entry, Writer._entry),
    (Index, lambda writer, index: Piece(writer.index(index))),
    (Axis, lambda writer, axis: Piece(writer.style.name(axis.name))),
    (Tensor, lambda writer, tensor: Piece(writer.style.name(tensor.name))),
    (Condition, lambda writer, condition: Piece(writer.condition(condition), ADD)),
    (Delta, Writer._delta),
    (Add, Writer._add),
    (Mul, Writer._mul),
    (type(E), lambda writer, _: writer.style.call("exp", [Piece("1")])),
    (type(pi), lambda writer, _: Piece(writer.style.name("pi"))),
    (Pow, Writer._any_power),
    (Choice, Writer._choice),
    (Binder, Writer._binder),
    (Partial, Writer._partial),
    (Diff, Writer._diff),
    (Share, Writer._share),
)


def _has_detour(loss: Loss, of: Tensor, by: Tensor) -> bool:
    """Whether a definition reaches `by` through another one, so that two derivatives differ."""
    reach: dict[Tensor, bool] = {by: True}
    for definition in loss.definitions:
        tensor, named = definition.entry.tensor, tensors(definition.body)
        if tensor == of:
            return any(reach.get(other, False) for other in named - {by})
        reach.setdefault(tensor, any(reach.get(other, False) for other in named))
    return False


def _with_number(number: Piece, factors: list[Piece]) -> list[Piece]:
    # 3·10⁶ needs no brackets in front of a product.
    first = number._replace(level=max(number.level, POW))
    return [first, *factors] if number != ONE or not factors else factors


def language(expr: Basic, loss: Loss, names: Names | None = None) -> str:
    """An expression in the language of .loss files; `parse_expression` reads it back."""
    return Writer(LANGUAGE, names or names_of(loss, expr)).piece(expr).text


def unicode(expr: Basic, loss: Loss, names: Names | None = None) -> str:
    """An expression on one line of Unicode, for a terminal."""
    names = names or names_of(loss, expr)
    return Writer(unicode_style(names.subscripts), names).piece(expr).text


def latex(expr: Basic, loss: Loss, names: Names | None = None) -> str:
    """An expression as LaTeX, for math mode."""
    return Writer(LATEX, names or names_of(loss, expr)).piece(expr).text
