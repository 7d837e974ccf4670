"""The NumPy target: blocks of samples, the caller's memory, and rows that need differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import codegen
import derive

DTYPES = [np.float32, np.float64]
CE = codegen.build(derive.load("softmax_cross_entropy"), labels="index")


def data(rows: int, size: int, dtype: Any) -> dict[str, Any]:
    rng = np.random.default_rng(size)
    return {"a": rng.normal(0, 3, (rows, size)).astype(dtype), "y": rng.integers(0, size, rows)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "size"), [(300_001, 3), (70_001, 16), (40_001, 17)])
def test_many_blocks_are_the_textbook(rows: int, size: int, dtype: Any) -> None:
    """In float64, by p - y; the last block is not full."""
    given = data(rows, size, dtype)
    loss, found = CE(**given)
    a = given["a"].astype(float)
    e = np.exp(a - a.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loss, -np.log(p[np.arange(rows), given["y"]]), rtol=1e-5, atol=1e-6)
    p[np.arange(rows), given["y"]] -= 1
    np.testing.assert_allclose(found["a"], p, atol=1e-6 if dtype is np.float32 else 1e-14)


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_out_and_in_place(size: int, reduction: str) -> None:
    given = data(200, size, np.float64)
    loss, found = CE(**given, reduction=reduction)
    out = {"a": np.zeros((200, size)), "loss": np.zeros(200)}
    again, same = CE(**given, reduction=reduction, out=out)
    assert same["a"] is out["a"]
    np.testing.assert_array_equal(same["a"], found["a"])
    np.testing.assert_array_equal(again, loss)
    again, same = CE(**given, reduction=reduction, out={"a": given["a"]})
    assert same["a"] is given["a"]
    np.testing.assert_array_equal(same["a"], found["a"])
    np.testing.assert_array_equal(again, loss)


def test_gradients_by_params_add_up_over_blocks() -> None:
    """The sum over the samples equals that of the halves, in the caller's memory too."""
    k = codegen.build(derive.load("linear_softmax_cross_entropy"), labels="index")
    rng = np.random.default_rng(0)
    rows, inner, size = 600, 3, 2000
    given = {"x": rng.normal(size=(rows, inner)), "y": rng.integers(0, size, rows)}
    params = {"W": rng.normal(size=(size, inner)), "b": rng.normal(size=size)}
    out = {name: np.full(array.shape, np.nan) for name, array in params.items()}
    _, found = k(**given, **params, out=out)
    assert found["W"] is out["W"]
    halves = [k(**{n: x[s] for n, x in given.items()}, **params)[1] for s in HALVES]
    for name in params:
        both = halves[0][name] + halves[1][name]
        np.testing.assert_allclose(found[name], both, rtol=1e-9, atol=1e-12)


HALVES = (slice(0, 100), slice(100, None))


@pytest.mark.parametrize("bad", [{"a": np.zeros((3, 4))}, {"b": np.zeros((3, 3))}])
def test_memory_that_does_not_fit_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^out: "):
        CE(**data(3, 3, np.float64), out=bad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [4, 30])
@pytest.mark.parametrize("top", [-600.3, -70.2, -3.3, 0.7, 70.9, 600.1, 1e5])
def test_rows_anywhere_keep_their_digits(top: float, size: int, dtype: Any) -> None:
    """In range and out of it, with a tail that exp of the logit alone would lose."""
    a = np.linspace(0, -80, size)[None] + top
    a = np.concatenate([a, a - 1 / 3]).astype(dtype)
    loss, found = CE(a=a, y=np.zeros(2, int))
    with mp.workdps(60):
        for n in range(2):
            e = [mp.exp(mpf(float(x)) - mpf(float(max(a[n])))) for x in a[n]]
            exact = [x / mp.fsum(e) for x in e]
            exact[0] = -mp.fsum(e[1:]) / mp.fsum(e)
            near = [float(x) for x in exact]
            rtol = 5 * float(np.finfo(dtype).eps)
            np.testing.assert_allclose(found["a"][n], near, rtol=rtol)
            np.testing.assert_allclose(loss[n], float(mp.log1p(mp.fsum(e[1:]))), rtol=rtol)
