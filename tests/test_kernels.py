"""Kernels of the whole library, on every target: gradients, batches, shapes, dtypes and errors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import samples
from exact import Exact
from mpmath import mp
from structures import variants_of

import codegen
import derive
from codegen.builder import KernelFunction, gradients
from codegen.targets import TARGETS
from derive.batch import names_batch
from derive.errors import DerivationError, KernelError
from derive.functions import absolute, largest, relu, signum, smallest
from derive.index import Choice, Maximum, Minimum, walk

REDUCTIONS = ("none", "sum", "mean")
VARIANTS = [(*variant, target) for target in TARGETS for variant in variants_of(target)]
COLUMNS = ("name", "labels", "target")
targets = pytest.mark.parametrize("target", TARGETS)
variants = pytest.mark.parametrize(COLUMNS, VARIANTS)
# A loss over the whole batch has neither rows nor a reduction.
per_sample = pytest.mark.parametrize(
    COLUMNS, [v for v in VARIANTS if not names_batch(derive.load(v[0]))]
)
single = pytest.mark.parametrize(
    COLUMNS,
    [
        v
        for v in VARIANTS
        if "float32" in TARGETS[v[2]].dtypes and not names_batch(derive.load(v[0]))
    ],
)
KINKS = (Choice, Maximum, Minimum, absolute, largest, relu, signum, smallest)


def analytic(name: str) -> bool:
    """Whether the loss has neither a choice nor a kink."""
    bodies = [definition.body for definition in derive.load(name).definitions]
    return not any(isinstance(node, KINKS) for body in bodies for node in walk(body))


smooth = pytest.mark.parametrize(COLUMNS, [v for v in VARIANTS if analytic(v[0])])


@cache
def kernel(
    name: str, labels: str = "dense", target: str = "numpy", stable: bool = True
) -> KernelFunction:
    return codegen.build(derive.load(name), target, labels=labels, stable=stable)


def data(k: KernelFunction, seed: int = 0, **sizes: int) -> dict[str, Any]:
    return samples.arrays(k.loss, {**samples.SIZES, **sizes}, seed=seed)


def reduced(k: KernelFunction, given: dict[str, Any], reduction: str) -> Any:
    """One number of which the gradients are the derivative."""
    return np.sum(k(**given, **({} if names_batch(k.loss) else {"reduction": reduction}))[0])


@per_sample
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient_against_central_differences(
    name: str, labels: str, target: str, reduction: str
) -> None:
    k = kernel(name, labels, target)
    given = data(k)
    _, found = k(**given, reduction=reduction)
    for wrt in k.wrt:
        x, step = np.array(given[wrt]), 1e-6
        slopes = np.zeros(x.shape)
        for at in np.ndindex(x.shape):
            sides = []
            for sign in (1, -1):
                moved = x.copy()
                moved[at] += sign * step
                sides.append(reduced(k, {**given, wrt: moved}, reduction))
            slopes[at] = (sides[0] - sides[1]) / (2 * step)
        assert np.shape(found[wrt]) == x.shape
        np.testing.assert_allclose(found[wrt], slopes, rtol=1e-6, atol=1e-8)


def slack(given: dict[str, Any], target: str) -> float:
    """What the naive kernel loses where terms of the size of its arguments cancel.

    XLA may compute an array anew in each loop that reads it, contracted into FMAs otherwise: an
    entry then differs from the maximum that it is.  Its compiler for CPUs keeps no barrier or
    reduce_precision that would make it one array.
    """
    unit = 3e-15 if target == "jax" else 1e-15
    return unit * max(1.0, *(float(np.max(np.abs(x))) for x in given.values()))


@smooth
def test_gradient_against_complex_step(name: str, labels: str, target: str) -> None:
    """The naive kernel is analytic; its complex step has no cancellation."""
    k, naive = kernel(name, labels, target), kernel(name, labels, stable=False)
    given = data(k, seed=1)
    _, found = k(**given)
    step = 1e-30
    whole = {
        key: np.asarray(x, complex if np.asarray(x).dtype.kind == "f" else None)
        for key, x in given.items()
    }
    for wrt in k.wrt:
        for at in np.ndindex(np.shape(given[wrt])):
            moved = np.array(whole[wrt])
            moved[at] += 1j * step
            slope = reduced(naive, {**whole, wrt: moved}, "sum").imag / step
            np.testing.assert_allclose(found[wrt][at], slope, rtol=1e-12, atol=slack(given, target))


@variants
def test_stable_equals_naive(name: str, labels: str, target: str) -> None:
    k, naive = kernel(name, labels, target), kernel(name, labels, stable=False)
    given = data(k, seed=2)
    (loss, found), (expected, slopes) = k(**given), naive(**given)
    np.testing.assert_allclose(loss, expected, rtol=1e-12, atol=slack(given, target))
    for wrt in k.wrt:
        np.testing.assert_allclose(found[wrt], slopes[wrt], rtol=1e-11, atol=slack(given, target))


@per_sample
def test_batch_equals_its_rows(name: str, labels: str, target: str) -> None:
    k = kernel(name, labels, target)
    given = data(k, seed=3, N=5)
    batched = {x.name for x in k.kernel.inputs if x.role in ("input", "target")}
    loss, found = k(**given)
    rows = [
        k(**{key: x[n : n + 1] if key in batched else x for key, x in given.items()})
        for n in range(5)
    ]
    lost = slack(given, target) if target == "jax" else 0.0
    np.testing.assert_allclose(loss, [row[0][0] for row in rows], rtol=1e-13, atol=lost)
    for wrt in k.wrt:
        parts = [row[1][wrt] for row in rows]
        whole = np.concatenate(parts) if wrt in batched else np.sum(parts, axis=0)
        np.testing.assert_allclose(found[wrt], whole, rtol=1e-12, atol=max(lost, 1e-15))


@per_sample
def test_reductions_agree(name: str, labels: str, target: str) -> None:
    k = kernel(name, labels, target)
    given = data(k, seed=4)
    batched = {x.name for x in k.kernel.inputs if x.role == "input"}
    (loss, found), (total, _), (mean, means) = (k(**given, reduction=r) for r in REDUCTIONS)
    np.testing.assert_allclose(total, loss.sum(), rtol=1e-14)
    count = samples.divisor(k.loss, given, len(loss))
    np.testing.assert_allclose(mean, loss.sum() / count, rtol=1e-14)
    for wrt in k.wrt:
        np.testing.assert_allclose(means[wrt], found[wrt] / count, rtol=1e-14)
    assert batched or k.wrt


@single
def test_float32_in_float32_out(name: str, labels: str, target: str) -> None:
    k = kernel(name, labels, target)
    given = data(k, seed=5)
    small = {
        key: np.asarray(x, np.float32) if np.asarray(x).dtype.kind == "f" else x
        for key, x in given.items()
    }
    loss, found = k(**given)
    for reduction in REDUCTIONS:
        less, slopes = k(**small, reduction=reduction)
        assert less.dtype == np.float32
        assert all(slopes[wrt].dtype == np.float32 for wrt in k.wrt)
    less, slopes = k(**small)
    np.testing.assert_allclose(less, loss, rtol=1e-4, atol=1e-6)
    for wrt in k.wrt:
        np.testing.assert_allclose(slopes[wrt], found[wrt], rtol=1e-3, atol=1e-6)


@variants
def test_layouts_are_equal_and_inputs_unchanged(name: str, labels: str, target: str) -> None:
    """Read-only, reversed and Fortran-ordered arrays give what plain ones give."""
    k = kernel(name, labels, target)
    given = data(k, seed=6)
    loss, found = k(**given)
    odd = {}
    for key, x in given.items():
        x = np.asarray(x)
        turned = np.asfortranarray(np.repeat(x, 2, axis=0))[::2] if x.ndim else x.copy()
        turned.flags.writeable = False
        odd[key] = turned
    before = {key: x.copy() for key, x in odd.items()}
    again, slopes = k(**odd)
    np.testing.assert_allclose(again, loss, rtol=1e-14)
    for wrt in k.wrt:
        np.testing.assert_allclose(slopes[wrt], found[wrt], rtol=1e-13, atol=1e-16)
        assert not any(np.shares_memory(slopes[wrt], x) for x in odd.values())
    assert all(np.array_equal(before[key], odd[key]) for key in odd)


@pytest.mark.parametrize("target", ["numpy", "c", "numba"])
@pytest.mark.parametrize("labels", ["dense", "index"])
def test_the_order_of_bytes_is_turned(target: str, labels: str) -> None:
    """Arrays of another machine's byte order give what native ones give."""
    k = kernel("softmax_cross_entropy", labels, target)
    given = {key: np.asarray(x) for key, x in data(k, seed=6).items()}
    swapped = {key: x.astype(x.dtype.newbyteorder()) for key, x in given.items()}
    assert not any(x.dtype.isnative for x in swapped.values())
    (loss, found), (again, slopes) = k(**given), k(**swapped)
    assert np.array_equal(again, loss) and np.array_equal(slopes["a"], found["a"])
    assert again.dtype.isnative and slopes["a"].dtype.isnative


@variants
@pytest.mark.parametrize("sizes", [{"N": 1}, {"K": 1}, {"N": 1, "K": 1, "D": 1}])
def test_small_sizes(name: str, labels: str, target: str, sizes: dict[str, int]) -> None:
    k = kernel(name, labels, target)
    loss, found = k(**data(k, **sizes))
    assert np.all(np.isfinite(loss))
    assert all(np.all(np.isfinite(found[wrt])) for wrt in k.wrt)


@per_sample
def test_empty_batch(name: str, labels: str, target: str) -> None:
    k = kernel(name, labels, target)
    given = data(k, N=0)
    assert k(**given)[0].shape == (0,)
    assert k(**given, reduction="sum")[0] == 0
    assert np.isnan(k(**given, reduction="mean")[0])
    zero, found = k(**given, reduction="mean", on_empty="zero")
    assert zero == 0
    assert all(np.all(found[wrt] == 0) for wrt in k.wrt)


@per_sample
def test_against_mpmath(name: str, labels: str, target: str) -> None:
    """Loss and per-sample gradients to a few ULP of the loss as written, at 60 digits."""
    k = kernel(name, labels, target)
    given = data(k, seed=7)
    loss, found = k(**given)
    batched = {x.name for x in k.kernel.inputs if x.role in ("input", "target")}
    written = derive.load(name) if labels == "dense" else k.loss
    slopes = gradients(k.loss, k.wrt)
    with mp.workdps(60):
        for n in range(len(loss)):
            row = {key: np.asarray(x)[n] if key in batched else x for key, x in given.items()}
            exact = Exact(written, samples.SIZES, {key: np.asarray(x) for key, x in row.items()})
            expected = float(exact(written.value.entry))
            np.testing.assert_allclose(loss[n], expected, rtol=1e-14)
            for slope in slopes:
                self_ = slope.wrt.tensor.name
                if self_ not in batched:
                    continue
                for at in np.ndindex(found[self_].shape[1:]):
                    here = dict(zip(slope.wrt.indices, at, strict=True))
                    wanted = float(exact(slope.result, here))
                    np.testing.assert_allclose(found[self_][n][at], wanted, rtol=1e-13, atol=1e-16)


@per_sample
def test_wrong_arguments(name: str, labels: str, target: str) -> None:
    k = kernel(name, labels, target)
    given = data(k)
    last = k.kernel.inputs[-1].name
    bad = np.zeros((2, 2, 2), np.asarray(given[last]).dtype)
    with pytest.raises(ValueError, match=rf"^{last}: expected shape \(.*\), found \(2, 2, 2\)$"):
        k(**{**given, last: bad})
    with pytest.raises(
        ValueError, match=r"^reduction: expected none, sum or mean, found 'median'$"
    ):
        k(**given, reduction="median")
    first, accepted = k.wrt[0], " or ".join(TARGETS[target].dtypes)
    with pytest.raises(TypeError, match=rf"^{first}: expected {accepted}, found int64$"):
        k(**{**given, first: np.asarray(given[first]).astype(int)})
    with pytest.raises(TypeError, match=r"found complex128$"):
        k(**{**given, first: np.asarray(given[first]).astype(complex)})
    with pytest.raises(TypeError, match=r"nonsense"):
        k(**given, nonsense=1)


@targets
def test_two_dtypes_are_refused(target: str) -> None:
    k = kernel("softmax_cross_entropy", "dense", target)
    given = data(k)
    expected = "float64 like the rest" if "float32" in TARGETS[target].dtypes else "float64"
    with pytest.raises(TypeError, match=rf"^y: expected {expected}, found float32$"):
        k(a=given["a"], y=given["y"].astype(np.float32))


@targets
def test_sizes_that_disagree(target: str) -> None:
    k = kernel("softmax_cross_entropy", "dense", target)
    with pytest.raises(ValueError, match=r"^y: expected shape \(4, 3\), found \(4, 2\)$"):
        k(a=np.zeros((4, 3)), y=np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"^axis K is empty: expected at least one entry$"):
        k(a=np.zeros((4, 0)), y=np.zeros((4, 0)))


@targets
def test_cut_makes_a_definition_an_input(target: str) -> None:
    loss = derive.load("linear_softmax_cross_entropy")
    k = codegen.build(loss, target, wrt=["a"])
    plain = kernel("softmax_cross_entropy", "dense", target)
    given = data(plain)
    assert [x.name for x in k.kernel.inputs] == ["a", "y"]
    np.testing.assert_array_equal(k(**given)[0], plain(**given)[0])
    np.testing.assert_array_equal(k(**given)[1]["a"], plain(**given)[1]["a"])
    at_p = codegen.build(loss, target, wrt=["p"])
    given = {"p": given["y"], "y": given["y"]}
    np.testing.assert_allclose(at_p(**given)[1]["p"], -np.ones((4, 3)))


@targets
def test_gradient_by_the_target(target: str) -> None:
    k = codegen.build(derive.load("softmax_cross_entropy"), target, wrt=["y"])
    given = data(k)
    p = np.exp(given["a"]) / np.exp(given["a"]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(k(**given)[1]["y"], -np.log(p))


def test_what_cannot_be_built() -> None:
    loss = derive.load("linear_softmax_cross_entropy")
    with pytest.raises(KernelError, match=r"'W' does not reach the loss once it is cut at a$"):
        codegen.build(loss, wrt=["a", "W"])
    with pytest.raises(KernelError, match=r"'L' is the loss, and cannot be its input"):
        codegen.build(loss, wrt=["L"])
    with pytest.raises(DerivationError, match=r"has no name 'q'"):
        codegen.build(loss, wrt=["q"])
    with pytest.raises(KernelError, match=r"target: expected one of numpy, c.*, found 'abacus'"):
        codegen.build(loss, target="abacus")
    with pytest.raises(KernelError, match=r"has no dense target in simplex"):
        codegen.build(derive.load("mean_squared_error"), labels="index")


@targets
def test_plain_numbers_and_lists(target: str) -> None:
    dtype = TARGETS[target].dtypes[0]
    k = codegen.build(derive.load("softmax_cross_entropy"), target, labels="index", dtype=dtype)
    loss, found = k(a=[[1.0, 2.0, 3.0]], y=[2])
    assert loss.dtype == found["a"].dtype == dtype
    np.testing.assert_allclose(loss, [0.40760598], rtol=1e-6)


def test_explained() -> None:
    k = kernel("softmax_cross_entropy")
    assert k.explain[0].steps[0].name == "shift by the maximum"
    assert k.files == {"softmax_cross_entropy.py": k.source}
    assert kernel("softmax_cross_entropy", stable=False).explain == ()
