"""Logarithms and exponentials as a person would write them: few, and as the loss has them."""

from __future__ import annotations

from typing import Any

from sympy import Add, Expr, Mul, exp, log

from derive.derivation import Rule
from derive.index import kinds, rebuild, tensors, walk
from derive.loss import Loss
from derive.normal.poly import ONE, Poly, as_poly, content, mono_expr, number, scale, to_expr
from derive.rules.registry import register


def logs_as_written(expr: Expr, loss: Loss) -> Expr:
    """log u - log v as log(u/v), where the loss itself has the log of such a quotient."""
    if log not in kinds(expr):
        return expr
    written = [
        tuple(map(tensors, node.args[0].as_numer_denom()))
        for definition in loss.definitions
        for node in walk(definition.body)
        if isinstance(node, log) and node.args[0].is_Mul
    ]

    def visit(node: Any) -> Any:
        node = rebuild(node, visit)
        return _joined_logs(node, written) if node.is_Add else node

    return visit(expr) if written else expr


def _joined_logs(node: Expr, written: list[tuple[Any, ...]]) -> Expr:
    for one in node.args:
        for two in node.args:
            (front, above), (other, below) = _logarithm(one), _logarithm(two)
            if above is None or below is None or front != -other:
                continue
            if (tensors(above), tensors(below)) in written:
                rest = (term for term in node.args if term not in (one, two))
                return Add(*rest, front * log(above / below))
    return node


def _logarithm(term: Expr) -> tuple[Expr, Expr | None]:
    """c and u of a term c log(u)."""
    factors = Mul.make_args(term)
    found = next((factor for factor in factors if isinstance(factor, log)), None)
    if found is None:
        return term, None
    return Mul(*(factor for factor in factors if factor is not found)), found.args[0]


def joined_exponentials(expr: Expr) -> Expr:
    """exp(u v) exp(u w) as exp(u (v + w))."""

    def visit(node: Any) -> Any:
        if exp not in kinds(node):
            return node
        node = rebuild(node, visit)
        return _joined_exps(node) if node.is_Mul else node

    found: Expr = visit(expr)
    return found


def _joined_exps(node: Expr) -> Expr:
    powers = [factor for factor in node.args if isinstance(factor, exp)]
    if len(powers) < 2:
        return node
    factor, shared, rest = content(as_poly(Add(*(power.args[0] for power in powers))))
    if shared == ONE:
        return node
    turned = scale(rest, -1)
    if factor < 0 and _minuses(turned) <= _minuses(rest):
        factor, rest = -factor, turned
    others = (arg for arg in node.args if arg not in powers)
    return Mul(*others, exp(Mul(number(factor), mono_expr(shared), to_expr(rest))))


def _minuses(poly: Poly) -> int:
    return sum(value < 0 for value in poly.values())


spell = register(
    Rule(
        "logarithm of a quotient",
        "a difference of logarithms is the logarithm of a quotient, as the loss has it",
        logs_as_written,
        "both are positive",
    )
)
