"""The PyTorch target: the committed files under autograd, vmap, torch.func and torch.compile."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
from structures import library_variants

import codegen
import derive
from codegen.builder import default_wrt
from codegen.library import generate
from codegen.targets.numpy import safe_names

torch = pytest.importorskip("torch")
functional = torch.nn.functional
FOLDER = Path(__file__).resolve().parent.parent / "generated"
VARIANTS = library_variants()
REDUCTIONS = ("none", "sum", "mean")
variants = pytest.mark.parametrize(("name", "labels"), VARIANTS)


@cache
def module(name: str, labels: str = "dense", target: str = "torch") -> Any:
    """A committed file, imported."""
    stem = name if labels == "dense" else f"{name}_labels"
    spec = importlib.util.spec_from_file_location(
        f"{target}_{stem}", FOLDER / target / f"{stem}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def function(name: str, labels: str = "dense") -> Callable[..., Any]:
    stem = name if labels == "dense" else f"{name}_labels"
    found: Callable[..., Any] = getattr(module(name, labels), stem)
    return found


def draw(shape: tuple[int, ...], seed: int = 0, dtype: Any = torch.float64) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def slopes(loss: Any, *wrt: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = torch.autograd.grad(loss.sum(), wrt)
    return found


@variants
def test_committed_files_pass_their_own_test(name: str, labels: str) -> None:
    """gradcheck, gradgradcheck, torch.func, vmap, types, batches and labels of every loss."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        failed = module(name, labels)._self_test()
    assert failed == 0, said.getvalue()
    assert "gradgradcheck" in said.getvalue()


@variants
def test_torch_gives_what_numpy_gives(name: str, labels: str) -> None:
    """Losses and gradients of two committed files, in float64."""
    loss = codegen.builder.cut(derive.load(name), default_wrt(derive.load(name)))
    stem = name if labels == "dense" else f"{name}_labels"
    given = samples.arrays(loss, seed=3)
    if labels == "index":
        target = codegen.builder.dense_target(loss)
        given[target] = np.argmax(given[target], axis=-1)
    plain, ours = module(name, labels, "numpy"), module(name, labels)
    names = dict(zip(given, ours._SHAPES, strict=True))
    numpy_names = dict(zip(given, plain._SHAPES, strict=True))
    value, expected = getattr(plain, f"{stem}_value_and_gradient")(
        **{numpy_names[key]: array for key, array in given.items()}
    )
    tensors = {names[key]: torch.as_tensor(x) for key, x in given.items()}
    moved = [tensors[names[key]].requires_grad_() for key in default_wrt(loss)]
    options = {"reduction": "none"} if hasattr(ours, "_options") else {}
    found = getattr(ours, stem)(**tensors, **options)
    np.testing.assert_allclose(found.detach().numpy(), value, rtol=1e-12, atol=1e-14)
    for key, slope in zip(default_wrt(loss), slopes(found, *moved), strict=True):
        np.testing.assert_allclose(slope.numpy(), expected[key], rtol=1e-11, atol=1e-14)


def test_a_file_runs_alone() -> None:
    path = FOLDER / "torch" / "huber.py"
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    assert "ok      gradgradcheck by z, sample 0" in done.stdout
    assert done.stdout.rstrip().endswith("0 failed")
    imports = [x for x in path.read_text().splitlines() if x.startswith(("import", "from"))]
    assert imports == ["import torch"]


def test_the_self_test_finds_a_wrong_gradient(tmp_path: Path) -> None:
    text = (FOLDER / "torch" / "huber.py").read_text()
    assert text.count("grad_z = _weighted(cotangent, ") >= 1
    wrong = text.replace("grad_z = _weighted(cotangent, ", "grad_z = 2 * _weighted(cotangent, ", 1)
    path = tmp_path / "wrong.py"
    path.write_text(wrong)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "FAILED  gradcheck by z" in done.stdout


Z, Y = draw((6, 5)), torch.softmax(draw((6, 5), 1), -1)
T = torch.tensor([0, 4, 2, 2, 1, 3])
V, W = draw((8,), 2), draw((8,), 3)
BITS = torch.tensor([0.0, 1, 1, 0, 1, 0, 0, 1], dtype=torch.float64)
# Ours, torch's own, and the arguments of each; the first is differentiated by.
MARKED = torch.tensor([0, -1, 2, 2, -1, 3])
HEAVY = torch.tensor([0.5, 2.0, 0.0, 1.5, 3.0], dtype=torch.float64)
SMOOTH = {"weight": HEAVY, "ignore_index": -1, "label_smoothing": 0.3}
SOFT = torch.softmax(draw((6, 5), 4), -1)
TWINS: dict[str, tuple[Any, Any]] = {
    "cross-entropy, probabilities": (
        lambda z, **o: function("softmax_cross_entropy")(z, Y, **o),
        lambda z, **o: functional.cross_entropy(z, Y, **o),
    ),
    "cross-entropy, labels": (
        lambda z, **o: function("softmax_cross_entropy", "index")(z, T, **o),
        lambda z, **o: functional.cross_entropy(z, T, **o),
    ),
    "label smoothing": (
        lambda z, **o: function("label_smoothing", "index")(z, T, eps=0.2, **o),
        lambda z, **o: functional.cross_entropy(z, T, label_smoothing=0.2, **o),
    ),
    "weights, ignored labels, smoothing": (
        lambda z, **o: function("weighted_softmax_cross_entropy")(z, MARKED, **SMOOTH, **o),
        lambda z, **o: functional.cross_entropy(z, MARKED, **SMOOTH, **o),
    ),
    "weights, default": (
        lambda z, **o: function("weighted_softmax_cross_entropy")(z, T, weight=HEAVY, **o),
        lambda z, **o: functional.cross_entropy(z, T, weight=HEAVY, **o),
    ),
    "positive weights": (
        lambda z, **o: _of_rows(
            function("weighted_sigmoid_cross_entropy")(
                z, SOFT, weight=HEAVY, pos_weight=1 + HEAVY, reduction="none"
            ),
            o,
        ),
        lambda z, **o: _of_rows(
            functional.binary_cross_entropy_with_logits(
                z, SOFT, weight=HEAVY, pos_weight=1 + HEAVY, reduction="none"
            ).sum(1),
            o,
        ),
    ),
    "multi-margin": (
        lambda z, **o: _over_classes(function("multiclass_hinge")(z, T, reduction="none"), o),
        lambda z, **o: functional.multi_margin_loss(z, T, **o),
    ),
    "binary cross-entropy": (
        lambda z, **o: function("sigmoid_cross_entropy")(z, BITS, **o),
        lambda z, **o: functional.binary_cross_entropy_with_logits(z, BITS, **o),
    ),
    "Huber": (
        lambda z, **o: function("huber")(z, W, d=0.7, **o),
        lambda z, **o: functional.huber_loss(z, W, delta=0.7, **o),
    ),
    "absolute error": (
        lambda z, **o: function("mean_absolute_error")(z, W, **o),
        lambda z, **o: functional.l1_loss(z, W, **o),
    ),
    "squared error": (
        lambda z, **o: 2 * function("mean_squared_error")(z, W, **o),
        lambda z, **o: functional.mse_loss(z, W, **o),
    ),
}


def _over_classes(loss: Any, options: dict[str, str]) -> Any:
    """torch divides the sum of margins by the number of classes."""
    return _of_rows(loss / Z.shape[1], options)


def _of_rows(loss: Any, options: dict[str, str]) -> Any:
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[options["reduction"]]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("twin", TWINS)
def test_it_is_torchs_own_loss(twin: str, reduction: str) -> None:
    """The loss, its gradient and the gradient's gradient, where torch has the loss too."""
    ours, theirs = TWINS[twin]
    point = Z if list(TWINS).index(twin) < list(TWINS).index("binary cross-entropy") else V
    results = []
    for loss in (ours, theirs):
        z = point.clone().requires_grad_()
        value = loss(z, reduction=reduction)
        weights = draw(tuple(value.shape), 5)
        (slope,) = torch.autograd.grad((value * weights).sum(), z, create_graph=True)
        # Of its multi-margin loss torch has the first derivative only.
        twice = z if twin == "multi-margin" else _twice(slope, z)
        results.append((value.detach(), slope.detach(), twice))
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-14)


def _twice(slope: Any, z: Any) -> Any:
    """The Hessian times a direction; 0 where the slope does not depend on z."""
    whole = (slope * draw(tuple(z.shape), 6)).sum()
    found = torch.autograd.grad(whole, z, allow_unused=True)[0] if whole.requires_grad else None
    return torch.zeros_like(z) if found is None else found


def test_kl_divergence_is_torchs_own() -> None:
    z = Z.clone().requires_grad_()
    theirs = functional.kl_div(torch.log_softmax(z, -1), Y, reduction="batchmean")
    ours = function("kl_divergence")(z, Y)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    torch.testing.assert_close(slopes(ours, z), slopes(theirs, z), rtol=1e-12, atol=1e-15)


def test_second_derivatives_keep_their_digits_where_one_class_is_sure() -> None:
    """The Hessian diag(p) - p p' at a margin of 60: every entry keeps its digits."""
    z = torch.tensor([[60.0, 0.0, 0.0]], dtype=torch.float64)
    loss = function("softmax_cross_entropy", "index")
    (slope,) = torch.autograd.grad(
        loss(w := z.clone().requires_grad_(), torch.tensor([0])), w, create_graph=True
    )
    hessian = torch.stack([torch.autograd.grad(s, w, retain_graph=True)[0][0] for s in slope[0]])
    far = np.exp(-60) / (1 + 2 * np.exp(-60))
    np.testing.assert_allclose(hessian[0, 1:].numpy(), -far, rtol=1e-15)
    np.testing.assert_allclose(hessian[1, 1].item(), far, rtol=1e-15)
    np.testing.assert_allclose(hessian[1, 2].item(), -(far**2), rtol=1e-15)
    np.testing.assert_allclose(hessian[0, 0].item(), 2 * far * (1 - far), rtol=1e-15)


# torch.compile warns of a class that it makes an instance of itself.
compiling = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@compiling
@pytest.mark.parametrize("name", ["focal", "linear_softmax_cross_entropy", "dice"])
def test_compiled_without_a_break(name: str) -> None:
    """torch.compile(fullgraph=True) gives the same loss and gradients."""
    own = module(name)
    given = own._sample(1)
    moved = [given[key].clone().requires_grad_() for key in own._WRT]
    loss = own._losses(given)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    plain, found = loss(*moved), compiled(*moved)
    torch.testing.assert_close(found, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(slopes(found, *moved), slopes(plain, *moved), rtol=1e-12, atol=1e-14)


@compiling
def test_a_bad_label_is_poison_where_it_cannot_be_looked_at() -> None:
    loss, bad = function("softmax_cross_entropy", "index"), torch.tensor([0, 7, 2, 2, 1, 3])
    z = Z.clone().requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    mapped = torch.func.vmap(lambda row, t: loss(row[None], t[None]))
    for found in (
        compiled(z, bad, reduction="none"),
        mapped(z, bad),
        loss(z, bad, reduction="none", check=False),
    ):
        wrong = torch.isnan(found)
        assert wrong.tolist() == [False, True, False, False, False, False]
        assert torch.isnan(slopes(found, z)[0]).all(1).tolist() == wrong.tolist()
    with pytest.raises(ValueError, match=r"^y: row 1 holds the label 7, expected 0 <= label < 5$"):
        loss(z, bad)


def test_only_ignored_labels() -> None:
    """The mean of nothing is NaN or 0, and its gradient is 0, whatever the logits are."""
    z = torch.full((2, 3), torch.nan, dtype=torch.float64, requires_grad=True)
    loss = function("weighted_softmax_cross_entropy")
    labels = torch.tensor([-100, -100])
    assert torch.isnan(loss(z, labels))
    zero = loss(z, labels, on_empty="zero")
    assert zero == 0
    assert torch.equal(slopes(zero, z)[0], torch.zeros((2, 3), dtype=torch.float64))


def test_only_what_is_needed_is_computed() -> None:
    own = module("linear_softmax_cross_entropy")
    given = own._sample(0)
    moved = {key: given[key].clone().requires_grad_(key == "W") for key in own._WRT}
    loss = own.linear_softmax_cross_entropy(**{**given, **moved})
    loss.backward()
    assert moved["W"].grad is not None
    assert moved["x"].grad is None
    assert moved["b"].grad is None


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_accumulates_in_float32(kind: Any) -> None:
    """30,000 losses of 8 have a sum beyond float16, and a mean of 8."""
    z = torch.full((30000, 2), 0.0, dtype=kind)
    z[:, 1] = 8
    z.requires_grad_()
    loss = function("softmax_cross_entropy", "index")(z, torch.zeros(30000, dtype=torch.int64))
    assert loss.dtype == torch.float32
    np.testing.assert_allclose(loss.item(), np.log1p(np.exp(8)), rtol=1e-6)
    loss.backward()
    assert z.grad.dtype == kind


def test_autocast_changes_nothing() -> None:
    own = module("linear_softmax_cross_entropy")
    given = {key: x.float() for key, x in own._sample(0).items()}
    plain = own.linear_softmax_cross_entropy(**given)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(own.linear_softmax_cross_entropy(**given), plain)


def test_module_keeps_consts_and_options() -> None:
    own = module("focal")
    loss = own.Focal(gamma=1.5, reduction="sum")
    assert repr(loss) == "Focal(gamma=1.5, reduction='sum', on_empty='nan', check=True)"
    assert torch.equal(loss(Z, T), own.focal(Z, T, gamma=1.5, reduction="sum"))
    held = own.Focal(gamma=torch.tensor(1.5, dtype=torch.float64))
    assert "gamma" in held.state_dict()
    torch.testing.assert_close(held(Z, T), own.focal(Z, T, gamma=1.5))


def test_what_is_refused() -> None:
    loss = function("softmax_cross_entropy")
    with pytest.raises(TypeError, match=r"^a: expected a tensor or a number, found list$"):
        loss([[1.0]], Y)
    with pytest.raises(ValueError, match=r"^y: requires a gradient, and none was derived: detach"):
        loss(Z, Y.clone().requires_grad_())
    with pytest.raises(TypeError, match=r"^y: expected float64 like the rest, found bfloat16$"):
        loss(Z, Y.bfloat16())
    with pytest.raises(ValueError, match=r"^y: expected a tensor on cpu, found meta$"):
        loss(Z, Y.to("meta"))


def test_gradients_by_a_const_and_a_target() -> None:
    """What is named in wrt is differentiable, whatever its role."""
    source = generate(derive.load("focal"), "torch", wrt=["z", "gamma"])["focal.py"]
    names: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "focal.py", "exec"), names)
    gamma = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    z = Z.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, g: names["focal"](z, T, gamma=g), (z, gamma))
    assert torch.autograd.gradgradcheck(lambda z, g: names["focal"](z, T, gamma=g), (z, gamma))


def test_names_that_torch_has() -> None:
    """Names of the author's that mean something in PyTorch, or to a module."""
    text = (
        "torch: input[K]\nforward: target[K]\ntraining: const > 0 = 2\n"
        "loss = sum((torch[i] - forward[i])**2 for i in K) / training\n"
    )
    k = codegen.build(derive.parse(text, "odd"), "torch")
    given = samples.arrays(k.loss)
    value, found = k(**given)
    expected = ((given["torch"] - given["forward"]) ** 2).sum(1) / 2
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(found["torch"], given["torch"] - given["forward"])
    assert safe_names(k.kernel)["torch"] == "torch"
    assert k.functions["Odd"](training_=4.0).training_ == 4.0
