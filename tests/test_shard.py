"""Kernels over several ranks, played in rounded arithmetic, against the kernel of one rank."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import samples
from structures import library_variants

import codegen
import derive
from codegen.builder import KernelFunction
from codegen.rounded import Rounded
from codegen.shard import Program, sharded
from codegen.shard.cost import Network, all_reduce, cost
from codegen.shard.padded import padded
from codegen.shard.program import AllReduce, made_by
from codegen.shard.show import cost_table, program_lines
from codegen.shard.simulate import simulate
from derive.errors import KernelError

INF, NAN = np.inf, np.nan
SIZES = {"N": 6, "K": 7, "D": 5}
# Uneven parts, among them an empty one.
PARTS = {"N": [4, 0, 2], "K": [3, 0, 1, 3], "D": [1, 4]}
SOFTMAX = "p[i] = exp(z[i]) / sum(exp(z[k]) for k in K)\n"
# Parts of one size, with more than there is: an empty one at the end.
EVEN = {"N": [4, 4], "K": [3, 3, 3, 3], "D": [2, 2, 2, 2]}
OTHERS = {
    "quadratic form": f"z: input[K]\nC: param[K, K]\n{SOFTMAX}"
    "L = sum(C[i, j]*p[i]*p[j] for i in K for j in K)\n",
    "center": "x: input[D]\nM: param[K, D]\nt: target in K\n"
    "L = sum((x[d] - M[t, d])**2 for d in D)\n",
    "cost of a class": f"z: input[K]\nC: param[K, K]\nt: target in K\n{SOFTMAX}"
    "L = sum(C[t, i]*p[i] for i in K)\n",
    "largest other": "z: input[K]\nt: target in K\n"
    "L = max(0, max(z[k] for k in K if k != t) - z[t] + 1)\n",
    "product": "z: input[K]\nL = -log(prod(1 + z[k]**2 for k in K))\n",
    "range": "z: input[K]\nL = max(z[k] for k in K) - min(z[k] for k in K)\n",
    "unlikelihood": f"z: input[K]\nw: param[K]\nt: target in K\n{SOFTMAX}"
    "L = -w[t]*log(p[t]) - sum(log(1 - p[k]) for k in K if k != t)/K\n",
    "two labels": f"z: input[K]\ns: target in K\nt: target in K\n{SOFTMAX}"
    "L = -log(p[s])/4 - 3*log(p[t])/4\n",
    "hinge of all classes": "z: input[K]\nt: target in K\n"
    "L = sum(max(0, 1 + z[k] - z[t]) for k in K if k != t)\n",
    "norm of probabilities": f"z: input[K]\nt: target in K\nq: const > 1 = 3\n{SOFTMAX}"
    "L = sum(p[k]**q for k in K)**(1/q) - p[t]\n",
    "entropy regularised": f"z: input[K]\nt: target in K\nbeta: const > 0 = 0.1\n{SOFTMAX}"
    "L = -log(p[t]) + beta*sum(p[k]*log(p[k]) for k in K)\n",
    "two softmaxes": f"z: input[K]\nw: input[K]\n{SOFTMAX}"
    "q[i] = exp(w[i]) / sum(exp(w[k]) for k in K)\nL = sum(p[i]*log(p[i]/q[i]) for i in K)\n",
    "softmax of softmax": f"z: input[K]\nt: target in K\n{SOFTMAX}"
    "q[i] = exp(p[i]) / sum(exp(p[k]) for k in K)\nL = -log(q[t])\n",
    "reversed": f"z: input[K]\nt: target in K\n{SOFTMAX}"
    "L = -log(p[t]) + 4*sum(p[k] for k in K if k != t)\n",
    "scaled to a range": "z: input[K]\nt: target in K\nhi = max(z[k] for k in K)\n"
    "lo = min(z[k] for k in K)\nu[i] = (z[i] - lo)/(hi - lo)\n"
    "L = -u[t] + log(sum(exp(u[k]) for k in K))\n",
    "margin in the exponent": "z: input[K]\nt: target in K\n"
    "L = log(sum(exp(z[k] - z[t] + (0 if k == t else 1)) for k in K))\n",
    "prototypes": "x: input[D]\nM: param[K, D]\nt: target in K\n"
    "r[k] = -sum((x[d] - M[k, d])**2 for d in D)\n"
    "L = -r[t] + log(sum(exp(r[k]) for k in K))\n",
    "two layers": "x: input[D]\nW: param[K, D]\nV: param[K, K]\nt: target in K\n"
    "h[k] = tanh(sum(W[k, d]*x[d] for d in D))\na[i] = sum(V[i, k]*h[k] for k in K)\n"
    "L = -a[t] + log(sum(exp(a[k]) for k in K))\n",
    "pairs of classes": "z: input[K]\ny: target[K]\n"
    "L = sum(softplus(z[j] - z[i]) if y[i] > y[j] else 0 for i in K for j in K)\n",
}


@cache
def kernel(name: str, labels: str = "dense") -> KernelFunction:
    loss = derive.parse(OTHERS[name]) if name in OTHERS else derive.load(name)
    return codegen.build(loss, labels=labels)


@cache
def program(name: str, labels: str, axes: tuple[str, ...]) -> Program:
    return sharded(kernel(name, labels).kernel, axes)


def axes_of(name: str, labels: str) -> set[str]:
    tensors = [g.tensor for g in kernel(name, labels).kernel.inputs]
    return {axis.name for tensor in tensors for axis in tensor.axes}


def distance(got: Any, want: Any) -> float:
    """The largest difference in ULP of the largest number of its row."""
    scale = np.max(np.abs(want), axis=-1, keepdims=True) if np.ndim(want) else np.abs(want)
    return float(np.max(np.abs(got - want) / np.spacing(np.maximum(np.abs(want), scale))))


def assert_as_dense(name: str, labels: str, axes: tuple[str, ...], pads: bool = False) -> None:
    given = samples.arrays(kernel(name, labels).loss, SIZES)
    loss, slopes = Rounded(kernel(name, labels).kernel)(**given)
    split = program(name, labels, axes)
    split, parts = (padded(split), EVEN) if pads else (split, PARTS)
    got, found, _ = simulate(split, given, parts)
    ranks = max(len(PARTS[axis]) for axis in axes)
    assert distance(got, loss) <= 4 * ranks
    for wrt, slope in slopes.items():
        assert distance(found[wrt], slope) <= 4 * ranks, wrt


@pytest.mark.parametrize(("name", "labels"), library_variants())
def test_every_axis_of_the_library_can_be_split(name: str, labels: str) -> None:
    """Classes where there are any, else the first axis of the loss; the samples too in some."""
    axes = axes_of(name, labels)
    assert_as_dense(name, labels, ("K",) if "K" in axes else (min(axes),))


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("linear_softmax_cross_entropy", ("N",)),
        ("linear_softmax_cross_entropy", ("K", "N")),
        ("linear_softmax_cross_entropy", ("D",)),
        ("cox_partial_likelihood", ("N",)),
        ("info_nce", ("N",)),
        ("focal", ("K", "N")),
    ],
)
def test_samples_and_both(name: str, axes: tuple[str, ...]) -> None:
    assert_as_dense(name, "dense", axes)


@pytest.mark.parametrize("name", OTHERS)
def test_losses_that_no_library_has(name: str) -> None:
    assert_as_dense(name, "dense", ("K",))


@pytest.mark.parametrize(("name", "labels"), library_variants())
def test_padding_counts_nowhere(name: str, labels: str) -> None:
    """Parts of one size, of which the last hold NaN: results as without, and 0 beyond the end."""
    axes = axes_of(name, labels)
    assert_as_dense(name, labels, ("K",) if "K" in axes else (min(axes),), pads=True)


@pytest.mark.parametrize("name", OTHERS)
def test_padding_counts_nowhere_in_losses_that_no_library_has(name: str) -> None:
    assert_as_dense(name, "dense", ("K",), pads=True)


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("linear_softmax_cross_entropy", ("K", "N")),
        ("linear_softmax_cross_entropy", ("D",)),
        ("weighted_softmax_cross_entropy", ("N",)),
        ("info_nce", ("N",)),
    ],
)
def test_padding_of_samples(name: str, axes: tuple[str, ...]) -> None:
    assert_as_dense(name, "dense", axes, pads=True)


def test_the_messages_of_cross_entropy() -> None:
    """A maximum; then one message of the rest of the sum, the ties, and the target's logit."""
    (largest, packed), more = program("softmax_cross_entropy", "index", ("K",)).collectives()
    assert [largest.op, packed.op] == ["max", "sum"]
    assert [len(largest.parts), len(packed.parts)] == [1, 3]
    assert more == ()


@pytest.mark.parametrize(
    ("name", "labels", "forward", "backward"),
    [
        ("softmax_cross_entropy", "dense", 2, 0),
        ("label_smoothing", "dense", 2, 0),
        ("label_smoothing", "index", 2, 0),
        ("focal", "dense", 2, 0),
        ("arcface", "dense", 2, 0),
        ("kl_divergence", "index", 2, 0),
        ("linear_softmax_cross_entropy", "index", 2, 1),
        ("kl_divergence", "dense", 3, 0),
        ("norm of probabilities", "dense", 2, 0),
        ("entropy regularised", "dense", 2, 1),
        ("reversed", "dense", 2, 0),
        ("two softmaxes", "dense", 4, 0),
        ("softmax of softmax", "dense", 4, 1),
        ("hinge of all classes", "dense", 2, 0),
        ("largest other", "dense", 2, 0),
        ("range", "dense", 1, 1),
        ("scaled to a range", "dense", 3, 0),
        ("prototypes", "dense", 2, 1),
    ],
)
def test_how_many_messages(name: str, labels: str, forward: int, backward: int) -> None:
    found, more = program(name, labels, ("K",)).collectives()
    assert (len(found), len(more)) == (forward, backward)


def ce(rows: Any, labels: list[int], parts: list[int]) -> tuple[Any, Any]:
    split = program("softmax_cross_entropy", "index", ("K",))
    loss, slopes, _ = simulate(split, {"a": np.array(rows), "y": np.array(labels)}, {"K": parts})
    return loss, slopes["a"]


def test_a_rank_whose_logits_are_all_minus_infinity() -> None:
    loss, slope = ce([[-INF, -INF, 1.0, 1.0]], [3], [2, 2])
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)
    np.testing.assert_allclose(slope, [[0, 0, 0.5, -0.5]])


def test_a_target_of_minus_infinity_on_another_rank() -> None:
    loss, slope = ce([[-INF, 0.0, 0.0]], [0], [1, 2])
    assert loss[0] == INF
    np.testing.assert_allclose(slope, [[-1, 0.5, 0.5]])


@pytest.mark.parametrize("bad", [NAN, INF])
def test_what_is_not_a_number_reaches_every_rank_of_its_row(bad: float) -> None:
    loss, slope = ce([[0.0, 1.0, bad, 0.0], [0.0, 1.0, 2.0, 0.0]], [0, 0], [2, 2])
    assert np.isnan(loss[0])
    assert np.all(np.isnan(slope[0]))
    alone, alone_slope = ce([[0.0, 1.0, 2.0, 0.0]], [0], [2, 2])
    np.testing.assert_array_equal(loss[1], alone[0])
    np.testing.assert_array_equal(slope[1], alone_slope[0])


def test_ties_on_different_ranks_are_counted_once() -> None:
    loss, slope = ce([[1e300] * 4], [2], [1, 3])
    np.testing.assert_allclose(loss, np.log(4), rtol=1e-15)
    np.testing.assert_allclose(slope, [[0.25, 0.25, -0.75, 0.25]])


def test_smoothing_counts_the_classes_of_all_ranks() -> None:
    """Each class gets eps / K with the K of the whole, not of a rank."""
    split = program("label_smoothing", "index", ("K",))
    z, y = np.zeros((1, 8)), np.array([5])
    loss, slopes, _ = simulate(split, {"z": z, "y": y, "eps": 0.4}, {"K": [5, 3]})
    np.testing.assert_allclose(loss, np.log(8), rtol=1e-15)
    expected = np.full((1, 8), 1 / 8 - 0.4 / 8)
    expected[0, 5] -= 0.6
    np.testing.assert_allclose(slopes["z"], expected, rtol=1e-14)


def test_the_loss_waits_for_nothing_of_the_gradients() -> None:
    """What the loss needs comes first; a gradient's sum of the size of x does not ride along."""
    split = program("linear_softmax_cross_entropy", "dense", ("K",))
    names = [s.name for s in split.steps[: split.forward] if not isinstance(s, AllReduce)]
    assert names[-1] == "L"
    assert not any(name.startswith("grad") for name in names)


@pytest.mark.parametrize(("name", "labels"), library_variants()[:8])
def test_programs_are_in_order(name: str, labels: str) -> None:
    split = program(name, labels, (min(axes_of(name, labels)),))
    known = {given.name for given in split.inputs}
    for step in split.steps:
        nodes = step.parts if isinstance(step, AllReduce) else (step,)
        for node in nodes:
            assert made_by(node).name not in known
        known |= {node.name for node in nodes}
    assert {entry.tensor.name for _, entry in split.outputs} <= known


def test_an_axis_that_no_input_has() -> None:
    with pytest.raises(KernelError, match="no input has an axis Q; it has K, N"):
        sharded(kernel("softmax_cross_entropy").kernel, ("Q",))


def test_all_reduce_takes_the_faster_way() -> None:
    """Latency for little, by a tree; bandwidth for much, by a ring."""
    net = Network(alpha=1e-6, beta=1e-9, memory=0)
    assert all_reduce(4, 1, net) == 0
    assert all_reduce(0, 1024, net) == pytest.approx(20e-6)
    assert all_reduce(10**9, 1024, net) == pytest.approx(2 * 1023 * (1e-6 + 1 / 1024))


def test_cost_of_many_ranks() -> None:
    split = program("softmax_cross_entropy", "index", ("K",))
    sizes = {"N": 8192, "K": 131072}
    one, many = (cost(split, ranks, sizes) for ranks in (1, 64))
    assert many.local == pytest.approx(one.local / 64, rel=0.01)
    assert many.sent == 4 * 4 * 8192
    assert one.messages == 0 < many.messages < many.local


def test_explained() -> None:
    lines = list(program_lines(program("softmax_cross_entropy", "index", ("K",))))
    assert "2 all-reduces forward, 0 all-reduces backward" in lines
    assert "K is split: a rank has K_local of them" in lines
    assert any(
        line.split()[0] == "1024" for line in cost_table(program("arcface", "dense", ("K",)))
    )


@pytest.mark.parametrize("name", OTHERS)
def test_gradients_are_held_as_their_arguments(name: str) -> None:
    """Of two axes that are the split one the first is split, in an argument and its gradient."""
    split = program(name, "dense", ("K",))
    held = {given.name: given.tensor.axes for given in split.inputs}
    for key, entry in split.outputs:
        assert not key or entry.tensor.axes == held[key]
