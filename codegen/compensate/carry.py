"""Values of expressions one operation at a time, each with what its rounding took."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

from sympy import Basic, Expr, Function, Integer, Mul, Pow, Rational, S, exp, log, sqrt

from codegen.kernel import (
    Map,
    Reduce,
    Statement,
    defines,
    exp_difference,
    product_lost,
    sum_lost,
    weighted,
)
from codegen.lower.names import canonical, suggest, unique
from derive import functions
from derive.index import Axis, Choice, Condition, Delta, Entry, Index, Tensor, order

HALF = Rational(1, 2)
NO_SLOPE = (functions.lgamma, functions.digamma, functions.trigamma)  # no derivative in a kernel
Carried = tuple[Expr, Expr]


@dataclass
class Carrier:
    """The statements so far; `lost` has the array of what is lost, by the array it is lost of."""

    taken: set[str]
    statements: list[Statement] = field(default_factory=list)
    memo: dict[Basic, Tensor] = field(default_factory=dict)
    lost: dict[str, Tensor] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)  # arrays of whole numbers: nothing is lost there
    known: dict[Basic, Tensor] = field(default_factory=dict)  # the expressions that arrays hold

    def is_whole(self, expr: Expr) -> bool:
        """Whether the value is a whole number by its form."""
        if isinstance(expr, Entry):
            return expr.tensor.name in self.whole
        if isinstance(expr, Integer | Delta):
            return True
        if isinstance(expr, Choice):
            return all(map(self.is_whole, expr.args[1:]))
        return bool(expr.is_Add or expr.is_Mul) and all(map(self.is_whole, expr.args))

    def name(self, base: str) -> str:
        return unique(base, self.taken)

    def keep(self, statement: Map | Reduce, lost: Map) -> None:
        """An array of what is lost of a statement."""
        self.statements.append(lost)
        self.lost[statement.name] = defines(lost)

    def found(self, expr: Expr) -> Expr | None:
        """An entry, or one less it, that holds the expression already."""
        for sign in (1, -1):
            key, indices = canonical(sign * expr)
            if key in self.known:
                return sign * Entry(self.known[key], *indices)
        return None

    def hoist(self, expr: Expr) -> Expr:
        """An entry of an array that holds the expression; an entry is one already."""
        if isinstance(expr, Entry) or expr.is_number:
            return expr
        key, indices = canonical(expr)
        if key not in self.memo:
            statement = Map(self.name(suggest(expr, expr)), indices, expr)
            self.statements.append(statement)
            self.memo[key] = defines(statement)
        return Entry(self.memo[key], *indices)

    def reduce(self, like: Reduce, op: str, expr: Expr) -> Entry:
        """An entry of the reduction of the expression over the same indices."""
        statement = Reduce(self.name(f"{like.name}_{op}"), like.indices, op, like.over, expr)
        self.statements.append(statement)
        return Entry(defines(statement), *like.indices)

    def lost_of(self, term: Expr) -> Expr:
        """What is lost of a name, or of a multiple of one."""
        number, entry = term.as_coeff_Mul()
        tensor = self.lost.get(entry.tensor.name) if isinstance(entry, Entry) else None
        return S.Zero if tensor is None else number * Entry(tensor, *entry.indices)

    def carry(self, expr: Expr) -> Carried:
        """The value as a number, an entry or one less it, and what its rounding took from it."""
        if isinstance(expr, Entry):
            return expr, self.lost_of(expr)
        if expr.is_number or isinstance(expr, Axis | Index) or self.is_whole(expr):
            return expr, S.Zero
        if isinstance(expr, Choice):
            return self._choice(expr)
        if expr.is_Add:
            return self._sum(expr)
        if expr.is_Mul:
            return self._product(expr)
        if isinstance(expr, Pow):
            return self._power(expr)
        return self._call(expr)

    def _choice(self, expr: Choice) -> Carried:
        condition, *sides = expr.args
        (one, lost), (other, less) = map(self.carry, sides)
        whole = self.hoist(Choice(condition, one, other)) if lost != 0 or less != 0 else expr
        return whole, S.Zero if lost == less == 0 else Choice(condition, lost, less)

    def _sum(self, expr: Expr) -> Carried:
        terms = sorted(expr.args, key=lambda term: (_negative(term), order(term)))
        (value, lost), *rest = map(self.carry, terms)
        for term, less in rest:
            whole = self.hoist(value + term)
            value, lost = whole, lost + less + sum_lost(value, term, whole)
        return value, lost

    def _product(self, expr: Expr) -> Carried:
        number, rest = expr.as_coeff_Mul()
        if number < 0:
            value, lost = self.carry(-expr)
            return -value, -lost
        above: list[Expr] = []
        below: list[Expr] = []
        for factor in sorted(Mul.make_args(rest), key=order):
            if isinstance(factor, Pow) and factor.exp.is_number and factor.exp.is_negative:
                below.append(factor.base**-factor.exp)
            else:
                above.append(factor)
        if isinstance(number, Rational):
            above = [Integer(number.p), *above] if number.p != 1 or not above else above
            below = [Integer(number.q), *below] if number.q != 1 else below
        else:
            above = [number, *above]
        value, lost = reduce(self._times, map(self.carry, above))
        return reduce(self._over, map(self.carry, below), (value, lost))

    def _times(self, one: Carried, other: Carried) -> Carried:
        (x, lost), (y, less) = one, other
        whole = self.hoist(x * y)
        own = S.Zero if _is_exact(x) or _is_exact(y) else product_lost(x, y, whole)
        return whole, own + weighted_by(lost, y) + weighted_by(less, x)

    def _over(self, one: Carried, other: Carried) -> Carried:
        (x, lost), (y, less) = one, other
        whole = self.hoist(x / y)
        own = S.Zero if _is_exact(y) else product_lost(whole, y, x)
        rest = lost - weighted_by(less, whole) - own
        return whole, S.Zero if rest == 0 else rest / y

    def _power(self, expr: Expr) -> Carried:
        base, exponent = expr.args
        if exponent.is_number and exponent.is_negative:
            return self._over((S.One, S.Zero), self.carry(base**-exponent))
        if exponent == HALF:
            value, lost = self.carry(base)
            root = self.hoist(sqrt(value))
            return root, (lost - product_lost(root, root, value)) / (2 * root)
        if isinstance(exponent, Integer) and exponent <= 4:
            return reduce(self._times, [self.carry(base)] * int(exponent))
        (x, lost), (y, less) = self.carry(base), self.carry(exponent)
        power = self.hoist(x**y)
        by_base = weighted_by(lost, y * power / x)
        return power, by_base + weighted_by(less, power * log(x))

    def _call(self, expr: Function) -> Carried:
        parts = [self.carry(arg) for arg in expr.args]
        values, losts = [value for value, _ in parts], [lost for _, lost in parts]
        if isinstance(expr, weighted):
            return self._weighted(*parts)
        if isinstance(expr, functions.largest | functions.smallest):
            test = Condition(">" if isinstance(expr, functions.largest) else "<", *values)
            return self.hoist(expr.func(*values)), _chosen(test, *losts)
        if all(lost == 0 for lost in losts) or isinstance(expr, NO_SLOPE):
            return self.hoist(expr.func(*values)), S.Zero
        values = [self.hoist(value) for value in values]
        value = self.hoist(expr.func(*values))
        if isinstance(expr, exp_difference):
            return value, weighted_by(losts[0] - losts[1], value)
        slope = value if isinstance(expr, exp) else expr.func(*values).fdiff()
        return value, weighted_by(losts[0], slope)

    def _weighted(self, one: Carried, other: Carried) -> Carried:
        (w, lost), (x, less) = one, other
        whole = self.hoist(weighted(w, x))
        return whole, product_lost(w, x, whole) + weighted_by(lost, x) + weighted_by(less, w)


def weighted_by(lost: Expr, factor: Expr) -> Expr:
    """The product, and 0 where nothing is lost even if the factor is infinite."""
    return S.Zero if lost == 0 else weighted(lost, factor)


def _chosen(test: Condition, one: Expr, other: Expr) -> Expr:
    return one if one == other else Choice(test, one, other)


def _negative(term: Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _is_exact(factor: Expr) -> bool:
    """Whether a product with it is not rounded: 0, 1, or a power of 2."""
    if isinstance(factor, Delta) or (isinstance(factor, Choice) and factor.args[1:] == (1, 0)):
        return True
    if not isinstance(factor, Rational) or factor == 0:
        return factor == 0
    return all(part & (part - 1) == 0 for part in (abs(factor.p), factor.q))
