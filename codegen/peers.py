"""What other libraries compute for the same losses, to be measured beside our kernels.

None of them is needed: each is imported on request only, and left out where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

Peer = Callable[..., tuple[Any, Mapping[str, Any]]]
Formula = Callable[[Any, Mapping[str, Any]], Any]


def _softmax(f: Any, a: Mapping[str, Any]) -> Any:
    return f.cross_entropy(a["a"], a["y"], reduction="none")


def _binary(f: Any, a: Mapping[str, Any]) -> Any:
    return f.binary_cross_entropy_with_logits(a["z"], a["y"], reduction="none")


def _divergence(f: Any, a: Mapping[str, Any]) -> Any:
    return f.kl_div(f.log_softmax(a["z"], -1), a["q"], reduction="none").sum(-1)


def _distillation(f: Any, a: Mapping[str, Any]) -> Any:
    p, q = f.log_softmax(a["z"] / a["T"], -1), f.softmax(a["v"] / a["T"], -1)
    return a["T"] ** 2 * f.kl_div(p, q, reduction="none").sum(-1)


def _focal(f: Any, a: Mapping[str, Any]) -> Any:
    log_p = f.log_softmax(a["z"], -1).gather(-1, a["t"][:, None])[:, 0]
    return -((1 - log_p.exp()) ** a["gamma"]) * log_p


def _binary_focal(f: Any, a: Mapping[str, Any]) -> Any:
    """As torchvision's sigmoid_focal_loss has it."""
    p, y = a["z"].sigmoid(), a["y"]
    p_t = p * y + (1 - p) * (1 - y)
    ce = f.binary_cross_entropy_with_logits(a["z"], y, reduction="none")
    return a["alpha"] * ce * (1 - p_t) ** a["gamma"]


def _entropy(f: Any, a: Mapping[str, Any]) -> Any:
    log_p = f.log_softmax(a["z"], -1)
    return -(log_p.exp() * log_p).sum(-1)


def _poisson(f: Any, a: Mapping[str, Any]) -> Any:
    return f.poisson_nll_loss(a["z"], a["y"], reduction="none")


TORCH: Mapping[str, tuple[Formula, tuple[str, ...]]] = {
    "softmax_cross_entropy": (_softmax, ("a",)),
    "sigmoid_cross_entropy": (_binary, ("z",)),
    "kl_divergence": (_divergence, ("z",)),
    "distillation": (_distillation, ("z",)),
    "focal": (_focal, ("z",)),
    "binary_focal": (_binary_focal, ("z",)),
    "entropy": (_entropy, ("z",)),
    "poisson": (_poisson, ("z",)),
}


def _torch(formula: Formula, wrt: tuple[str, ...]) -> Peer:
    def peer(**arrays: Any) -> tuple[Any, Mapping[str, Any]]:
        torch, functional = import_module("torch"), import_module("torch.nn.functional")
        given = {name: torch.tensor(value) for name, value in arrays.items()}
        for name in wrt:
            given[name].requires_grad_(True)
        value = formula(functional, given)
        value.sum().backward()
        return value.detach().numpy(), {name: given[name].grad.numpy() for name in wrt}

    return peer


def _scipy_softmax(a: Any, y: Any) -> tuple[Any, Mapping[str, Any]]:
    special = import_module("scipy.special")
    loss = -(y * special.log_softmax(a, axis=-1)).sum(axis=-1)
    return loss, {"a": special.softmax(a, axis=-1) * y.sum(axis=-1, keepdims=True) - y}


def _sklearn_binary(z: Any, y: Any) -> tuple[Any, Mapping[str, Any]]:
    loss = import_module("sklearn._loss.loss").HalfBinomialLoss()
    value, slope = loss.loss_gradient(np.ascontiguousarray(y), np.ascontiguousarray(z))
    return value, {"z": slope}


OTHERS: Mapping[str, Mapping[str, Peer]] = {
    "scipy": {"softmax_cross_entropy": _scipy_softmax},
    "sklearn": {"sigmoid_cross_entropy": _sklearn_binary},
}


def installed(loss: str) -> dict[str, Peer]:
    """By library, what is installed here and has this loss of ours."""
    found: dict[str, Peer] = {}
    if loss in TORCH and find_spec("torch"):
        found["torch"] = _torch(*TORCH[loss])
    for library, losses in OTHERS.items():
        if loss in losses and find_spec(library):
            found[library] = losses[loss]
    return found
