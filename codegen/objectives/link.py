"""From raw scores to what a user reads: the loss's own probability, or the mean of its target."""

from __future__ import annotations

from sympy import Basic, Expr, Integer

from codegen.objectives.curvature import Curvature
from codegen.objectives.expected import mean_target
from derive.engine import gradient
from derive.index import Entry, Tensor, rebuild, substitute
from derive.loss import Definition


def link(found: Curvature) -> Expr | None:
    """The prediction for a row, over the index of the scores; None where the loss has none.

    The first of: the mean of the target that the slope is 0 at; the last definition of the
    scores alone through which they enter; the probability that a definition gives the true
    one of two classes; the score itself, for a loss of the error.
    """
    mean = mean_target(found)
    if mean is not None:
        return mean[found.first.indices] if isinstance(mean, Tensor) else mean
    named = _through(found)
    if named is not None:
        return Entry(named.entry.tensor, *found.first.indices)
    return _of_true_class(found) or _of_error(found)


def _through(found: Curvature) -> Definition | None:
    """The last definition of the scores alone by which the loss knows them."""
    loss, axes = found.fit.dense, found.first.tensor.axes
    for definition in reversed(loss.definitions[:-1]):
        below = loss.below(definition.name)
        fits = definition.entry.tensor.axes == axes and found.fit.target not in below
        if fits and found.fit.score in below and _reaches(found, definition.name):
            return definition
    return None


def _reaches(found: Curvature, name: str) -> bool:
    """Whether the scores enter the loss through this name only."""
    whole = found.fit.dense.unfold(found.fit.dense.value.entry, frozenset((name,)))
    return not any(entry.tensor.name == found.fit.score for entry in whole.atoms(Entry))


def _of_true_class(found: Curvature) -> Expr | None:
    """A definition q with q(1) + q(0) = 1 over the two values of the target: q(1)."""
    low = {"binary": 0, "sign": -1}.get(found.fit.kind)
    if low is None:
        return None
    for definition in reversed(found.fit.dense.definitions[:-1]):
        values = [_with_target(found, definition.entry, value) for value in (low, 1)]
        if found.fit.target in found.fit.dense.below(definition.name) and found.equal(
            values[0] + values[1], Integer(1)
        ):
            return values[1]
    return None


def _of_error(found: Curvature) -> Expr | None:
    """The score, where the loss is a function of score - target."""
    fit = found.fit
    if fit.kind != "real":
        return None
    by_target = gradient(fit.dense, fit.target).result
    return found.first if found.equal(by_target, -found.slope) else None


def _with_target(found: Curvature, entry: Entry, value: int) -> Expr:
    target = found.fit.dense.tensor(found.fit.target)

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor == target:
            return Integer(value)
        return rebuild(node, visit)

    result: Expr = visit(found.fit.dense.unfold(substitute(entry, {})))
    return result
