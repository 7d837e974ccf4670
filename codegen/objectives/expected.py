"""The Hessian expected under the model, and the mean of the target that the model stands for."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Basic, Expr, Integer, exp, factor

from codegen.objectives.curvature import Curvature
from derive.errors import KernelError
from derive.index import Entry, Tensor, fresh, rebuild, substitute, total
from derive.rules.fold import assuming, shorten_steps


def expected(found: Curvature) -> Expr:
    """E[d2L/da_i^2] over the target; raises KernelError where there is no model to take it by.

    A class is drawn with probability exp(-L), if those sum to 1.  Another target enters the
    slope and the Hessian linearly, and has the mean at which the expected slope is 0.
    """
    if found.fit.label is not None and found.fit.dense is found.fit.loss:
        return _over_classes(found)
    mean = mean_target(found)
    if mean is None or not _linear(found, found.diagonal):
        raise KernelError(
            "the target does not enter its derivatives linearly, with a mean where the slope is 0"
        )
    return _short(found, with_target(found, found.diagonal, mean))


def _short(found: Curvature, expr: Expr) -> Expr:
    """The expression multiplied out and made short: what the mean cancels is gone."""
    loss = found.fit.dense
    expr = assuming(loss).expr(expr)
    steps = shorten_steps(expr, loss, ())
    expr = steps[-1].after if steps else expr
    factors = factor(expr)
    return factors if factors.is_Mul and factors.count_ops() <= expr.count_ops() else expr


def _over_classes(found: Curvature) -> Expr:
    """The sum over the classes k of exp(-L(k)) d2L(k)/da_i^2."""
    assert found.fit.label is not None
    loss, k = found.fit.dense, fresh(found.fit.label)
    likelihood = exp(-loss.unfold(loss.value.entry))
    weight = _at_class(found, likelihood, k)
    if not found.equal(total(k, weight), Integer(1)):
        raise KernelError("exp(-L), summed over the classes, is not known to be 1: no likelihood")
    named = _share(found, weight, k)
    drawn = _at_class(found, loss.unfold(found.diagonal, _free(found)), k)
    return _short(found, total(k, named * drawn))


def _free(found: Curvature) -> frozenset[str]:
    """The definitions that do not depend on the target: they keep their names."""
    loss = found.fit.dense
    return frozenset(n for n in loss.defined if found.fit.target not in loss.below(n))


def _share(found: Curvature, weight: Expr, k: Basic) -> Expr:
    """The definition that the probability of class k is, so that it keeps its stable form."""
    for definition in found.fit.dense.definitions:
        entry = Entry(definition.entry.tensor, k)
        fits = definition.entry.tensor.axes == (found.fit.label,)
        if fits and definition.name in _free(found) and found.equal(entry, weight):
            return entry
    return weight


def _at_class(found: Curvature, expr: Expr, k: Basic) -> Expr:
    label = Entry(found.fit.dense.tensor(found.fit.target))
    result: Expr = substitute(expr, {label: k})
    return result


def mean_target(found: Curvature) -> Tensor | Expr | None:
    """The mean of the target where the expected slope is 0: a definition's tensor, or a formula.

    None where the slope is not linear in the target, or has no such mean that can be shown.
    """
    if found.fit.label is not None and found.fit.dense is found.fit.loss:
        return None
    if not _linear(found, found.slope):
        return None
    for candidate in _means(found):
        if found.equal(with_target(found, found.slope, candidate), Integer(0)):
            return candidate
    return None


def _means(found: Curvature) -> Iterator[Tensor | Expr]:
    """The definitions that depend on the scores alone, the score, and the root of the slope."""
    loss = found.fit.dense
    axes = loss.declared[found.fit.target].tensor.axes
    for definition in loss.definitions:
        if definition.entry.tensor.axes == axes and definition.name in _free(found):
            yield definition.entry.tensor
    if axes:
        return
    at = [with_target(found, found.slope, Integer(value)) for value in (0, 1)]
    if at[1] != at[0]:
        yield loss.tensor(found.fit.score)
        yield (at[0] / (at[0] - at[1])).simplify()


def with_target(found: Curvature, expr: Expr, mean: Tensor | Expr) -> Expr:
    """The expression with the mean for the target."""
    loss = found.fit.dense
    target = loss.tensor(found.fit.target)
    dependent = frozenset(n for n in loss.defined if n not in _free(found))

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor == target:
            return Entry(mean, *node.indices) if isinstance(mean, Tensor) else mean
        return rebuild(node, visit)

    keep = frozenset(loss.defined) - dependent
    result: Expr = visit(loss.unfold(expr, keep))
    return result


def _linear(found: Curvature, expr: Expr) -> bool:
    """Whether f(s y) - f(0) = s (f(y) - f(0)) for every s."""
    loss, scale = found.fit.dense, Entry(Tensor("scale of the target"))
    target = loss.tensor(found.fit.target)

    def scaled(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor == target:
            return scale * node
        return rebuild(node, scaled)

    inside = loss.unfold(expr, _free(found))
    none = with_target(found, expr, Integer(0))
    return found.equal(scaled(inside) - none, scale * (inside - none))
