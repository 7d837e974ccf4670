"""Generated PyTorch functions beside torch's own, forward and backward, eager and compiled.

    python bench/torch_functions.py

Least of five calls in milliseconds, float32, one thread; each loss is checked first.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

FOLDER = Path(__file__).resolve().parent.parent / "generated" / "torch"
own = torch.nn.functional


def generated(name: str) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def least(loss: Callable[..., Any], z: Any, y: Any) -> float:
    times = []
    for _ in range(6):
        z.grad, start = None, perf_counter()
        loss(z, y).backward()
        times.append(perf_counter() - start)
    return 1e3 * min(times[1:])


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logits, labels = torch.randn(2048, 1000), torch.randint(1000, (2048,))
    cases = (
        ("softmax_cross_entropy_labels", own.cross_entropy, logits, labels),
        (
            "sigmoid_cross_entropy",
            own.binary_cross_entropy_with_logits,
            torch.randn(10**6),
            torch.rand(10**6),
        ),
    )
    for name, theirs, z, y in cases:
        ours = generated(name)
        torch.testing.assert_close(ours(z, y), theirs(z, y))
        z.requires_grad_()
        for kind in ("eager", "compiled"):
            pair = [f if kind == "eager" else torch.compile(f) for f in (ours, theirs)]
            mine, other = (least(f, z, y) for f in pair)
            print(f"{name:30}{kind:10}ours {mine:7.1f}   torch {other:7.1f}")


if __name__ == "__main__":
    main()
