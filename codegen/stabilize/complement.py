"""Rules for 1 - p and p - y, which lose every digit where p is near 1 or near y."""

from __future__ import annotations

from sympy import Add, Expr, Mul, S, erf, exp, sqrt

from codegen.bounds import is_fixed, is_fraction, is_weight, nonnegative, vanishes
from codegen.stabilize.local import body_of, powers, rule, without
from codegen.stabilize.logistic import to_sigmoid
from codegen.stabilize.softmax import is_largest, rest_of_sum
from derive.functions import erfc, expm1, sigmoid
from derive.index import TRUE, Choice, Condition, Delta, Entry, Index, Total, substitute, total
from derive.loss import Loss


def complement_of(node: Expr, loss: Loss) -> Expr | None:
    """1 - node without cancellation, for a logistic function, a softmax, a share or 1 - exp(u)."""
    number, name = node.as_coeff_Mul()
    body = body_of(name, loss)
    if body is not None:
        return complement_of(number * body, loss)
    if isinstance(node, sigmoid):
        return sigmoid(-node.args[0])
    if isinstance(name, erfc) and number in (S.Half, 1):
        return erf(name.args[0]) if number == 1 else erfc(-name.args[0]) / 2
    if isinstance(node, exp) and nonnegative(-node.args[0], loss):
        return -expm1(node.args[0])
    left = exp((-node).args[0]) if isinstance(-node, expm1) else 1 - node
    if isinstance(left, exp) and nonnegative(-left.args[0], loss):
        return left
    if not is_fraction(node):
        return _left_of_norm(node, loss) or _left_of_quotient(node)
    top = next(factor for factor in node.args if isinstance(factor, exp))
    below = next(base for base, power in powers(node) if power == -1)
    others = _others(top, below)
    return None if others is None else others / below


def _left_of_norm(node: Expr, loss: Loss) -> Expr | None:
    """1 - u/n = (n^2 - u^2)/(n (n + u)), where u^2 is a term of the sum of squares n^2."""
    for below, power in powers(node):
        u = without(node, below**power)
        if power != -S.Half or not isinstance(below, Total) or not nonnegative(u, loss):
            continue
        index, body, guard = below.opened()
        here = _where(u**2, body, index)
        if here is not None and guard == TRUE:
            others = total(index, body, Condition("!=", index, here))
            return others / (sqrt(below) * (sqrt(below) + u))
    return None


def _left_of_quotient(node: Expr) -> Expr | None:
    """1 - u/v = (v - u)/v, where v has all the terms of u."""
    for below, power in powers(node):
        if power != -1 or not below.is_Add:
            continue
        above = (node * below).expand(deep=False)
        left = Add(below, *(-term for term in Add.make_args(above)))
        whole = Add.make_args(below)
        if len(Add.make_args(left)) < len(whole) and set(Add.make_args(left)) <= set(whole):
            return left / below
    return None


def _others(top: Expr, below: Expr) -> Expr | None:
    """The sum `below` without its term `top`."""
    index, body, _ = below.opened()
    rest = rest_of_sum(below)
    here = _where(top, body, index)
    if rest is None or here is None:
        return None
    return Choice(is_largest(below, here), rest, below - top)


def _where(top: Expr, body: Expr, index: Index) -> Expr | None:
    """The index or label at which the body equals `top`."""
    for node in sorted(top.atoms(Index), key=str):
        found = not node.is_bound and node.axis == index.axis
        if found and substitute(body, {index: node}) == top:
            return node
    for node in sorted(top.atoms(Entry), key=str):
        if node.tensor.label == index.axis and substitute(body, {index: node}) == top:
            return node
    return None


@rule(
    "complement",
    "what is left of 1 is written as the sum of the other shares, which keeps its digits",
)
def complement(node: Expr, loss: Loss) -> Expr | None:
    """c - c sigmoid(x) = c sigmoid(-x), and 1 - p_i = sum over k != i of p_k for a softmax."""
    if not node.is_Add:
        return None
    for one in node.args:
        if not is_fixed(one, loss):
            continue
        for arg in node.args:
            for share, more in ((arg, S.Zero), *_spread(arg)):
                left = complement_of(-share / one, loss)
                if left is not None:
                    others = [x for x in node.args if x not in (one, arg)]
                    return Add(*others, one * left, more)
    return None


@rule(
    "complement in a sum",
    "what is left of 1 in each term keeps the digits that two sums lose to each other",
)
def complement_in_sum(node: Expr, loss: Loss) -> Expr | None:
    """sum_i f_i - sum_i f_i p_i = sum_i f_i (1 - p_i)."""
    sums = [(arg, *_as_sum(arg)) for arg in node.args if _as_sum(arg)] if node.is_Add else []
    for arg, index, body, guard in sums:
        for share in Mul.make_args(body):
            left = complement_of(share, loss)
            if left is None or not left.has(index):
                continue
            for other, inner, whole, allowed in sums:
                here = [substitute(x, {inner: index}) for x in (whole, allowed)]
                if inner.axis == index.axis and here == [-body / share, guard]:
                    rest = (x for x in node.args if x not in (arg, other))
                    return Add(*rest, total(index, -body / share * left, guard))
    return None


def _as_sum(term: Expr) -> tuple[Index, Expr, Condition] | tuple[()]:
    """Index, body and guard where the term is a sum, with its factors taken into it."""
    found = [f for f in Mul.make_args(term) if isinstance(f, Total)]
    if len(found) != 1:
        return ()
    index, body, guard = found[0].opened()
    return index, term / found[0] * body, guard


def _spread(term: Expr) -> list[tuple[Expr, Expr]]:
    """(c + u) p as c p and u p, for each bracket in the term with a number c."""
    found = []
    for factor in Mul.make_args(term):
        number, rest = factor.as_coeff_Add()
        if number != 0 and rest != 0:
            others = term / factor
            found.append((number * others, rest * others))
    return found


@rule(
    "difference from the target",
    "p - y = (1 - y) p - y (1 - p), and 1 - p is known without cancellation",
)
def difference(node: Expr, loss: Loss) -> Expr | None:
    """c p - y = (c - y) p - y (1 - p), with p a share and c, y made of targets."""
    if not node.is_Add or to_sigmoid.apply(node, loss=loss) != node:
        return None
    for arg in node.args:
        for found in _shares(arg, loss):
            scale, share, left = found
            for other in node.args:
                sign = -1 if _is_target(-other, loss) else 1
                if other != arg and _is_target(sign * other, loss) and _fits(scale, -sign, loss):
                    new = _split(-sign * scale, share, sign * other, left, loss)
                    if new is not None:
                        rest = [x for x in node.args if x not in (arg, other)]
                        return Add(*rest, -sign * new)
    return None


def _shares(term: Expr, loss: Loss) -> list[tuple[Expr, Expr, Expr]]:
    """Each way to read the term as scale * share, with 1 - share."""
    found = []
    for factor in Mul.make_args(term):
        left = complement_of(factor, loss)
        if left is not None:
            found.append((term / factor, factor, left))
    return found


def _is_target(expr: Expr, loss: Loss) -> bool:
    if isinstance(expr, Delta):
        return True
    return isinstance(expr, Entry) and is_weight(expr, loss)


def _fits(scale: Expr, sign: int, loss: Loss) -> bool:
    scale = sign * scale
    return scale == 1 or (isinstance(scale, Total) and is_weight(scale, loss))


def _split(scale: Expr, share: Expr, target: Expr, left: Expr, loss: Loss) -> Expr | None:
    """scale * share - target."""
    if not isinstance(target, Delta):
        return (scale - target) * share - target * left
    if scale != 1:
        return None
    i, j = target.args
    index, label = (i, j) if isinstance(i, Index) else (j, i)
    if not isinstance(index, Index) or isinstance(label, Index):
        return None
    at_label = complement_of(substitute(share, {index: label}), loss)
    if at_label is None or index not in share.free_symbols | share.atoms(Index):
        return None
    return Choice(Condition("==", index, label), -at_label, share)


@rule(
    "share over itself",
    "a share that is too small for a float would be 0 over 0; its quotient with itself is 1",
    holds="the share is > 0",
)
def over_itself(node: Expr, loss: Loss) -> Expr | None:
    """p (a/p + b) = a + b p, also where the quotient is deeper in a product."""
    if not node.is_Mul:
        return None
    for share in node.args:
        if not isinstance(share, Entry | sigmoid) or not vanishes(share, loss):
            continue
        for bracket in node.args:
            if bracket.is_Add and _divides(bracket, share):
                return without(node, share, bracket) * _times(bracket, share)
    return None


def _divides(expr: Expr, share: Expr) -> bool:
    """Whether the expression, as sums and products, has a term over the share."""
    if expr.is_Add or expr.is_Mul:
        return any(_divides(arg, share) for arg in expr.args)
    return bool(expr == 1 / share)


def _times(expr: Expr, share: Expr) -> Expr:
    """expr * share, with the share taken into the terms that are over it."""
    if expr.is_Add and _divides(expr, share):
        return Add(*(_times(arg, share) for arg in expr.args))
    for factor in Mul.make_args(expr):
        if factor == 1 / share:
            return without(expr, factor)
        if _divides(factor, share):
            return without(expr, factor) * _times(factor, share)
    return expr * share


RULES = (complement, complement_in_sum, over_itself)
FIRST = (difference,)  # before the names of shares are written out
