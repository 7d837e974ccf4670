"""What two branches share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations

from sympy import Add, Expr, Mul, S

from derive.index import Delta, Index, order, substitute
from derive.rules.shorten import length


@lru_cache(maxsize=1 << 12)
def common_factors(one: Expr, two: Expr) -> tuple[Expr, Expr, Expr]:
    """What two products share, a sign among it, and what is left of them."""
    if one == 0 or two == 0:
        whole = one + two
        sign = S.NegativeOne if whole.as_coeff_Mul()[0].is_negative else S.One
        return sign, one * sign, two * sign
    (number, first), (other, second) = one.as_coeff_Mul(), two.as_coeff_Mul()
    lefts, rights = _powers(first), _powers(second)
    for base in [base for base in rights if base.is_Add and -base in lefts]:
        if rights[base].is_Integer:
            other *= (-1) ** rights[base]
            rights[-base] = rights.get(-base, S.Zero) + rights.pop(base)
    shared = []
    for base in sorted(lefts.keys() & rights.keys(), key=order):
        exponents = lefts[base], rights[base]
        if exponents[0] == exponents[1] or _alike(*exponents):
            least = min(exponents, key=abs) if _alike(*exponents) else exponents[0]
            shared.append(base**least)
            lefts[base], rights[base] = (exponent - least for exponent in exponents)
    front = S.One
    if abs(number) == abs(other):
        front = number if number == other else abs(number)
    elif number.is_negative and other.is_negative:
        front = S.NegativeOne
    left, right = (
        Mul(value / front, *(base**power for base, power in powers.items()))
        for value, powers in ((number, lefts), (other, rights))
    )
    return Mul(front, *shared), left, right


def _powers(product: Expr) -> dict[Expr, Expr]:
    """The exponent of each base; r and r**r are factors of one base."""
    found: dict[Expr, Expr] = {}
    for factor in Mul.make_args(product):
        base, power = (factor.base, factor.exp) if factor.is_Pow else (factor, S.One)
        found[base] = found.get(base, S.Zero) + power
    return found


def _alike(one: Expr, two: Expr) -> bool:
    """Whether two exponents are numbers of one sign."""
    return bool(one.is_Rational and two.is_Rational and one * two > 0)


def collected(expr: Expr) -> Expr:
    """A sum whose terms share what they can, nothing multiplied out.

    Beside delta_ij it is one whether i or j is written: the terms share more by one of them.
    """
    best = _collected(expr)
    factors = {factor for term in Add.make_args(expr) for factor in Mul.make_args(term)}
    for delta in sorted((f for f in factors if isinstance(f, Delta)), key=order):
        if not all(isinstance(side, Index) for side in delta.args):
            continue
        for here in (dict((delta.args,)), dict((delta.args[::-1],))):
            turned = Add(*(_beside(delta, term, here) for term in Add.make_args(expr)))
            found = _collected(turned)
            if length(found) < length(best):
                expr, best = turned, found
    return best


def _beside(delta: Delta, term: Expr, here: Mapping[Index, Index]) -> Expr:
    """A term that has the delta as a factor, with the other index in its other factors."""
    factors = Mul.make_args(term)
    if delta not in factors:
        return term
    return delta * substitute(Mul(*(factor for factor in factors if factor != delta)), here)


def _collected(expr: Expr) -> Expr:
    """The terms together, the two that share the most first."""
    terms = sorted(Add.make_args(expr), key=order)
    while len(terms) > 1:
        pairs = [(common_factors(*pair), pair) for pair in combinations(terms, 2)]
        (shared, *rest), pair = max(pairs, key=lambda found: length(found[0][0]))
        if shared.is_number:
            break
        terms = [term for term in terms if term not in pair]
        terms.append(shared * Add(*rest))
    return Add(*terms)


def common_terms(one: Expr, two: Expr) -> tuple[Expr, Expr, Expr]:
    """What two sums share, and what is left of them."""
    terms = [term for term in Add.make_args(one) if term in Add.make_args(two) and term != 0]
    shared = Add(*terms)
    return shared, one - shared, two - shared
