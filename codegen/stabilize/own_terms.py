"""Rules for one term of a sum of exponentials that stands beside the sum, or is taken from it."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Add, Expr, Mul, S, exp, factor_terms, log

from codegen.stabilize.apart import own_and_sums
from codegen.stabilize.local import powers, rule, split_exp, without
from derive.functions import grouped, sigmoid
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Maximum,
    Total,
    entries,
    substitute,
    total,
)
from derive.loss import Loss
from derive.rules.compare import negated


def _sums(term: Expr) -> Iterator[tuple[Expr, Total]]:
    """Each way to read the term as a cofactor times a sum of exponentials, not yet shifted."""
    for factor in Mul.make_args(term):
        exponent = split_exp(factor.args[1])[1] if isinstance(factor, Total) else None
        if exponent is not None and not exponent.has(Maximum):
            yield without(term, factor), factor


def _same(one: Expr, two: Expr) -> bool:
    """Whether two products are equal, with their exponentials as one."""
    (c, u), (d, v) = split_exp(one), split_exp(two)
    if u is None or v is None or (u - v).expand() != 0:
        return False
    return bool((c - d).expand() == 0)


def _place(term: Expr, cofactor: Expr, body: Expr, index: Index) -> Expr | None:
    """The index or label at which the term is -cofactor times the body of the sum."""
    if split_exp(term)[1] is None:
        return None
    labels = [e for e in entries(term) if e.tensor.label == index.axis]
    free = [i for i in term.atoms(Index) if i.axis == index.axis]
    for place in (*sorted(labels, key=str), *sorted(free, key=str)):
        if _same(-term, cofactor * substitute(body, {index: place})):
            return place
    return None


@rule(
    "sum less its own term",
    "the term is left out of the sum, of which it may be nearly all",
)
def less_own_term(node: Expr, loss: Loss) -> Expr | None:
    """c sum_k f_k - c f_i = c times the sum of f_k over k != i."""
    for arg in node.args if node.is_Add else ():
        for cofactor, whole in _sums(arg):
            index, body, guard = whole.opened()
            for own in node.args if guard == TRUE and not cofactor.has(Delta) else ():
                place = _place(own, cofactor, body, index) if own != arg else None
                # A sum for each index would be one for each pair, if it is not so already.
                if place is not None and (isinstance(place, Entry) or whole.has(place)):
                    rest = total(index, body, Condition("!=", index, place))
                    return node - arg - own + cofactor * rest
    return None


@rule(
    "sum at a class less the term of each",
    "at the class what is left is the sum of the others, which keeps its digits",
)
def at_class_less_term(node: Expr, loss: Loss) -> Expr | None:
    """c delta_tj sum_k f_k - c f_j = c times (the sum of f_k over k != t if j = t else -f_j)."""
    for arg in node.args if node.is_Add else ():
        for cofactor, whole in _sums(arg) if arg.has(Delta) else ():
            deltas = [f for f in Mul.make_args(cofactor) if isinstance(f, Delta)]
            index, body, guard = whole.opened()
            if len(deltas) != 1 or guard != TRUE:
                continue
            c = without(cofactor, *deltas)
            for own in node.args:
                place = _place(own, c, body, index) if own != arg else None
                if place is not None and place in deltas[0].args:
                    (label,) = (x for x in deltas[0].args if x != place)
                    if not isinstance(label, Entry):
                        continue
                    rest = total(index, body, Condition("!=", index, label))
                    here = Condition("==", place, label)
                    return node - arg - own + c * Choice(here, rest, own / c)
    return None


@rule(
    "own term into the sum",
    "an exponential and the sum of those of the others are one sum, of which the largest term can"
    " be taken out",
)
def own_into_sum(node: Expr, loss: Loss) -> Expr | None:
    """exp(v) + sum of exp(f_k) over k != i = sum_k exp(v if k = i else f_k)."""
    for arg in node.args if node.is_Add else ():
        for cofactor, others in _sums(arg):
            index, body, guard = others.opened()
            place = _other_than(guard, index)
            c, w = split_exp(cofactor)
            one, f = split_exp(body)
            if place is None or one != 1 or f is None:
                continue
            for own in node.args:
                number, v = split_exp(own)
                if own != arg and number == c and (v is not None or w is None):
                    mine = S.Zero if v is None else v
                    f = f if w is None else f + w
                    there = Choice(Condition("==", index, place), mine, f)
                    return node - arg - own + c * total(index, exp(there))
    return None


def _other_than(guard: Condition, index: Index) -> Expr | None:
    """i where the guard is k != i for the index k."""
    if guard.op != "!=" or index not in guard.operands:
        return None
    (other,) = (side for side in guard.operands if side != index)
    return other if isinstance(other, Index | Entry) else None


@rule(
    "shares of the others in a choice",
    "where the sum of the others has a term its shares are numbers, and the sum over itself is 1",
)
def shares_in_choice(node: Expr, loss: Loss) -> Expr | None:
    """w (exp(f_j) if j != t else S)/(exp(v) + c S), S the sum of exp(f_k) over k != t.

    It is w/c (exp(f_j)/S if j != t else 1) sigmoid(log(c S) - v).
    """
    for base, power in powers(node) if node.is_Mul else ():
        found = own_and_sums(base, loss) if power == -1 else None
        sums = [] if found is None else list(_sums(found[1]))
        if found is None or len(sums) != 1:
            continue
        v, u = found
        ((cofactor, others),) = sums
        for choice in node.args:
            if isinstance(choice, Choice):
                condition, *sides = choice.args
                wheres = (condition, negated(condition))
                new = [_share(s, others, w) for s, w in zip(sides, wheres, strict=True)]
                if None not in new:
                    share = Choice(condition, *new) * sigmoid(log(u) - v)
                    return without(node, choice, 1 / base) / cofactor * share
    return None


def _share(side: Expr, others: Total, where: Condition) -> Expr | None:
    """The side over the sum, where it has a term of the sum that the guard allows, or the sum."""
    if others in Mul.make_args(side):
        return without(side, others)
    index, body, guard = others.opened()
    for place in sorted((i for i in side.atoms(Index) if i.axis == index.axis), key=str):
        term, own = substitute(body, {index: place}), split_exp(side)
        if substitute(guard, {index: place}) == where and own[1] == split_exp(term)[1]:
            return side / others
    return None


@rule(
    "logits less that of the class",
    "an offset of all classes cancels before anything is added to it",
)
def less_logit_of_class(node: Expr, loss: Loss) -> Expr | None:
    """c log sum_k exp(f_k) - c f_t = c log sum_k exp(f_k - f_t), where f is a sum."""
    for arg in node.args if node.is_Add else ():
        for factor in Mul.make_args(arg):
            whole = factor.args[0] if isinstance(factor, log) else S.Zero
            one, exponent = split_exp(whole.args[1]) if isinstance(whole, Total) else (S.Zero, None)
            if one != 1 or exponent is None or exponent.has(Maximum):
                continue
            scale, others = without(arg, factor), (node - arg).expand()
            index, body, guard = whole.opened()
            labels = [e for e in entries(node) if e.tensor.label == index.axis]
            for place in sorted(labels, key=str):
                f, own = _at(body.args[0], index, place)
                line = (-scale * own).expand()
                terms = Add.make_args(others)
                if line.is_Add and all(term in terms for term in line.args):
                    gap = Choice(Condition("==", index, place), S.Zero, _gap(f, own, index, place))
                    return others - line + scale * log(total(index, exp(gap), guard))
    return None


def _at(exponent: Expr, index: Index, place: Expr) -> tuple[Expr, Expr]:
    """The exponent of the other classes, and that of the one at the place."""
    exponent = exponent.xreplace({node: node.meaning() for node in exponent.atoms(grouped)})
    if isinstance(exponent, Choice) and exponent.args[0] == Condition("==", index, place):
        return exponent.args[2], exponent.args[1]
    return exponent, substitute(exponent, {index: place})


def _gap(f: Expr, own: Expr, index: Index, place: Expr) -> Expr:
    """f less that of the class, each term less its own before they are added up."""
    left = list(Add.make_args(own.expand()))
    found: list[Expr] = []
    for term in Add.make_args(f.expand()):
        there = substitute(term, {index: place})
        if there in left:
            left.remove(there)
            apart = factor_terms(term - there)
            found.append(grouped(apart) if apart.is_Add else apart)
        else:
            found.append(term)
    return Add(*found, *(-term for term in left))


RULES = (less_own_term, at_class_less_term, own_into_sum, shares_in_choice, less_logit_of_class)
