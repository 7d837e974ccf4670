"""Errors in ULP against mpmath, by regime.

The rounding of a - max a does not count: its error is put back after exp is taken.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import codegen
import derive
from codegen.accuracy import COMPENSATED, GOAL, Stratum, rows, variants
from codegen.builder import KernelFunction
from codegen.regimes import samples

DTYPES = [np.float32, np.float64]
REGIMES = ("margin far above", "margin equal", "margin far below", "offset", "scale", "ties")


@cache
def kernel(name: str, labels: str) -> KernelFunction:
    return codegen.build(derive.load(name), labels=labels)


def ulps(got: Any, exact: Any, dtype: Any) -> float:
    """|got - exact| in units in the last place of exact; 0 for exact infinities and zeros."""
    if mp.isinf(exact) or abs(exact) > float(np.finfo(dtype).max):
        return 0.0 if np.isinf(got) else float("inf")
    unit = mpf(float(np.spacing(dtype(abs(float(exact))))))
    return float(abs(mpf(float(got)) - exact) / unit)


def rows_of(regime: str, size: int, dtype: Any, rng: Any) -> tuple[Any, Any]:
    """Logits and labels of one regime."""
    n = 20
    rows, labels = rng.normal(0, 2, (n, size)), rng.integers(0, size, n)
    far = rng.uniform(5, 80 if dtype is np.float64 else 30, n)
    if regime == "margin far above":
        rows[np.arange(n), labels] = rows.max(axis=1) + far
    if regime == "margin far below":
        rows[np.arange(n), labels] = rows.min(axis=1) - far
    if regime == "margin equal":
        rows[np.arange(n), labels] = rows.max(axis=1)
    if regime == "offset":
        rows += rng.choice([1e2, 1e4, 1e8], (n, 1))
    if regime == "scale":
        rows *= rng.choice([1e-6, 1e-2, 10], (n, 1))
    if regime == "ties":
        rows = np.round(rows)
    return rows.astype(dtype), labels


def exact_softmax(row: Any, label: int) -> tuple[Any, list[Any]]:
    """Loss and gradient of softmax cross-entropy."""
    z = [mpf(float(x)) for x in row]
    terms = [mp.exp(x - max(z)) for x in z]
    total = mp.fsum(terms)
    others = mp.fsum(t for k, t in enumerate(terms) if k != label)
    loss = mp.log1p(others / terms[label])
    return loss, [-others / total if k == label else t / total for k, t in enumerate(terms)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("labels", ["dense", "index"])
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("size", [1, 2, 3, 40])
def test_softmax_cross_entropy(regime: str, size: int, labels: str, dtype: Any) -> None:
    rng = np.random.default_rng(size)
    rows, targets = rows_of(regime, size, dtype, rng)
    y = np.eye(size, dtype=dtype)[targets] if labels == "dense" else targets
    loss, found = kernel("softmax_cross_entropy", labels)(a=rows, y=y)
    worst_loss = worst_slope = 0.0
    with mp.workdps(60):
        for n, label in enumerate(targets):
            exact, slope = exact_softmax(rows[n], label)
            worst_loss = max(worst_loss, ulps(loss[n], exact, dtype))
            errors = [ulps(found["a"][n, k], slope[k], dtype) for k in range(size)]
            worst_slope = max(worst_slope, *errors)
    assert worst_loss <= 3
    assert worst_slope <= 6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_sigmoid_cross_entropy(y: float, dtype: Any) -> None:
    far = 80 if dtype is np.float64 else 30
    z = np.concatenate([np.linspace(-far, far, 161), [1e-8, -1e-8]]).astype(dtype)
    loss, found = kernel("sigmoid_cross_entropy", "dense")(z=z, y=np.full(len(z), y, dtype))
    worst_loss = worst_slope = 0.0
    with mp.workdps(60):
        for n, x in enumerate(mpf(float(x)) for x in z):
            exact = y * mp.log1p(mp.exp(-x)) + (1 - y) * mp.log1p(mp.exp(x))
            slope = (1 - y) / (1 + mp.exp(-x)) - y / (1 + mp.exp(x))
            worst_loss = max(worst_loss, ulps(loss[n], exact, dtype))
            worst_slope = max(worst_slope, ulps(found["z"][n], slope, dtype))
    assert worst_loss <= 3
    assert worst_slope <= 3


# -- every regime of `pminusy verify --accuracy` -----------------------------------------------

COMPARED = (
    "binary_focal",
    "cox_partial_likelihood",
    "cross_entropy",
    "distillation",
    "entropy",
    "focal",
    "gamma",
    "jensen_shannon",
    "kl_divergence",
    "log_cosh",
    "poisson",
    "pseudo_huber",
    "ranknet",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "tweedie",
)
LARGE = ("K = 1000", "D = 1000")  # half of the time, and no other branches


@pytest.mark.parametrize("name", COMPARED)
def test_regimes(name: str) -> None:
    """The fast form within half its goal, and the one that carries its errors within its own."""
    loss = derive.load(name)
    names = [regime for regime, _ in samples(loss, "float64") if regime not in LARGE]
    assert "moderate" in names
    for given, labels in variants(loss):
        kernels = {}
        for target in ("numpy", "c"):
            fast, mended = (
                codegen.build(loss, target, labels=labels, compensate=on) for on in (False, True)
            )
            kernels |= {target: mended}
            kernels |= {f"{target}, fast": fast} if fast.kernel != mended.kernel else {}
        for row in rows(given, kernels, "float64", names):
            assert row.worst <= (GOAL / 2 if "fast" in row.target else COMPENSATED), row


def test_a_lossy_kernel_is_found() -> None:
    """What is written as on paper loses its digits, and the table says so."""
    loss = derive.load("pseudo_huber")
    naive = codegen.build(loss, stable=False)
    regime, sample = next(pair for pair in samples(loss, "float64") if pair[0] == "near zero")
    row = Stratum(loss, regime, sample).row(naive, "numpy")
    assert not row.passed
    assert row.value_max > 2**40


@pytest.mark.parametrize("dtype", DTYPES)
def test_gamma_functions(dtype: Any) -> None:
    """The derivative of lgamma, away from its root at 1.46 to a few units of its terms."""
    kernel = codegen.build(derive.parse("x: input > 0\nL = lgamma(x)\n"), wrt=["x"])
    x = np.concatenate([np.geomspace(1e-6, 1e6, 200), np.linspace(0.01, 12, 200)]).astype(dtype)
    _, found = kernel(x=x)
    with mp.workdps(40):
        for mine, at in zip(found["x"], x, strict=True):
            exact = mp.digamma(mpf(float(at)))
            unit = mpf(float(np.spacing(dtype(1 + abs(float(exact))))))
            assert abs(mpf(float(mine)) - exact) <= 8 * unit, at


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_tails_of_the_normal_distribution(target: str) -> None:
    """The log of the distribution function, and the slope of it, from -1e6 to 8."""
    text = "x: input\nL = log((1 + erf(x))/2)\n"
    kernel = codegen.build(derive.parse(text, name="log_normal"), target, wrt=["x"])
    x = np.concatenate([-np.geomspace(1e-6, 1e6, 200), np.linspace(0, 5, 100)])
    value, slope = kernel(x=x)
    with mp.workdps(40):
        for got, slope_got, at in zip(value, slope["x"], map(mpf, map(float, x)), strict=True):
            tail = mp.erfc(-at) / 2
            far = at < -1e4  # a few terms of the asymptotic series are enough there
            log = (
                -(at**2) - mp.log(-2 * at * mp.sqrt(mp.pi)) - 1 / (2 * at**2)
                if far
                else mp.log(tail)
            )
            exact = (
                -2 * at / (1 - 1 / (2 * at**2) + 3 / (4 * at**4))
                if far
                else mp.exp(-(at**2)) / (tail * mp.sqrt(mp.pi))
            )
            assert abs(got / log - 1) < 2**-47, at
            assert abs(slope_got / exact - 1) < 2**-47, at


def test_lgamma_beyond_the_floats() -> None:
    """It is infinite at 0 and where it overflows, and no error."""
    found = codegen.build(derive.parse("x: input >= 0\nL = lgamma(x)\n"), wrt=[])(
        x=np.array([0.0, 1.0, 1e306, np.nan])
    )
    assert str(found[0]) == "[inf  0. inf nan]"


def test_one_plus_a_small_number_keeps_it() -> None:
    """log(1 + x) is one function, also where the gradient reads 1 + x as well."""
    text = "z: input\ny: target\nnu: const > 0 = 4\nL = (nu + 1)/2 * log(1 + (z - y)**2/nu)\n"
    loss = derive.parse(text, name="student_t")
    for regime, sample in samples(loss, "float64"):
        if regime in ("near zero", "close 1e-6"):
            row = Stratum(loss, regime, sample).row(codegen.build(loss), "numpy")
            assert row.worst <= COMPENSATED, row
