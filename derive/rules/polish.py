"""Last touches: fewer minus signs, powers of one base together, polynomial factors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from flint import fmpz_mpoly_ctx
from sympy import Add, Expr, Mul, Pow, S, cosh, sinh, tanh

from derive import arrange
from derive.functions import signum
from derive.index import TRUE, Choice, Condition, Delta, Total, order, rebuild, scoped, total
from derive.normal.poly import Poly, constant

ODD = (*arrange.ODD, signum)
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
LARGEST = 40
LARGEST_POWER = 8


@lru_cache(maxsize=1 << 16)
def polished(expr: Any) -> Any:
    """The same with fewer minus signs: -sum u (y - p) is sum u (p - y), and a power of (1 - p)
    takes up the powers of (p - 1) beside it."""
    node = rebuild(expr, polished)
    if isinstance(node, Condition):
        return _two_sides(node)
    if isinstance(node, Total):
        node = _sign_out(_guarded(node))
    if node.is_Add:
        node = _in_front(node)
    if not node.is_Mul:
        return node
    node = _as_tanh(_same_base(_numbers_out(_one_divided(node))))
    if node.is_Mul and node.args[0].is_Number and node.args[0].is_negative:
        for factor in node.args:
            turned = _turned(factor)
            if turned is not None:
                return Mul(*(turned if arg is factor else arg for arg in node.args), -1)
    return node


def _guarded(node: Total) -> Expr:
    """A sum of (1 - delta_ik) u_i is the sum of u_i for i other than k: what is left out need
    not be defined."""
    with scoped(node) as (index, body, guard):
        for factor in Mul.make_args(body):
            sign = 1 if factor.as_coeff_Add()[0] == 1 else -1
            left_out = S.One - sign * factor
            if isinstance(left_out, Delta) and index in left_out.args:
                others = (arg for arg in Mul.make_args(body) if arg is not factor)
                apart = Condition("!=", index, left_out.other(index))
                both = apart if guard == TRUE else Condition("and", guard, apart)
                return Mul(sign, total(index, Mul(*others), both))
    return node


def _sign_out(node: Expr) -> Expr:
    """A sum of what begins with a minus sign, with the sign in front."""
    if not isinstance(node, Total):
        return node
    with scoped(node) as (index, body, guard):
        return -total(index, -body, guard) if body.as_coeff_Mul()[0].is_negative else node


def _two_sides(node: Condition) -> Condition:
    """u > v for u - v > 0, and x < 1 for 1 - x > 0."""
    if node.op not in FLIPPED or node.operands[1] != 0 or not node.operands[0].is_Add:
        return node
    terms = node.operands[0].args
    minus = [term for term in terms if term.as_coeff_Mul()[0].is_negative]
    plus = Add(*(term for term in terms if term not in minus))
    taken = Add(*(-term for term in minus))
    if plus == 0 or taken == 0:
        return node
    if plus.is_number:
        return Condition(FLIPPED[node.op], taken, plus)
    return Condition(node.op, plus, taken)


def _in_front(node: Expr) -> Expr:
    """What every term of a sum has as a factor, in front of it."""
    first, *others = node.args
    shared = [
        factor
        for factor in Mul.make_args(first)
        if not factor.is_number and all(factor in Mul.make_args(term) for term in others)
    ]
    if not shared:
        return node
    rest = (Mul(*(f for f in Mul.make_args(term) if f not in shared)) for term in node.args)
    return Mul(*shared, Add(*rest))


def _numbers_out(node: Expr) -> Expr:
    """The number that the terms of a sum share, in front of the product that the sum is in."""
    parts = [arg.primitive() if arg.is_Add else (S.One, arg) for arg in node.args]
    front = Mul(*(number for number, _ in parts))
    return node if front == 1 else Mul(front, *(part for _, part in parts))


def _one_divided(node: Expr) -> Expr:
    """(u + c v)/c is u/c + v, where no other term has to be divided."""
    below = [arg for arg in node.args if arg.is_Pow and arg.exp == -1]
    sums = [arg for arg in node.args if arg.is_Add]
    if len(node.args) != 2 or len(below) != 1 or len(sums) != 1:
        return node
    whole = [term for term in sums[0].args if below[0].base in Mul.make_args(term)]
    if len(whole) != len(sums[0].args) - 1:
        return node
    return Add(*(term * below[0] for term in sums[0].args))


def _turned(factor: Expr) -> Expr | None:
    """The negative of a sum over an axis, of an odd function of a sum, or of a choice of numbers,
    written without a minus sign in front, where that does not take more of them inside."""
    if isinstance(factor, Choice):
        numbers = list(_numbers(factor))
        fewer = all(n.is_number for n in numbers) and 2 * _negative(numbers) >= len(numbers)
        return _opposite(factor) if fewer else None
    if isinstance(factor, ODD) and factor.args[0].is_Add:
        inner = factor.args[0]
        turned = factor.func(Add(*(-term for term in inner.args)))
        fewer = 2 * _minuses(inner) >= len(inner.args)
        return turned if fewer and not turned.is_Mul else None
    if not isinstance(factor, Total):
        return None
    with scoped(factor) as (index, body, guard):
        inside = next((arg for arg in Mul.make_args(body) if arg.is_Add), None)
        if inside is None or 2 * _minuses(inside) < len(inside.args):
            return None
        rest = (arg for arg in Mul.make_args(body) if arg is not inside)
        return total(index, Mul(*rest, Add(*(-term for term in inside.args))), guard)


def _numbers(choice: Expr) -> Iterator[Expr]:
    """What a choice of choices may be in the end."""
    if isinstance(choice, Choice):
        yield from (leaf for arg in choice.args[1:] for leaf in _numbers(arg))
    else:
        yield choice


def _negative(numbers: list[Expr]) -> int:
    return sum(bool(number.is_negative) for number in numbers)


def _opposite(choice: Expr) -> Expr:
    if not isinstance(choice, Choice):
        return -choice
    return Choice(choice.args[0], *map(_opposite, choice.args[1:]))


def _minuses(expr: Expr) -> int:
    return sum(bool(term.as_coeff_Mul()[0].is_negative) for term in expr.args)


def _same_base(product: Expr) -> Expr:
    """u^c u^n = u^(c + n) and u^c (-u)^n = (-1)^n u^(c + n), for a c with a name in it."""
    for power in product.args:
        if not power.is_Pow or power.exp.is_number or not power.base.is_Add:
            continue
        for other in product.args:
            base, whole = other.as_base_exp()
            if other is not power and whole.is_Integer and base in (power.base, -power.base):
                rest = (arg for arg in product.args if arg is not other and arg is not power)
                sign = 1 if base == power.base else (-1) ** whole
                return _same_base(Mul(*rest, sign, Pow(power.base, power.exp + whole)))
    return product


def _as_tanh(product: Expr) -> Expr:
    """sinh u / cosh u = tanh u."""
    for above in product.args:
        if isinstance(above, sinh):
            below = 1 / cosh(above.args[0])
            if below in product.args:
                rest = (arg for arg in product.args if arg not in (above, below))
                return Mul(*rest, tanh(above.args[0]))
    return product


def polynomial_factors(poly: Poly, shortest: int = 4) -> list[tuple[Poly, int]] | None:
    """The irreducible factors of a primitive polynomial; None where it is one itself, or where
    a power is not a small whole number."""
    atoms = sorted({base for mono in poly for base, _ in mono}, key=order)
    powers = [power for mono in poly for _, power in mono]
    whole = all(isinstance(power, int) and 0 < power <= LARGEST_POWER for power in powers)
    if not shortest <= len(poly) <= LARGEST or not whole:
        return None
    ring = fmpz_mpoly_ctx.get([f"x{k}" for k in range(len(atoms))], "lex")
    terms: dict[tuple[int, ...], int] = {}
    for mono, value in poly.items():
        by_atom = dict(mono)
        if not isinstance(value, int):
            return None
        terms[tuple(int(by_atom.get(base, 0)) for base in atoms)] = value
    number, found = ring.from_dict(terms).factor()
    if len(found) == 1 and found[0][1] == 1:
        return None
    parts = [(_poly_of(part.to_dict(), atoms), int(power)) for part, power in found]
    if int(number) != 1:
        parts.insert(0, (constant(int(number)), 1))
    return parts


def _poly_of(terms: Mapping[tuple[int, ...], Any], atoms: list[Expr]) -> Poly:
    result: Poly = {}
    for powers, value in terms.items():
        items = zip(atoms, powers, strict=True)
        result[frozenset((base, int(power)) for base, power in items if power)] = int(value)
    return result
