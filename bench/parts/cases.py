"""What is measured: losses, shapes, data, and what is right for a few of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = dict[str, Any]
SHOWN = 32  # rows that are checked, at each end


@dataclass(frozen=True)
class Case:
    """A loss of the library at one shape; `main` is the array whose gradient is checked."""

    name: str
    loss: str
    main: str
    shape: tuple[int, ...]
    labels: str = "dense"

    @property
    def title(self) -> str:
        return f"{self.name} {'x'.join(map(str, self.shape))}"


CASES = (
    *(
        Case("ce", "softmax_cross_entropy", "a", shape, "index")
        for shape in ((10**6, 3), (10**5, 10), (8192, 1000), (4096, 32000), (512, 128256))
    ),
    Case("bce", "sigmoid_cross_entropy", "z", (10**7,)),
    Case("focal", "focal", "z", (8192, 1000)),
    Case("kl", "kl_divergence", "z", (8192, 1000)),
    Case("arcface", "arcface", "c", (8192, 1000)),
    Case("linear", "linear_softmax_cross_entropy", "x", (2048, 512, 32000), "index"),
)


def data(case: Case, dtype: str) -> Arrays:
    """The arguments; the same in every process."""
    rng = np.random.default_rng(0)

    def normal(*shape: int, scale: float = 2.0) -> Any:
        return rng.standard_normal(shape, dtype=dtype) * np.dtype(dtype).type(scale)

    rows, classes = case.shape[0], case.shape[-1]
    if case.name == "bce":
        return {"z": normal(rows), "y": (rng.random(rows) < 0.5).astype(dtype)}
    labels = rng.integers(0, classes, rows)
    if case.name == "linear":
        inner = case.shape[1]
        weights = normal(classes, inner, scale=inner**-0.5)
        return {"x": normal(rows, inner), "W": weights, "b": normal(classes), "y": labels}
    if case.name == "kl":
        q = rng.random(case.shape, dtype=dtype)
        return {"z": normal(*case.shape), "q": q / q.sum(axis=1, keepdims=True)}
    if case.name == "arcface":
        return {"c": np.clip(normal(*case.shape, scale=0.3), -0.9, 0.9), "t": labels}
    return {case.main: normal(*case.shape), {"ce": "y", "focal": "t"}[case.name]: labels}


def some(rows: int) -> Any:
    """The rows that are checked."""
    return np.unique(np.r_[np.arange(min(SHOWN, rows)), np.arange(max(0, rows - SHOWN), rows)])


def softmax(z: Any) -> tuple[Any, Any]:
    """Probabilities and log-sum-exp of each row."""
    top = z.max(axis=1, keepdims=True)
    e = np.exp(z - top)
    total = e.sum(axis=1, keepdims=True)
    return e / total, (top + np.log(total))[:, 0]


def right(case: Case, given: Arrays) -> tuple[Any, Any]:
    """Loss and gradient by `main` of some of the rows, in float64, by the textbook's formulas."""
    rows = some(case.shape[0])
    part = {
        k: v[rows].astype(float if v.dtype.kind == "f" else int)
        for k, v in given.items()
        if k not in ("W", "b")
    }
    return TEXTBOOK[case.name](part, given)


def _bce(part: Arrays, _: Arrays) -> tuple[Any, Any]:
    z, y = part["z"], part["y"]
    return np.logaddexp(0, z) - y * z, 1 / (1 + np.exp(-z)) - y


def _ce(part: Arrays, _: Arrays) -> tuple[Any, Any]:
    return _labelled(part["a"], part["y"])


def _labelled(a: Any, y: Any) -> tuple[Any, Any]:
    n = np.arange(len(y))
    p, total = softmax(a)
    loss = total - a[n, y]
    p[n, y] -= 1
    return loss, p


def _focal(part: Arrays, _: Arrays) -> tuple[Any, Any]:
    z, t = part["z"], part["t"]
    n = np.arange(len(t))
    p, total = softmax(z)
    log_p, p_t = z[n, t] - total, p[n, t]
    slope = 2 * (1 - p_t) * p_t * log_p - (1 - p_t) ** 2
    step = -p
    step[n, t] += 1
    return -((1 - p_t) ** 2) * log_p, slope[:, None] * step


def _kl(part: Arrays, _: Arrays) -> tuple[Any, Any]:
    z, q = part["z"], part["q"]
    p, total = softmax(z)
    log_p = z - total[:, None]
    return (q * (np.log(np.where(q > 0, q, 1)) - log_p)).sum(axis=1), p * q.sum(1)[:, None] - q


def _arcface(part: Arrays, _: Arrays) -> tuple[Any, Any]:
    c, t = part["c"], part["t"]
    n, s, m = np.arange(len(t)), 64.0, 0.5
    theta = np.arccos(c[n, t])
    near = theta <= np.pi - m
    z = s * c
    z[n, t] = s * np.where(near, np.cos(theta + m), c[n, t] - m * np.sin(m))
    loss, slope = _labelled(z, t)
    slope *= s
    slope[n, t] *= np.where(near, np.sin(theta + m) / np.sin(theta), 1)
    return loss, slope


def _linear(part: Arrays, given: Arrays) -> tuple[Any, Any]:
    weights = given["W"].astype(float)
    loss, slope = _labelled(part["x"] @ weights.T + given["b"], part["y"])
    return loss, slope @ weights


TEXTBOOK: dict[str, Callable[[Arrays, Arrays], tuple[Any, Any]]] = {
    "ce": _ce,
    "bce": _bce,
    "focal": _focal,
    "kl": _kl,
    "arcface": _arcface,
    "linear": _linear,
}


def error(case: Case, given: Arrays, found: Any, expected: tuple[Any, Any]) -> float:
    """The largest relative error of the loss and the gradient; a sum of losses has none here."""
    loss, slope = found
    rows, worst = some(case.shape[0]), 0.0
    for got, exact in ((loss, expected[0]), (slope, expected[1])):
        if np.ndim(got) == 0:
            continue
        difference = np.abs(np.asarray(got)[rows].astype(float) - exact)
        worst = max(worst, float(np.max(difference) / np.max(np.abs(exact))))
    return worst
