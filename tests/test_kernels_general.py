"""Kernels of losses that no library foresaw: by the same rules, held by the same differences."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
from general_losses import LOSSES, WHOLE_BATCH

import codegen
import derive
from codegen.builder import KernelFunction

SIZES = {**samples.SIZES, "H": 5, "T": 3, "Do": 2, "If": 3}
every = pytest.mark.parametrize("name", [*LOSSES, *WHOLE_BATCH])
# What stays finite although the formulas as written overflow.
OVERFLOWING = [
    "native label",
    "class weights",
    "label smoothing",
    "log-sum-exp",
    "likelihood",
    "named sums",
    "two softmaxes",
    "two exponentials",
    "explicit sigmoid",
    "log-cosh",
    "two layers",
    "InfoNCE",
    "weighted labels",
    "sequence with labels",
    "sequence",
    "attention",
    "entropy bonus",
]


@cache
def kernel(name: str, stable: bool = True, target: str = "numpy") -> KernelFunction:
    text = {**LOSSES, **WHOLE_BATCH}[name]
    loss = derive.parse(text.strip() + "\n", name="general")
    return codegen.build(loss, target, stable=stable)


def data(name: str, seed: int = 0) -> dict[str, Any]:
    return samples.arrays(kernel(name).loss, SIZES, batch=name in LOSSES, seed=seed)


@every
def test_gradient_against_central_differences(name: str) -> None:
    k = kernel(name)
    given = data(name)
    loss, found = k(**given)
    assert np.shape(loss) == ((SIZES["N"],) if name in LOSSES else ())
    for wrt in k.wrt:
        x, step = np.array(given[wrt]), 1e-6
        assert np.shape(found[wrt]) == x.shape
        for at in np.ndindex(x.shape):
            sides = []
            for sign in (1, -1):
                moved = x.copy()
                moved[at] += sign * step
                sides.append(np.sum(k(**{**given, wrt: moved})[0]))
            slope = (sides[0] - sides[1]) / (2 * step)
            np.testing.assert_allclose(np.asarray(found[wrt])[at], slope, rtol=1e-6, atol=1e-8)


@every
def test_stable_equals_naive(name: str) -> None:
    given = data(name, seed=1)
    (loss, found), (expected, slopes) = kernel(name)(**given), kernel(name, False)(**given)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    for wrt, slope in slopes.items():
        np.testing.assert_allclose(found[wrt], slope, rtol=1e-10, atol=1e-14)


@every
@pytest.mark.parametrize("target", ["c", "javascript"])
@pytest.mark.parametrize("size", [3, 20])
def test_others_equal_numpy(name: str, size: int, target: str) -> None:
    """Any loss can be scheduled; both layouts, and sizes that are no multiple of a vector."""
    k = kernel(name)
    sizes = {**SIZES, "K": size, "N": 70 if size > 3 else SIZES["N"]}
    given = samples.arrays(k.loss, sizes, batch=name in LOSSES, seed=3)
    (loss, found), (again, same) = k(**given), kernel(name, target=target)(**given)
    np.testing.assert_allclose(again, loss, rtol=1e-12, atol=1e-14)
    for wrt, slope in found.items():
        np.testing.assert_allclose(same[wrt], slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", OVERFLOWING)
def test_no_overflow_where_the_formula_overflows(name: str) -> None:
    k, naive = kernel(name), kernel(name, False)
    given = data(name, seed=2)
    given = {key: x * 2e3 if key in k.wrt else x for key, x in given.items()}
    loss, found = k(**given)
    assert np.all(np.isfinite(loss))
    assert all(np.all(np.isfinite(slope)) for slope in found.values())
    expected, slopes = naive(**given)
    broken = [x for x in (expected, *slopes.values()) if not np.all(np.isfinite(x))]
    assert broken


def test_whole_batch_has_no_reduction() -> None:
    with pytest.raises(derive.KernelError, match=r"written over the whole batch: no reduction"):
        kernel("InfoNCE")(**data("InfoNCE"), reduction="mean")


def test_ties_share_the_gradient() -> None:
    k = kernel("maximum")
    _, found = k(a=np.array([[2.0, 2.0, 1.0]]), y=np.array([1.0]))
    np.testing.assert_array_equal(found["a"], [[1, 1, 0]])


def test_consts_are_arguments() -> None:
    k = kernel("temperature")
    given = data("temperature")
    plain, cold = k(**given), k(**{**given, "T": 0.5})
    assert not np.allclose(plain[0], cold[0])
    np.testing.assert_array_equal(k(**{**given, "T": 2})[0], plain[0])


def test_names_that_python_uses() -> None:
    k = kernel("python's names")
    assert "def general(np_, lambda_, dtype_, *, " in k.source
    given = data("python's names")
    assert set(k(**given)[1]) == {"np", "lambda_"}


COMMENTS = (
    '""" + __import__("os").name + """',
    "back\\slash \\",
    'say "',
    "*/ int x = /*",
    "?" + "?/",
)


@pytest.mark.parametrize("target", ["numpy", "c", "numba", "javascript"])
@pytest.mark.parametrize("title", COMMENTS)
def test_words_cannot_leave_the_comment_they_stand_in(title: str, target: str) -> None:
    """Neither those of the title nor a comment inside a definition."""
    text = f"z: input\nL = (z # {title}\n)**2\n"
    loss = derive.parse(text, name="x")
    k = codegen.build(replace(loss, doc=title), target)
    loss_value, _ = k(z=np.ones(2))
    np.testing.assert_array_equal(loss_value, [1, 1])
    assert "__import__" not in k.source.partition("Arguments")[2]
    assert "int x" not in k.source.partition("Arguments")[2]


@pytest.mark.parametrize("name", ["a-b", "1st", "class", "np", "zip", "float", "jax"])
def test_any_file_name_gives_a_function(name: str) -> None:
    k = codegen.build(derive.parse("z: input\nL = z**2\n", name=name))
    assert k(z=np.ones(2))[1]["z"].tolist() == [2, 2]


def test_source_is_clean(tmp_path: Path) -> None:
    """Whatever the loss, what is generated passes the linter and the formatter."""
    for name in (*LOSSES, *WHOLE_BATCH):
        (tmp_path / f"{kernel(name).kernel.name}_{len(list(tmp_path.iterdir()))}.py").write_text(
            kernel(name).source, encoding="utf-8"
        )
    config = str(Path(__file__).parent.parent / "pyproject.toml")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", config, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
