"""The Numba target: both layouts against NumPy, threads, memory of the caller, and no Numba."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
import structures

import codegen
import derive
from codegen.builder import KernelFunction
from derive.errors import KernelError

variants = pytest.mark.parametrize(("name", "labels"), structures.REPRESENTATIVES)


@cache
def kernel(name: str, labels: str, target: str = "numba") -> KernelFunction:
    return codegen.build(derive.load(name), target, labels=labels)


def test_every_structure_is_tried() -> None:
    assert structures.representatives() == structures.REPRESENTATIVES


@variants
@pytest.mark.parametrize("size", [3, 20, 1100])
def test_both_layouts_agree_with_numpy(name: str, labels: str, size: int) -> None:
    """Few classes go in strips of rows, many in blocks of 1024; neither fits the sizes."""
    k = kernel(name, labels)
    given = samples.arrays(k.loss, {"N": 67, "K": size, "D": 5})
    (loss, found), (expected, slopes) = k(**given), kernel(name, labels, "numpy")(**given)
    largest = max(1.0, *(float(np.max(np.abs(x))) for x in given.values()))
    np.testing.assert_allclose(loss, expected, rtol=1e-11, atol=1e-13 * largest)
    for wrt in k.wrt:
        np.testing.assert_allclose(found[wrt], slopes[wrt], rtol=1e-10, atol=1e-13 * largest)


THREADS = [("softmax_cross_entropy", "index"), ("linear_softmax_cross_entropy", "dense")]


@pytest.mark.parametrize(("name", "labels"), THREADS)
def test_threads_do_not_change_a_bit(name: str, labels: str) -> None:
    code = f"""
import sys, hashlib
sys.path.insert(0, "tests")
import samples, codegen, derive
k = codegen.build(derive.load({name!r}), "numba", labels={labels!r})
loss, found = k(**samples.arrays(k.loss, {{"N": 131, "K": 20, "D": 5}}))
print(hashlib.sha256(loss.tobytes() + b"".join(found[w].tobytes() for w in k.wrt)).hexdigest())
"""
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "3")
    }
    assert len(texts) == 1


@pytest.mark.parametrize("size", [3, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_into_memory_of_the_caller(size: int, dtype: Any) -> None:
    k = kernel("softmax_cross_entropy", "index")
    given = samples.arrays(k.loss, {"N": 67, "K": size})
    given["a"] = given["a"].astype(dtype)
    loss, found = k(**given)
    out = {"loss": np.empty(67, dtype), "a": given["a"]}
    again, same = k(**given, out=out)
    assert same["a"] is given["a"]
    np.testing.assert_array_equal(again, loss)
    np.testing.assert_array_equal(given["a"], found["a"])


def test_out_that_does_not_fit() -> None:
    k = kernel("softmax_cross_entropy", "index")
    given = samples.arrays(k.loss, {"N": 67, "K": 3})
    with pytest.raises(ValueError, match=r"^out: a has to be a dense, writable float64 array"):
        k(**given, out={"a": np.empty((67, 4))[:, :3]})
    with pytest.raises(ValueError, match=r"^out: 'b' is no result"):
        k(**given, out={"b": np.empty((67, 3))})
    room = np.zeros((68, 3))
    with pytest.raises(ValueError, match=r"^out: a overlaps the argument a$"):
        k(a=room[1:], y=given["y"], out={"a": room[:-1]})


def test_a_float32_kernel_computes_in_float32() -> None:
    """A plain number anywhere would make the vectors half as long: none is in the text."""
    import ast

    for name, labels in structures.REPRESENTATIVES:
        for function in ast.parse(kernel(name, labels).source).body:
            if not isinstance(function, ast.FunctionDef) or not function.name.endswith(
                ("_f32", "_f32_strips_part")
            ):
                continue
            allowed = {
                id(node)
                for call in ast.walk(function)
                if isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id == "f32"
                for node in ast.walk(call)
            }
            plain = [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Constant)
                and isinstance(node.value, float)
                and id(node) not in allowed
            ]
            assert plain == [], f"{name}: {function.name}"


def test_no_numba_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "numba" else find(name)
    )
    k = codegen.build(derive.load("huber"), "numba")
    with pytest.raises(KernelError, match=r"^Numba is not installed: pip install .*'numpy'"):
        k(**samples.arrays(k.loss))


def test_numba_is_imported_by_its_kernels_only(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); import samples, codegen, derive\n"
        "codegen.build(derive.load('huber'), 'numba')\n"
        "k = codegen.build(derive.load('huber'))\n"
        "k(**samples.arrays(k.loss))\n"
        "assert 'numba' not in sys.modules\n"
    )
    env = {**os.environ, "PMINUSY_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
