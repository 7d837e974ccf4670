"""Who is measured.  Each peer, given a case and its data, makes a function without arguments.

The function gives the loss (of each sample, or their sum) and the gradient by the main array.
A peer that does not do a case gives None; one that is not installed is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from cases import Arrays, Case
from roof import copy

import generated

Work = Callable[[], tuple[Any, Any]]
Maker = Callable[[Case, Arrays, int], "Work | None"]
TUNED = {
    "THP_MEM_ALLOC_ENABLE": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


@dataclass(frozen=True)
class Peer:
    """A way to do it; `needs` are modules, `environment` is for its process alone."""

    name: str
    make: Maker
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    is_roof: bool = False

    @property
    def missing(self) -> list[str]:
        return [name for name in self.needs if find_spec(name) is None]


def ours(target: str, fresh: bool) -> Maker:
    """A generated kernel, with the caller's outputs or fresh ones."""

    def make(case: Case, given: Arrays, threads: int) -> Work:
        import codegen
        import derive

        kernel = codegen.build(derive.load(case.loss), target, labels=case.labels)
        out = {name: np.zeros_like(given[name]) for name in kernel.wrt}
        out["loss"] = np.zeros(case.shape[0], given[case.main].dtype)

        def work() -> tuple[Any, Any]:
            loss, slopes = kernel(**given) if fresh else kernel(**given, out=out)
            return loss, slopes[case.main]

        return work

    return make


def torch_loss(case: Case, t: Any) -> Any:
    """The loss as PyTorch's users write it, summed over the samples."""
    import torch.nn.functional as F

    if case.name == "ce":
        return F.cross_entropy(t["a"], t["y"], reduction="sum")
    if case.name == "bce":
        return F.binary_cross_entropy_with_logits(t["z"], t["y"], reduction="sum")
    if case.name == "kl":
        return F.kl_div(F.log_softmax(t["z"], 1), t["q"], reduction="sum")
    if case.name == "linear":
        return F.cross_entropy(F.linear(t["x"], t["W"], t["b"]), t["y"], reduction="sum")
    labels = t["t"][:, None]
    if case.name == "focal":
        log_p = F.log_softmax(t["z"], 1).gather(1, labels)
        return -((1 - log_p.exp()) ** 2 * log_p).sum()
    c = t["c"].gather(1, labels)
    theta = c.acos()
    psi = (theta + 0.5).cos().where(theta <= np.pi - 0.5, c - 0.5 * float(np.sin(0.5)))
    return F.cross_entropy(64 * t["c"].scatter(1, labels, psi), t["t"], reduction="sum")


def torch(compiled: bool, chunked: bool = False) -> Maker:
    """PyTorch, by autograd."""

    def make(case: Case, given: Arrays, threads: int) -> Work | None:
        import torch
        import torch.nn.functional as F

        torch.set_num_threads(threads)
        t = {name: torch.from_numpy(array) for name, array in given.items()}
        wanted = [t[n].requires_grad_() for n in (case.main, "W", "b") if n in t]
        own: Any = lambda **t: torch_loss(case, t)  # noqa: E731
        if chunked:
            if case.name != "linear" or not hasattr(F, "linear_cross_entropy"):
                return None

            def own(**t: Any) -> Any:
                return F.linear_cross_entropy(
                    t["x"], t["W"], t["y"], linear_bias=t["b"], reduction="sum"
                )

        function = torch.compile(own) if compiled else own

        def work() -> tuple[Any, Any]:
            loss = function(**t)
            slopes = torch.autograd.grad(loss, wanted)
            return loss.detach().numpy(), slopes[0].numpy()

        return work

    return make


def jax(case: Case, given: Arrays, threads: int) -> Work:
    """JAX, compiled."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", given[case.main].dtype == np.float64)
    t = {name: jnp.asarray(array) for name, array in given.items()}
    names = [n for n in (case.main, "W", "b") if n in t]
    rest = {n: array for n, array in t.items() if n not in names}

    def loss(wrt: dict[str, Any], rest: dict[str, Any]) -> Any:
        t = {**wrt, **rest}
        if case.name == "bce":
            return (jax.nn.softplus(t["z"]) - t["y"] * t["z"]).sum()
        z = t["x"] @ t["W"].T + t["b"] if case.name == "linear" else t[case.main]
        labels = t["y"] if "y" in t else t.get("t")
        rows = jnp.arange(len(z))
        if case.name == "arcface":
            c = z[rows, labels]
            theta = jnp.arccos(c)
            psi = jnp.where(theta <= np.pi - 0.5, jnp.cos(theta + 0.5), c - 0.5 * np.sin(0.5))
            z = 64 * z.at[rows, labels].set(psi)
        log_p = jax.nn.log_softmax(z, axis=1)
        if case.name == "kl":
            return (t["q"] * (jnp.log(t["q"]) - log_p)).sum()
        picked = log_p[rows, labels]
        weights = (1 - jnp.exp(picked)) ** 2 if case.name == "focal" else 1
        return -(weights * picked).sum()

    both = jax.jit(jax.value_and_grad(loss))

    def work() -> tuple[Any, Any]:
        value, slopes = jax.block_until_ready(both({n: t[n] for n in names}, rest))
        return np.asarray(value), np.asarray(slopes[case.main])

    return work


def sklearn(case: Case, given: Arrays, threads: int) -> Work | None:
    """scikit-learn's own loss functions."""
    from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss

    z = given[case.main]
    if case.name not in ("ce", "bce"):
        return None
    loss = HalfBinomialLoss() if case.name == "bce" else HalfMultinomialLoss(case.shape[1])
    y, room, slope = given["y"].astype(z.dtype), np.zeros(len(z), z.dtype), np.zeros_like(z)
    return lambda: loss.loss_gradient(y, z, None, room, slope, threads)


def scipy(case: Case, given: Arrays, threads: int) -> Work | None:
    """The formula with SciPy's special functions."""
    from scipy.special import expit, log_softmax, logsumexp

    if case.name == "bce":
        z, y = given["z"], given["y"]
        return lambda: (np.logaddexp(0, z) - y * z, expit(z) - y)
    if case.name != "ce" or case.shape[1] < 2:
        return None
    a, y = given["a"], given["y"]
    rows = np.arange(len(y))

    def work() -> tuple[Any, Any]:
        slope = np.exp(log_softmax(a, axis=1))
        slope[rows, y] -= 1
        return logsumexp(a, axis=1) - a[rows, y], slope

    return work


def careful(case: Case, given: Arrays, threads: int) -> Work | None:
    """NumPy by hand: in place, out=, no one-hot."""
    if case.name == "bce":
        return _careful_bce(given)
    if case.name not in ("ce", "kl"):
        return None
    z = given[case.main]
    slope, rows = np.zeros_like(z), np.arange(len(z))

    def work() -> tuple[Any, Any]:
        top = z.max(axis=1)
        np.subtract(z, top[:, None], out=slope)
        picked = slope[rows, given["y"]] if case.name == "ce" else _dot(given["q"], slope)
        np.exp(slope, out=slope)
        total = slope.sum(axis=1)
        np.divide(slope, total[:, None], out=slope)
        if case.name == "ce":
            slope[rows, given["y"]] -= 1
            return np.log(total) - picked, slope
        np.subtract(slope, given["q"], out=slope)
        return np.log(total) - picked + _dot(given["q"], np.log(given["q"])), slope

    return work


def _dot(q: Any, x: Any) -> Any:
    return np.einsum("nk,nk->n", q, x)


def _careful_bce(given: Arrays) -> Work:
    z, y = given["z"], given["y"]
    slope, loss, room = (np.zeros_like(z) for _ in range(3))

    def work() -> tuple[Any, Any]:
        np.exp(np.negative(np.abs(z, out=room), out=room), out=room)
        np.log1p(room, out=loss)
        np.add(loss, np.maximum(z, 0, out=slope), out=loss)
        np.subtract(loss, np.multiply(z, y, out=slope), out=loss)
        np.divide(np.where(z >= 0, 1, room), np.add(room, 1, out=slope), out=slope)
        return loss, np.subtract(slope, y, out=slope)

    return work


def all_peers(targets: list[str]) -> tuple[Peer, ...]:
    """Every peer, the roof first; `targets` are those of ours."""
    own = []
    for target in targets:
        needs = () if target in ("numpy", "c") else (target,)
        own += [
            Peer(target, ours(target, False), needs),
            Peer(f"{target}, fresh", ours(target, True), needs),
        ]
    return (
        Peer("copy", copy(False), is_roof=True),
        Peer("copy past the cache", copy(True), is_roof=True),
        *own,
        Peer("numpy by hand", careful),
        Peer("scipy", scipy, ("scipy",)),
        Peer("scikit-learn", sklearn, ("sklearn",)),
        Peer("torch", torch(False), ("torch",)),
        Peer("torch tuned", torch(False), ("torch",), TUNED),
        Peer("torch.compile", torch(True), ("torch",)),
        Peer("torch linear_cross_entropy", torch(False, True), ("torch",)),
        Peer("jax", jax, ("jax",)),
        Peer("generated torch", generated.torch(False), ("torch",)),
        Peer("generated torch.compile", generated.torch(True), ("torch",)),
        Peer("generated jax", generated.jax, ("jax",)),
        Peer("generated javascript", generated.javascript),
    )
