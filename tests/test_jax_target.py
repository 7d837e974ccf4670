"""The JAX target: transformations, second derivatives, labels, types."""

from __future__ import annotations

import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples

import codegen
import derive
from codegen.builder import dense_target
from codegen.targets.target import python_module
from derive.errors import KernelError
from derive.labels import with_labels

jax = pytest.importorskip("jax")
jnp = jax.numpy
ROOT = Path(__file__).parent.parent
CE = "softmax_cross_entropy"
LINEAR = "linear_softmax_cross_entropy"


@pytest.fixture(autouse=True)
def _wide() -> Any:
    with jax.enable_x64(True):
        yield


@cache
def kernel(name: str, labels: str = "dense", wrt: tuple[str, ...] | None = None) -> Any:
    loss = derive.load(name)
    return codegen.build(loss, "jax", wrt, labels=labels)


@cache
def function(name: str, labels: str = "dense") -> Any:
    return python_module(kernel(name, labels).source)[name]


def given(name: str, labels: str = "dense") -> dict[str, Any]:
    return samples.arrays(kernel(name, labels).loss)


@pytest.mark.parametrize(
    ("name", "labels"), [(LINEAR, "index"), ("info_nce", "dense"), ("focal", "dense")]
)
def test_first_and_second_derivatives(name: str, labels: str) -> None:
    from jax.test_util import check_grads

    drawn = given(name, labels)
    wrt = kernel(name, labels).wrt
    others = {key: x for key, x in drawn.items() if key not in wrt}
    call = partial(function(name, labels), **others)

    def loss(*varied: Any) -> Any:
        return call(**dict(zip(wrt, varied, strict=True)))

    check_grads(loss, [drawn[key] for key in wrt], order=2, modes=["rev"], rtol=1e-4, atol=1e-5)


def test_second_derivatives_where_logits_are_equal() -> None:
    """At ties a derivative traced through the maximum would be wrong: it is derived instead."""
    y = jnp.array([1])
    call = function(CE, "index")
    hessian = jax.jacrev(jax.grad(lambda a: call(a, y)[0]))(jnp.zeros((1, 3)))[0, :, 0, :]
    np.testing.assert_allclose(hessian, np.eye(3) / 3 - 1 / 9, rtol=1e-14)


def test_a_third_derivative_is_refused() -> None:
    call, y = function(CE, "index"), jnp.array([1])
    third = jax.grad(jax.grad(jax.grad(lambda x: call(x * jnp.array([[1.0, 2.0, 3.0]]), y)[0])))
    with pytest.raises(NotImplementedError, match="third derivatives are not derived"):
        third(1.0)


def test_jit_and_vmap() -> None:
    call, drawn = function(CE, "index"), given(CE, "index")
    a, y = jnp.asarray(drawn["a"]), jnp.asarray(drawn["y"])
    slope = jax.grad(lambda a, y: call(a, y, reduction="sum"))
    np.testing.assert_array_equal(jax.jit(call)(a, y), call(a, y))
    many = jax.vmap(slope)(jnp.stack([a, 2 * a]), jnp.stack([y, y]))
    np.testing.assert_allclose(many[1], slope(2 * a, y), rtol=1e-15)


def test_labels_are_seen_or_poison() -> None:
    """Outside jit a label out of range is an error; inside it makes its sample NaN."""
    call, a, y = function(CE, "index"), jnp.zeros((3, 4)), jnp.array([0, 4, -1])
    with pytest.raises(ValueError, match=r"^y: row 1 holds the label 4, expected 0 <= label < 4$"):
        call(a, y)
    loss = jax.jit(call)(a, y)
    slope = jax.jit(jax.grad(lambda a, y: call(a, y, reduction="sum")))(a, y)
    np.testing.assert_allclose(loss, [np.log(4), np.nan, np.nan])
    assert np.all(np.isnan(slope[1:]))
    np.testing.assert_allclose(slope[0], [-0.75, 0.25, 0.25, 0.25])


def test_a_label_out_of_range_spoils_what_samples_share() -> None:
    call, drawn = function(LINEAR, "index"), given(LINEAR, "index")
    drawn["y"] = np.array([0, 9, 1, 2])
    with pytest.raises(ValueError, match="row 1 holds the label 9"):
        call(**drawn)
    traced = jax.jit(lambda W, y: jax.grad(lambda W: call(**{**drawn, "W": W, "y": y}).sum())(W))
    assert np.any(np.isnan(traced(jnp.asarray(drawn["W"]), jnp.asarray(drawn["y"]))))


def test_a_derivative_that_was_not_derived_is_refused() -> None:
    call, drawn = function(CE), given(CE)
    with pytest.raises(TypeError, match=r"^y: no derivative by it was derived"):
        jax.grad(lambda y: call(drawn["a"], y, reduction="sum"))(jnp.asarray(drawn["y"]))
    both = jax.grad(lambda a: call(a, jax.lax.stop_gradient(a * 0 + 1 / 3), reduction="sum"))
    assert np.all(np.isfinite(both(jnp.asarray(drawn["a"]))))


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_halves_are_computed_in_float32(kind: str) -> None:
    call = function(CE, "index")
    a = jnp.linspace(-3, 3, 2000).reshape(1, -1).astype(kind)
    y = jnp.array([7])
    loss, slope = jax.value_and_grad(lambda a: call(a, y, reduction="sum"))(a)
    exact = call(a.astype("float32"), y, reduction="sum")
    assert loss.dtype == slope.dtype == kind
    np.testing.assert_array_equal(loss, exact.astype(kind))


def test_float32_by_default() -> None:
    with jax.enable_x64(False):
        assert function(CE, "index")(np.zeros((2, 3)), np.array([0, 1])).dtype == "float32"


def test_two_types_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^y: expected float32 like the rest, found float64$"):
        function(CE)(jnp.zeros((1, 2), "float32"), jnp.zeros((1, 2)))


@pytest.mark.parametrize("name", sorted(x.stem for x in (ROOT / "generated/jax").glob("*.py")))
def test_all_that_is_generated_gives_what_numpy_gives(name: str) -> None:
    texts = [
        (ROOT / "generated" / kind / f"{name}.py").read_text("utf-8") for kind in ("jax", "numpy")
    ]
    ours, other = (python_module(text)[f"{name}_value_and_gradient"] for text in texts)
    labels = "index" if name.endswith("_labels") else "dense"
    loss = derive.load(name.removesuffix("_labels"))
    if labels == "index":
        dense = dense_target(loss)
        assert dense is not None
        loss = with_labels(loss, dense)
    drawn = samples.arrays(loss)
    (value, slopes), (expected, wanted) = ours(**drawn), other(**drawn)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-15)
    for key, slope in wanted.items():
        np.testing.assert_allclose(slopes[key], slope, rtol=1e-10, atol=1e-14)


def test_self_test(tmp_path: Path) -> None:
    path = tmp_path / "kernel.py"
    path.write_text(kernel(LINEAR, "index").source, "utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert "gradients by x, W, b: as numerical differences" in done.stdout
    assert "second derivatives: as numerical differences of the gradients" in done.stdout


def test_without_jax_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KernelError, match=r"pip install 'pminusy\[jax\]'"):
        codegen.build(derive.load("mean_squared_error"), "jax")(z=np.zeros(2), y=np.zeros(2))
