"""Expressions over numbers, one element at a time, for the targets that write their own loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy
from sympy import Basic, Expr, Integer, Mul, Pow, Rational, exp, log

from derive import functions
from derive.errors import KernelError
from derive.index import Axis, Choice, Condition, Delta, Entry, Index, order

TEST, ADD, MUL, SIGN, ATOM = range(5)
EXACT = 2**62  # beyond what 64 bits hold, a quotient of whole numbers is written as a float


@dataclass(frozen=True)
class Dialect:
    """How a language writes numbers, functions and choices.

    `functions` has a template for each function; `relations` the words for and, or, not, and signs;
    `power` is of a base >= 0, `whole_power` of any base to an integer.
    """

    name: str
    functions: Mapping[type, str]
    choice: str
    relations: Mapping[str, str]
    power: str
    whole_power: str
    number: Callable[[float], str]
    size: str
    infinity: str
    sqrt: str


@dataclass(frozen=True)
class Elements:
    """Where the numbers of an expression stand: each entry, and each index, as text."""

    entry: Callable[[Entry], str]
    index: Callable[[Basic], str]


class Writer:
    """Writes expressions in one dialect."""

    def __init__(self, dialect: Dialect, elements: Elements) -> None:
        self.dialect, self.elements = dialect, elements

    def __call__(self, expr: Basic, level: int = TEST) -> str:
        """The expression, in brackets where the context binds more tightly than it does."""
        text, own = self._piece(expr)
        return f"({text})" if own < level else text

    def test(self, condition: Basic) -> str:
        """A condition."""
        assert isinstance(condition, Condition)
        words, op = self.dialect.relations, condition.op
        if op == "true":
            return words["true"]
        if op == "not":
            return f"{words['not']}({self.test(condition.operands[0])})"
        if op in ("and", "or"):
            return f" {words[op]} ".join(f"({self.test(x)})" for x in condition.operands)
        left, right = (self._side(side) for side in condition.operands)
        return f"{left} {words.get(op, op)} {right}"

    def _side(self, side: Basic) -> str:
        is_label = isinstance(side, Index) or (
            isinstance(side, Entry) and side.tensor.label is not None
        )
        return self.elements.index(side) if is_label else self(side, ADD)

    def _piece(self, expr: Basic) -> tuple[str, int]:
        if isinstance(expr, Entry):
            return self.elements.entry(expr), ATOM
        if isinstance(expr, Index):
            return self.dialect.size.format(self.elements.index(expr)), ATOM
        if isinstance(expr, Axis):
            return self.dialect.size.format(expr.name), ATOM
        if isinstance(expr, Delta):
            return self._piece(Choice(Condition("==", *expr.args), Integer(1), Integer(0)))
        if isinstance(expr, Choice):
            condition, value, otherwise = expr.args
            parts = {"test": self.test(condition), "then": self(value), "other": self(otherwise)}
            return self.dialect.choice.format(**parts), ATOM
        if expr.is_number:
            return self._number(expr)
        if expr.is_Add:
            return self._add(expr), ADD
        if expr.is_Mul:
            return self._product(expr)
        if isinstance(expr, Pow):
            return self._power(expr)
        return self._call(expr), ATOM

    def _number(self, expr: Expr) -> tuple[str, int]:
        if expr in (sympy.oo, -sympy.oo):
            text = self.dialect.infinity
            return (text, ATOM) if expr > 0 else (f"-{text}", SIGN)
        try:
            value = float(expr)
        except (OverflowError, TypeError):
            value = float("inf")
        if abs(value) == float("inf"):
            raise KernelError(f"the constant {sympy.N(expr, 5)} is beyond the range of float64")
        return self.dialect.number(value), ATOM if value >= 0 else SIGN

    def _add(self, expr: Expr) -> str:
        terms = sorted(expr.args, key=lambda term: (_negative(term), order(term)))
        grown = [term for term in terms if isinstance(term, exp)]
        text = ""
        if -1 in terms and grown:
            terms = [term for term in terms if term not in (-1, grown[0])]
            text = self._call(functions.expm1(grown[0].args[0]))
        for term in terms:
            if _negative(term):
                minus = self(-term, MUL)
                text += f" - {minus}" if text else f"-{self(-term, SIGN)}"
            else:
                text += f" + {self(term, MUL)}" if text else self(term, ADD)
        return text

    def _product(self, expr: Expr) -> tuple[str, int]:
        number, rest = expr.as_coeff_Mul()
        above, below = _halves(rest)
        if not isinstance(number, Rational) or max(abs(number.p), number.q) > EXACT:
            above, number = [number, *above], Integer(1)
        sign = "-" if number < 0 else ""
        if abs(number.p) != 1 or not above:
            above = [Integer(abs(number.p)), *above]
        if number.q != 1:
            below = [Integer(number.q), *below]
        text = sign + " * ".join(self(f, SIGN) for f in above)
        if len(below) == 1:
            text += f" / {self(below[0], SIGN)}"
        elif below:
            text += f" / ({' * '.join(self(f, SIGN) for f in below)})"
        return text, SIGN if sign and len(above) == 1 and not below else MUL

    def _power(self, expr: Expr) -> tuple[str, int]:
        base, exponent = expr.args
        if exponent.is_number and exponent.is_negative:
            return f"{self(Integer(1))} / {self(base**-exponent, SIGN)}", MUL
        if exponent == Rational(1, 2):
            return self.dialect.sqrt.format(self(base)), ATOM
        if isinstance(exponent, Integer) and exponent <= 4:
            return " * ".join([self(base, ATOM)] * int(exponent)), MUL
        template = self.dialect.whole_power if exponent.is_Integer else self.dialect.power
        return template.format(self(base), self(exponent)), ATOM

    def _call(self, expr: Basic) -> str:
        if isinstance(expr, log) and expr.args[0].is_Add and 1 in expr.args[0].args:
            expr = functions.log1p(expr.args[0] - 1)
        template = self.dialect.functions.get(type(expr))
        if template is None:
            raise KernelError(f"the target {self.dialect.name} has no {type(expr).__name__}")
        return template.format(*(self(arg) for arg in expr.args))


def _negative(term: Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _halves(expr: Expr) -> tuple[list[Expr], list[Expr]]:
    """The factors above and below the line."""
    above, below = [], []
    for factor in sorted(Mul.make_args(expr), key=order):
        if isinstance(factor, Pow) and factor.exp.is_number and factor.exp.is_negative:
            below.append(factor.base**-factor.exp)
        elif factor != 1:
            above.append(factor)
    return above, below
