"""A rule for what does not change when equal numbers are added to a direction.

It is for second derivatives: a softmax does not change with a constant added to all scores, and
so neither does the product of its Hessian with a direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sympy import Basic, Expr, S

from codegen.bounds import is_fraction
from codegen.stabilize.local import body_of, rule
from derive.functions import grouped
from derive.index import TRUE, Entry, Tensor, Total, nodes, rebuild
from derive.loss import Loss
from derive.normal import NormalForm, Undecided


@rule(
    "numbers less their mean",
    "equal numbers make no difference; with the mean taken from each of them, what is left is small"
    " where one share is near 1",
    holds="the shares have sum 1",
)
def less_the_mean(node: Expr, loss: Loss) -> Expr | None:
    """f(v) = f(v - m) with m = sum_k p_k v_k, where f(v + c) = f(v); the mean of v - m is 0."""
    if not node.is_Add:
        return None
    found = {n for n in nodes(node.xreplace({g: S.Zero for g in node.atoms(grouped)}))}
    for mean in sorted((n for n in found if isinstance(n, Total)), key=str):
        of = _mean_of(mean, loss)
        if of is None or (len(node.args) == 2 and -mean in node.args):
            continue
        if _stays(node, mean, of, loss):
            return _moved(node, mean, S.Zero, of, lambda v, mean=mean: grouped(v - mean))
    return None


def _mean_of(node: Total, loss: Loss) -> Tensor | None:
    """v where the node is sum_k p_k v_k, p a softmax and v an input."""
    index, body, guard = node.open()
    factors = body.args if body.is_Mul else ()
    if guard != TRUE or len(factors) != 2 or not all(isinstance(f, Entry) for f in factors):
        return None
    for share, number in (factors, reversed(factors)):
        declared = loss.declared.get(number.tensor.name)
        softmax = body_of(share, loss)
        if declared is None or declared.role not in ("input", "param") or softmax is None:
            continue
        if is_fraction(softmax) and share.indices[-1] == index and number.indices[-1] == index:
            return number.tensor
    return None


def _moved(
    node: Expr, mean: Expr, new: Expr, of: Tensor, move: Callable[[Expr], Expr]
) -> Expr:
    """The node with each entry of a tensor moved, and its mean another one."""

    def visit(part: Basic) -> Basic:
        if part == mean:
            return new
        if isinstance(part, Entry) and part.tensor == of:
            return move(part)
        return rebuild(part, visit)

    return visit(node)


def _stays(node: Expr, mean: Expr, of: Tensor, loss: Loss) -> bool:
    """Whether the node does not change when a number is added to every entry and so to the mean."""
    more = Entry(Tensor(loss.unused_name("more")))
    there = _moved(node, mean, mean + more, of, lambda v: v + more)
    try:
        return NormalForm(replace(loss, definitions=())).equal(there, node)
    except Undecided:
        return False


RULES = (less_the_mean,)
