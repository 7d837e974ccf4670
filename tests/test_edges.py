"""What kernels do with hard input, row by row of the contract; a warning is an error here."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import samples
from structures import variants_of

import codegen
import derive
from codegen.builder import KernelFunction
from codegen.targets import TARGETS
from derive.batch import names_batch

INF, NAN = np.inf, np.nan
pytestmark = pytest.mark.filterwarnings("error")
targets = pytest.mark.parametrize("target", TARGETS)
# Each target with the types that it computes in.
typed = pytest.mark.parametrize(
    ("target", "dtype"),
    [(name, getattr(np, dtype)) for name in TARGETS for dtype in TARGETS[name].dtypes],
)


@cache
def kernel(name: str, target: str, labels: str = "dense") -> KernelFunction:
    return codegen.build(derive.load(name), target, labels=labels)


def softmax_ce(rows: Any, targets: Any, dtype: Any, labels: str, target: str) -> tuple[Any, Any]:
    """Loss and gradient, with one-hot targets or the same as labels."""
    a, y = np.array(rows, dtype), np.array(targets)
    dense = np.eye(a.shape[1], dtype=dtype)[y]
    k = kernel("softmax_cross_entropy", target, labels)
    loss, found = k(a=a, y=dense if labels == "dense" else y)
    return loss, found["a"]


forms = pytest.mark.parametrize("labels", ["dense", "index"])


@typed
@forms
def test_zero_weight_on_minus_infinity(dtype: Any, labels: str, target: str) -> None:
    loss, slope = softmax_ce([[-INF, 0, 0]], [1], dtype, labels, target)
    np.testing.assert_allclose(loss, np.log(dtype(2)), rtol=1e-6)
    np.testing.assert_allclose(slope, [[0, -0.5, 0.5]])


@typed
def test_zero_weight_on_log_of_zero(dtype: Any, target: str) -> None:
    p, y = np.array([[0, 0.5, 0.5]], dtype), np.array([[0, 1, 0]], dtype)
    loss, found = kernel("cross_entropy", target)(p=p, y=y)
    np.testing.assert_allclose(loss, np.log(dtype(2)), rtol=1e-6)
    np.testing.assert_array_equal(found["p"], [[0, -2, 0]])
    loss, _ = kernel("kl_divergence", target)(z=np.array([[-INF, 0, 0]], dtype), q=y)
    np.testing.assert_allclose(loss, np.log(dtype(2)), rtol=1e-6)


@typed
def test_entropy_of_an_impossible_class(dtype: Any, target: str) -> None:
    loss, found = kernel("entropy", target)(z=np.array([[-INF, 0, 0]], dtype))
    np.testing.assert_allclose(loss, np.log(dtype(2)), rtol=1e-6)
    np.testing.assert_allclose(found["z"], [[0, 0, 0]], atol=1e-7)


@typed
@forms
def test_impossible_target(dtype: Any, labels: str, target: str) -> None:
    loss, slope = softmax_ce([[-INF, 0, 0]], [0], dtype, labels, target)
    assert loss[0] == INF
    np.testing.assert_allclose(slope, [[-1, 0.5, 0.5]])


@typed
@forms
@pytest.mark.parametrize("bad", [[-INF, -INF, -INF], [INF, 0, 1], [0, INF, 1], [0, NAN, 1]])
def test_poison_stays_in_its_row(dtype: Any, labels: str, bad: list[float], target: str) -> None:
    good = [0.5, 1.0, -1.0]
    loss, slope = softmax_ce([good, bad, good], [0, 0, 0], dtype, labels, target)
    assert np.isnan(loss[1])
    assert np.all(np.isnan(slope[1]))
    alone, alone_slope = softmax_ce([good], [0], dtype, labels, target)
    np.testing.assert_array_equal(loss[[0, 2]], [alone[0], alone[0]])
    np.testing.assert_array_equal(slope[[0, 2]], [alone_slope[0], alone_slope[0]])


@typed
@pytest.mark.parametrize(
    ("z", "y", "expected", "slope"),
    [(INF, 1, 0, 0), (-INF, 0, 0, 0), (-INF, 1, INF, -1), (INF, 0, INF, 1), (NAN, 1, NAN, NAN)],
)
def test_bce_at_infinity(
    dtype: Any, z: float, y: float, expected: float, slope: float, target: str
) -> None:
    loss, found = kernel("sigmoid_cross_entropy", target)(
        z=np.array([z, 1], dtype), y=np.array([y, 1], dtype)
    )
    np.testing.assert_array_equal(loss[0], expected)
    np.testing.assert_array_equal(found["z"][0], slope)
    np.testing.assert_allclose(loss[1], np.log1p(np.exp(dtype(-1))), rtol=1e-6)


@typed
@forms
def test_equal_huge_logits(dtype: Any, labels: str, target: str) -> None:
    loss, slope = softmax_ce([[1e38] * 3], [0], dtype, labels, target)
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)
    np.testing.assert_allclose(slope, [[-2 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


@targets
@forms
def test_logits_up_to_the_end_of_the_range(labels: str, target: str) -> None:
    big = 1e308
    rows = [[big, -big, 0], [big, big, -big], [-big, -big, -big], [big, 0, 0]]
    loss, slope = softmax_ce(rows, [0, 0, 0, 1], np.float64, labels, target)
    np.testing.assert_allclose(loss, [0, np.log(2), np.log(3), big], rtol=1e-15)
    np.testing.assert_allclose(
        slope, [[0, 0, 0], [-0.5, 0.5, 0], [-2 / 3, 1 / 3, 1 / 3], [1, -1, 0]], atol=1e-15
    )


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (name, target)
        for target in TARGETS
        for name, labels in variants_of(target)
        if labels == "dense" and not names_batch(derive.load(name))
    ],
)
@pytest.mark.parametrize("bad", [NAN, INF])
def test_a_poisoned_row_leaves_the_others(name: str, bad: float, target: str) -> None:
    """In every kernel of the library, a row of NaN or infinity spoils its own results only."""
    k = kernel(name, target)
    given = samples.arrays(k.loss)
    batched = [x.name for x in k.kernel.inputs if x.role == "input"]
    loss, found = k(**given)
    for wrt in batched:
        poisoned = given[wrt].copy()
        poisoned[1] = bad
        worse, slopes = k(**{**given, wrt: poisoned})
        if np.isnan(bad):
            assert np.isnan(worse[1])
        np.testing.assert_array_equal(np.delete(worse, 1, 0), np.delete(loss, 1, 0))
        for other in batched:
            left, right = np.delete(slopes[other], 1, 0), np.delete(found[other], 1, 0)
            np.testing.assert_array_equal(left, right)


@targets
@pytest.mark.parametrize("z", [1e308, -1e308, 710.0, -710.0])
@pytest.mark.parametrize("name", ["sigmoid_cross_entropy", "sigmoid_mse"])
def test_one_logit_up_to_the_end_of_the_range(name: str, z: float, target: str) -> None:
    y = 1.0 if z > 0 else 0.0
    loss, found = kernel(name, target)(z=np.array([z, z]), y=np.array([y, 1 - y]))
    worst = abs(z) if name == "sigmoid_cross_entropy" else 0.5
    np.testing.assert_allclose(loss, [0, worst], rtol=1e-15, atol=1e-300)
    sign = -np.sign(z) if name == "sigmoid_cross_entropy" else 0
    np.testing.assert_allclose(found["z"], [0, -sign], atol=1e-300)


@targets
def test_mean_of_huge_losses_does_not_overflow(target: str) -> None:
    k = kernel("sigmoid_cross_entropy", target)
    loss, _ = k(z=np.full(4, -1e308), y=np.ones(4), reduction="mean")
    assert loss == 1e308


@targets
@pytest.mark.parametrize("label", [-1, 3])
def test_label_out_of_range(label: int, target: str) -> None:
    k = kernel("softmax_cross_entropy", target, "index")
    expected = rf"^y: row 2 holds the label {label}, expected 0 <= label < 3$"
    with pytest.raises(ValueError, match=expected):
        k(a=np.zeros((4, 3)), y=np.array([0, 1, label, 2]))


@targets
@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64"])
def test_integers_of_any_width_are_labels(kind: str, target: str) -> None:
    k = kernel("softmax_cross_entropy", target, "index")
    loss, _ = k(a=np.zeros((2, 3)), y=np.array([0, 2], kind))
    np.testing.assert_allclose(loss, np.log(3))


@targets
@pytest.mark.parametrize("kind", ["float64", "bool"])
def test_other_labels_are_refused(kind: str, target: str) -> None:
    k = kernel("softmax_cross_entropy", target, "index")
    with pytest.raises(TypeError, match=rf"^y: expected integer labels, found {kind}$"):
        k(a=np.zeros((2, 3)), y=np.zeros(2, kind))


@targets
@pytest.mark.parametrize("kind", ["float16", "longdouble", "int32", "bool", "object"])
def test_other_dtypes_are_refused(kind: str, target: str) -> None:
    k = kernel("softmax_cross_entropy", target)
    with pytest.raises(TypeError, match=r"^a: expected (float32 or )?float64, found "):
        k(a=np.zeros((2, 3), kind), y=np.zeros((2, 3)))


@typed
def test_targets_outside_their_domain(dtype: Any, target: str) -> None:
    """The mathematics without the hypothesis: p * sum(y) - y."""
    a = np.array([[0.0, 1.0, 2.0]], dtype)
    y = np.array([[0.5, -1.0, 3.0]], dtype)
    _, found = kernel("softmax_cross_entropy", target)(a=a, y=y)
    p = np.exp(a) / np.exp(a).sum()
    np.testing.assert_allclose(found["a"], p * y.sum() - y, rtol=1e-6)


@targets
@forms
def test_gradient_sums_to_zero_and_ignores_a_shift(labels: str, target: str) -> None:
    rng = np.random.default_rng(0)
    rows, targets = rng.integers(-8, 8, (50, 7)).astype(float), rng.integers(0, 7, 50)
    loss, slope = softmax_ce(rows, targets, np.float64, labels, target)
    np.testing.assert_allclose(slope.sum(axis=1), 0, atol=1e-15)
    again, same = softmax_ce(rows + 2.0**40, targets, np.float64, labels, target)
    np.testing.assert_array_equal(again, loss)
    np.testing.assert_array_equal(same, slope)


@targets
def test_two_classes_are_bce(target: str) -> None:
    z = np.linspace(-40, 40, 81)
    rows = np.stack([z, np.zeros_like(z)], axis=1)
    loss, slope = softmax_ce(rows, np.zeros(81, int), np.float64, "index", target)
    other, found = kernel("sigmoid_cross_entropy", target)(z=z, y=np.ones(81))
    np.testing.assert_allclose(loss, other, rtol=1e-14)
    np.testing.assert_allclose(slope[:, 0], found["z"], rtol=1e-14)
