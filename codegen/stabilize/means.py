"""Rules for numbers and their mean under the shares of a softmax.

They are for second derivatives: a softmax does not change with a constant added to all scores,
so that what its Hessian is multiplied with counts only by how far it is from its mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sympy import Basic, Expr, Integer, S

from codegen.bounds import is_fraction
from codegen.stabilize.local import body_of, rule
from derive.functions import grouped, signum
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Entry,
    Index,
    Tensor,
    Total,
    nodes,
    rebuild,
    substitute,
    total,
)
from derive.loss import Loss
from derive.normal import NormalForm, Undecided


@dataclass(frozen=True)
class Mean:
    """A sum over k of scale p_k v_k, where p is a softmax, and v an input or a sign."""

    node: Total
    index: Index
    scale: Expr
    share: Expr
    number: Expr

    @property
    def value(self) -> Expr:
        """sum_k p_k v_k."""
        return self.node / self.scale

    def has(self, expr: Basic) -> bool:
        """Whether it is v at some index or label."""
        if type(expr) is not type(self.number):
            return False
        if isinstance(expr, Entry):
            return bool(expr.tensor == self.number.tensor)
        places = {i for e in nodes(expr) if isinstance(e, Entry) for i in e.indices}
        return any(substitute(self.number, {self.index: i}) == expr for i in places)


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
    for mean in _means(node.xreplace(dict.fromkeys(node.atoms(grouped), S.Zero)), loss):
        m = mean.value
        if not (len(node.args) == 2 and -m in node.args) and _stays(node, mean, loss):
            return _moved(node, mean, -m)
    return None


@rule(
    "sign less the mean of signs",
    "equal signs cancel exactly, and the shares of the others are added up by sign",
    holds="the shares have sum 1",
)
def less_mean_of_signs(node: Expr, loss: Loss) -> Expr | None:
    """s_j - sum_k p_k s_k = 2 P(s = -1) + P(s = 0) at s_j = 1, and so on."""
    if not node.is_Add or len(node.args) != 2:
        return None
    for mean in _means(node, loss):
        own = node + mean.value
        if isinstance(mean.number, signum) and mean.has(own):
            of = mean.number.args[0]
            below, zero, above = (
                total(mean.index, mean.share, Condition(sign, of, Integer(0)))
                for sign in ("<", "==", ">")
            )
            x = own.args[0]
            rest = Choice(Condition("<", x, Integer(0)), -2 * above - zero, below - above)
            return Choice(Condition(">", x, Integer(0)), 2 * below + zero, rest)
    return None


def _means(node: Expr, loss: Loss) -> list[Mean]:
    """The means in an expression, in order."""
    sums = sorted((n for n in nodes(node) if isinstance(n, Total)), key=str)
    return [mean for n in sums if (mean := _mean(n, loss)) is not None]


def _mean(node: Total, loss: Loss) -> Mean | None:
    index, body, guard = node.opened()
    scale, rest = body.as_coeff_Mul()
    if guard != TRUE or not rest.is_Mul or len(rest.args) != 2:
        return None
    for share in rest.args:
        number = rest / share
        softmax = body_of(share, loss)
        if softmax is not None and is_fraction(softmax) and share.indices[-1] == index:
            given = isinstance(number, Entry) and number.indices and number.indices[-1] == index
            declared = loss.declared.get(number.tensor.name) if given else None
            moving = declared is not None and declared.role in ("input", "param")
            if moving or isinstance(number, signum):
                return Mean(node, index, scale, share, number)
    return None


def _moved(node: Expr, mean: Mean, by: Expr) -> Expr:
    """The node with something added to each of the numbers, and so to their mean."""

    def visit(part: Basic) -> Basic:
        if part == mean.node:
            return mean.scale * (mean.value + by)
        return grouped(part + by) if mean.has(part) else rebuild(part, visit)

    return visit(node)


def _stays(node: Expr, mean: Mean, loss: Loss) -> bool:
    """Whether the node does not change when one number is added to all, and so to the mean."""
    more = Entry(Tensor(loss.unused_name("more")))
    there = _moved(node, mean, more)
    try:
        return NormalForm(replace(loss, definitions=())).equal(there, node)
    except Undecided:
        return False


RULES = (less_the_mean, less_mean_of_signs)
