"""Rules for 1, or one exponential, and sums of exponentials apart from it."""

from __future__ import annotations

from sympy import Add, Expr, Mul, Pow, S, exp, log

from codegen.bounds import is_weight, nonnegative, positive
from codegen.stabilize.local import powers, rule, split_exp, without
from codegen.stabilize.partial import both, member
from derive.functions import sigmoid, softplus
from derive.index import TRUE, Choice, Condition, Total, tensors
from derive.loss import Loss


def _opposite(term: Expr, base: Expr, sign: int) -> bool:
    """Whether the term has the base to a power of the other sign."""
    return any(own == base and n.is_Rational and n * sign < 0 for own, n in powers(term))


@rule(
    "sums of exponentials that cancel",
    "a sum that a term is both multiplied and divided by is not computed: it may overflow",
)
def quotients_apart(node: Expr, loss: Loss) -> Expr | None:
    """(a u + b)/(u v) = a/v + b/(u v), and u (a/u^2 + b/u) = a/u + b, u a sum of exponentials.

    So too (a u + b)/(1 + u v): each term meets what the others do not.
    """
    for base, n in powers(node) if node.is_Mul else ():
        if not base.has(Total) or not base.has(exp) or not n.is_Rational:
            continue
        sums = _sums_beside_one(base, loss) if n < 0 else set()
        moved = [f for f in node.args if isinstance(f, exp) or f == base**n]
        for bracket in (factor for factor in node.args if factor.is_Add):
            whole = any(_opposite(term, base, 1 if n > 0 else -1) for term in bracket.args)
            terms = bracket.args if whole else _by_weight(_written_out(bracket, sums), loss)
            if whole or any(sums & set(Mul.make_args(term)) for term in terms):
                return without(node, bracket, *moved) * Add(*(Mul(term, *moved) for term in terms))
    return None


def _written_out(bracket: Expr, sums: set[Expr]) -> list[Expr]:
    """The terms of a bracket; those of inner brackets that have one of the sums, one by one."""
    found: list[Expr] = []
    for term in Add.make_args(bracket):
        inner = [f for f in Mul.make_args(term) if f.is_Add and f.has(*sums)] if sums else []
        if inner:
            rest = without(term, inner[0])
            found += [rest * part for part in _written_out(inner[0], sums)]
        else:
            found.append(term)
    return found


@rule(
    "exponential over each of several sums",
    "over each sum it is a share, where alone it may overflow",
)
def over_each(node: Expr, loss: Loss) -> Expr | None:
    """exp(w) (a/u + b/v) = a exp(w)/u + b exp(w)/v, for sums u and v of exponentials."""
    cofactor, own = split_exp(node) if node.is_Mul else (node, None)
    for bracket in Mul.make_args(cofactor) if own is not None else ():
        if not bracket.is_Add:
            continue
        below = [
            base
            for term in bracket.args
            for base, n in powers(term)
            if n.is_negative and isinstance(base, Total) and base.args[1].has(exp)
        ]
        if any(tensors(base.args[1]) & tensors(own) for base in below):
            rest = without(cofactor, bracket)
            return rest * Add(*(term * exp(own) for term in bracket.args))
    return None


def _by_weight(terms: list[Expr], loss: Loss) -> list[Expr]:
    """The terms, with those that differ only in their weights as one: y u - u = (y - 1) u."""
    found: dict[Expr, Expr] = {}
    for term in terms:
        number, rest = term.as_coeff_Mul()
        weights = [factor for factor in Mul.make_args(rest) if is_weight(factor, loss)]
        key = without(rest, *weights)
        found[key] = found.get(key, S.Zero) + number * Mul(*weights)
    return [weight * key for key, weight in found.items()]


@rule(
    "sign out of a sum of exponentials",
    "what is left is a sum of positive terms, of which the largest can be taken out",
)
def sign_out(node: Expr, loss: Loss) -> Expr | None:
    """1/(-1 - u) = -1/(1 + u)."""
    if not isinstance(node, Pow) or not node.exp.is_Integer or not node.exp.is_negative:
        return None
    found = own_and_sums(-node.base, loss)
    return None if found is None else (-1) ** node.exp * (-node.base) ** node.exp


def _sums_beside_one(base: Expr, loss: Loss) -> set[Expr]:
    """The sums of a product that stands beside 1, or beside another exponential."""
    found = own_and_sums(base, loss)
    return set() if found is None else {f for f in Mul.make_args(found[1]) if isinstance(f, Total)}


def own_and_sums(node: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """v and u where the node is exp(v) + u, and u a product of sums of exponentials; 1 is exp(0).

    Other factors of u are > 0.
    """
    for arg in node.args if node.is_Add else ():
        rest, (cofactor, v) = node - arg, split_exp(arg)
        if cofactor == 1 and not rest.is_Add and _has_sums(rest, loss):
            return S.Zero if v is None else v, rest
    return None


def _has_sums(product: Expr, loss: Loss) -> bool:
    sums = [f for f in Mul.make_args(product) if isinstance(f, Total) and f.args[1].has(exp)]
    held = all(split_exp(f.opened()[1])[1] is not None for f in sums)
    return (
        bool(sums)
        and held
        and all(
            nonnegative(f, loss) if f in sums else positive(f, loss) for f in Mul.make_args(product)
        )
    )


@rule(
    "one and a sum of exponentials",
    "the sum by its logarithm cannot overflow; of one and it, softplus is the logarithm",
)
def log_of_own_and_sums(node: Expr, loss: Loss) -> Expr | None:
    """log(1 + u) = softplus(log u), and log(exp(v) + u) = v + softplus(log(u) - v)."""
    found = own_and_sums(node.args[0], loss) if isinstance(node, log) else None
    return None if found is None else found[0] + softplus(log(found[1]) - found[0])


@rule(
    "share of one and a sum of exponentials",
    "the sum by its logarithm cannot overflow, nor what is divided by it",
)
def share_of_own_and_sums(node: Expr, loss: Loss) -> Expr | None:
    """w/(exp(v) + u) = w exp(-v) sigmoid(v - log u); w/u sigmoid(log(u) - v) if w has another exp.

    So w/(1 + u) = w sigmoid(-log u).
    """
    for base, power in powers(node):
        found = own_and_sums(base, loss) if power.is_Integer and power.is_negative else None
        if found is not None:
            v, u = found
            share = exp(power * v) * sigmoid(v - log(u)) ** -power
            return _other_way(share * (node / base**power), loss) or share * (node / base**power)
    return _other_way(node, loss)


def _other_way(node: Expr, loss: Loss) -> Expr | None:
    """With an exponential left that is not exp(-n v), the powers of u below it.

    A sum over some of an axis may be over none of it, and is not divided by.
    """
    for base, n in powers(node) if node.is_Mul else ():
        found = _sums_in_share(base, loss) if n.is_Integer and n.is_positive else None
        if found is None:
            continue
        v, u = found
        rest, own = split_exp(node / base**n)
        left = S.Zero if own is None else own
        other = rest * exp(left + n * v) * u**-n
        below = [part for part, m in powers(other) if isinstance(part, Total) and m.is_negative]
        wheres = [_where_it_has_terms(part, node, loss) for part in below]
        if None in wheres or (left.expand() == 0 and not rest.has(exp)):
            continue
        there = both(*(where for where in wheres if where is not None))
        quotient = other if there == TRUE else Choice(there, other, S.Zero)
        return quotient * sigmoid(log(u) - v) ** n
    return None


def _where_it_has_terms(part: Total, node: Expr, loss: Loss) -> Condition | None:
    """Where the sum is over more than nothing; elsewhere the product is 0."""
    _, body, guard = part.opened()
    if guard == TRUE and positive(body, loss):
        return TRUE
    return None if is_weight(split_exp(body)[0], loss) else member(node, part, loss)


def _sums_in_share(base: Expr, loss: Loss) -> tuple[Expr, Expr] | None:
    """v and u where the base is sigmoid(v - log u), and u a product of sums of exponentials."""
    for term in Add.make_args(base.args[0]) if isinstance(base, sigmoid) else ():
        if isinstance(-term, log) and _has_sums((-term).args[0], loss):
            return base.args[0] - term, (-term).args[0]
    return None


FIRST = (sign_out, quotients_apart, over_each)  # before the sums change their forms
RULES = (log_of_own_and_sums, share_of_own_and_sums)
