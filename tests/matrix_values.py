"""Matrix notation evaluated with NumPy: vectors are columns, names are arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product as cartesian
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from derive.evaluate import Evaluator, Point
from derive.loss import Loss
from derive.matrix_nodes import Mat

Array = NDArray[np.float64]
FUNCTIONS: dict[str, Any] = {
    **{name: getattr(np, name) for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh")},
    **{name: getattr(np, name) for name in ("tanh", "sqrt", "log1p", "expm1", "sign", "abs")},
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "erf": special.erf,
    "erfc": special.erfc,
    "lgamma": special.gammaln,
    "digamma": special.digamma,
    "sigmoid": special.expit,
    "softplus": lambda x: np.logaddexp(0, x),
    "relu": lambda x: np.maximum(x, 0),
    "max": np.maximum,
    "min": np.minimum,
}
COMPARISONS: dict[str, Any] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def arrays(loss: Loss, point: Point) -> dict[str, Array]:
    """Every name's values, as a column or a matrix; labels as whole numbers."""
    evaluator = Evaluator(loss, point)
    found: dict[str, Array] = {}
    for name in (*loss.declared, *loss.defined):
        shape = [point.sizes[axis.name] for axis in loss.tensor(name).axes]
        values = np.zeros([*shape, 1, 1][: max(2, len(shape))])
        for place in cartesian(*map(range, shape)):
            entry = (*place, 0, 0)[: values.ndim]
            values[entry] = float(evaluator.at(name, place).mid())
        found[name] = values
    return found


class Values:
    """Evaluates trees over arrays; scalars are 1 x 1."""

    def __init__(self, sizes: Mapping[str, int], given: Mapping[str, Array]) -> None:
        self.sizes, self.given = sizes, given

    def __call__(self, node: Mat) -> Array:
        args = [self(arg) for arg in node.args]
        found = getattr(self, node.op)(node, *args)
        rows, columns = (self.sizes[axis] if axis else 1 for axis in node.shape)
        if found.shape != (rows, columns):  # scalars may stand in comparisons and choices
            assert node.op in ("call", "choice", "step", "compare", "logic"), node.op
            found = np.broadcast_to(found, (rows, columns))
        return np.asarray(found)

    def number(self, node: Mat) -> Array:
        return np.full((1, 1), float(node.data))

    def size(self, node: Mat) -> Array:
        return np.full((1, 1), float(self.sizes[node.data]))

    def name(self, node: Mat) -> Array:
        return self.given[node.data]

    def entry(self, node: Mat) -> Array:
        name, labels = node.data
        place = tuple(int(self.given[label][0, 0]) for label in labels)
        return np.full((1, 1), self.given[name][(*place, 0)[:2]])

    def zero(self, node: Mat) -> Array:
        return np.zeros([self.sizes[axis] if axis else 1 for axis in node.shape])

    def ones(self, node: Mat) -> Array:
        return np.ones((self.sizes[node.shape[0]], 1))

    def identity(self, node: Mat) -> Array:
        return np.eye(self.sizes[node.shape[0]])

    def unit(self, node: Mat) -> Array:
        return np.eye(self.sizes[node.shape[0]])[:, [int(self.given[node.data][0, 0])]]

    def onehot(self, node: Mat) -> Array:
        return np.eye(self.sizes[node.shape[1]])[self.given[node.data][:, 0].astype(int)]

    def transpose(self, node: Mat, body: Array) -> Array:
        return body.T

    def diag(self, node: Mat, body: Array) -> Array:
        return np.diag(body[:, 0])

    def diagonal(self, node: Mat, body: Array) -> Array:
        return np.diag(body)[:, None]

    def matmul(self, node: Mat, *factors: Array) -> Array:
        found = factors[0]
        for factor in factors[1:]:
            found = found @ factor
        return found

    def add(self, node: Mat, *terms: Array) -> Array:
        assert len({term.shape for term in terms}) == 1
        return np.sum(terms, axis=0)

    def had(self, node: Mat, *factors: Array) -> Array:
        assert len({factor.shape for factor in factors}) == 1
        above = np.prod(factors[: node.data], axis=0)
        return np.asarray(above / np.prod([np.ones_like(above), *factors[node.data :]], axis=0))

    def scale(self, node: Mat, *args: Array) -> Array:
        coefficient, count, has_body = node.data
        end = len(args) - has_body
        assert all(arg.shape == (1, 1) for arg in args[:end])
        number = float(coefficient) * math.prod(float(arg[0, 0]) for arg in args[:count])
        number /= math.prod(float(arg[0, 0]) for arg in args[count:end])
        return number * args[-1] if has_body else np.full((1, 1), number)

    def pow(self, node: Mat, base: Array, exponent: Array) -> Array:
        with np.errstate(invalid="ignore"):  # a branch that is not chosen is evaluated, too
            return np.asarray(np.power(base, exponent))

    def call(self, node: Mat, *args: Array) -> Array:
        return np.asarray(FUNCTIONS[node.data](*args))

    def step(self, node: Mat, condition: Array) -> Array:
        return condition.astype(float)

    def choice(self, node: Mat, condition: Array, value: Array, otherwise: Array) -> Array:
        return np.where(condition, value, otherwise)

    def compare(self, node: Mat, left: Array, right: Array) -> Array:
        return np.asarray(COMPARISONS[node.data](left, right))

    def logic(self, node: Mat, *parts: Array) -> Array:
        if node.data == "not":
            return ~parts[0]
        return np.asarray((np.all if node.data == "and" else np.any)(parts, axis=0))

    def norm(self, node: Mat, body: Array) -> Array:
        value = np.abs(body).sum() if node.data == 1 else np.sqrt((body**2).sum())
        return np.full((1, 1), value)

    def reduce(self, node: Mat, body: Array) -> Array:
        fold = {"max": np.max, "min": np.min, "prod": np.prod}[node.data]
        if not node.args[0].shape[1]:
            return np.full((1, 1), fold(body))
        return np.asarray(fold(body, axis=1))[:, None]

    def weights(self, node: Mat, body: Array) -> Array:
        return (body == (np.max if node.data == "max" else np.min)(body)).astype(float)
