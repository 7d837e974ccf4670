"""Rules for sums over powers of one base: what cancels over the common denominator is not computed.

All but the first are for second derivatives.
"""

from __future__ import annotations

from sympy import Add, Expr, Integer, Mul, Pow, Rational, exp, expand_mul

from codegen.bounds import positive
from codegen.stabilize.local import powers, rule, without
from derive.index import tensors, walk
from derive.loss import Loss

MOST_POWER = 4


@rule(
    "powers of one base that cancel",
    "of a power and its inverse one overflows where the other vanishes",
)
def powers_that_cancel(node: Expr, loss: Loss) -> Expr | None:
    """b^m (c b^(1 - m) + d b^(2 - m)) = c b + d b^2, for an m that is no number."""
    for base, m in powers(node) if node.is_Mul else ():
        if m.is_number or isinstance(base, exp):
            continue
        for bracket in (factor for factor in node.args if factor.is_Add):
            sums = [(m + _power_of(term, base)).expand() for term in bracket.args]
            if all(n.is_Integer or positive(n, loss) for n in sums):
                rest = without(node, bracket, base**m)
                terms = zip(bracket.args, sums, strict=True)
                return rest * Add(*(_without_base(term, base) * base**n for term, n in terms))
    return None


def _power_of(term: Expr, base: Expr) -> Expr:
    """The exponent of the base among the factors of a term."""
    return Add(*(n if n != 0 else 1 for own, n in powers(term) if own == base))


def _without_base(term: Expr, base: Expr) -> Expr:
    return Mul(*(f for f in Mul.make_args(term) if f.as_base_exp()[0] != base))


@rule("brackets that cancel", "the brackets are written out, and what cancels is not computed")
def written_out(node: Expr, loss: Loss) -> Expr | None:
    """c (u - v) + c v = c u."""
    if not node.is_Add:
        return None
    plain = Add(*(expand_mul(arg, deep=False) for arg in node.args))
    return plain if len(Add.make_args(plain)) < len(node.args) else None


@rule(
    "common denominator",
    "over the common denominator the leading terms of the numerators cancel, exactly",
)
def over_one_base(node: Expr, loss: Loss) -> Expr | None:
    """sum_j c_j b^(s + k_j) = b^s sum_j c_j b^k_j, where the sum, written out, is shorter."""
    if not node.is_Add:
        return None
    for base in _bases(node):
        terms = [_by_base(arg, base) for arg in node.args]
        lowest = min(power for power, _ in terms)
        steps = [power - lowest for power, _ in terms]
        if lowest >= 0 or not all(s.is_Integer and s <= MOST_POWER for s in steps):
            continue
        raised = [c * base**step for step, (_, c) in zip(steps, terms, strict=True)]
        above = Add(*(expand_mul(term, deep=True) for term in raised))
        whole = sum(len(Add.make_args(expand_mul(term, deep=True))) for term in raised)
        if len(Add.make_args(above)) < whole:
            return base**lowest * above
    return None


def _bases(node: Expr) -> list[Expr]:
    """The sums that some term of the node is divided by, or by a power of."""
    found = {
        base
        for arg in node.args
        for base, power in powers(arg)
        if base.is_Add and isinstance(power, Rational) and power < 0
    }
    return sorted(found, key=str)


def _by_base(term: Expr, base: Expr) -> tuple[Expr, Expr]:
    """The term as a power of the base and a cofactor."""
    for own, power in powers(term):
        if own == base and isinstance(power, Rational | Integer):
            return power, term / base**power
    return Integer(0), Mul(term)


def with_divisors(expr: Expr, loss: Loss, name: str) -> Expr:
    """The expression with a name written out, where it is divided by a sum that has the name.

    Derivations fold c + u into v + d; what cancels over c + u is seen without the name.
    """
    below = [node.base for node in walk(expr) if isinstance(node, Pow) and node.exp.is_negative]
    if not any(base.is_Add and name in {t.name for t in tensors(base)} for base in below):
        return expr
    opened: Expr = loss.unfold(expr, frozenset(d.name for d in loss.definitions if d.name != name))
    return opened


FIRST = (powers_that_cancel,)  # for first derivatives as well
RULES = (written_out, over_one_base)
