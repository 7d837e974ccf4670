"""What is measured on a GPU: losses, sizes, data, PyTorch's formulas, and what bounds the time."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Callable[[], tuple[Any, tuple[Any, ...]]]


@dataclass(frozen=True)
class Case:
    """A loss and its sizes: rows and classes, and for a linear head what it takes in."""

    name: str
    rows: int
    classes: int
    inner: int = 0

    @property
    def title(self) -> str:
        sizes = [self.rows, *([self.inner] if self.inner else []), self.classes]
        return f"{self.name}:{'x'.join(map(str, sizes))}"


CASES = (
    Case("ce", 32768, 1000),
    Case("ce", 4096, 32000),
    Case("ce", 8192, 128256),
    Case("focal", 32768, 1000),
    Case("kl", 32768, 1000),
    Case("linear", 4096, 32000, 2048),
    Case("linear", 8192, 128256, 4096),
)
TINY = (Case("ce", 5, 11), Case("focal", 5, 11), Case("kl", 5, 11), Case("linear", 5, 11, 3))
# The generated file, and whether it takes class labels.
FILES = {
    "ce": ("softmax_cross_entropy", "index"),
    "focal": ("focal", "dense"),
    "kl": ("kl_divergence", "dense"),
    "linear": ("linear_softmax_cross_entropy", "index"),
}


def module_of(case: Case) -> Any:
    """The generated module, from the sources beside this script."""
    import codegen
    import derive

    name, labels = FILES[case.name]
    ((file, text),) = codegen.generate(derive.load(name), "triton", labels=labels).items()
    place = Path(tempfile.mkdtemp(prefix="pminusy-bench-")) / file
    place.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"bench_{case.name}", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, file.removesuffix(".py"))


def data(case: Case, dtype: str, device: str) -> dict[str, Any]:
    """The arguments, by the names that the generated function has."""
    import torch

    generator = torch.Generator(device).manual_seed(0)
    kind = getattr(torch, dtype)

    def normal(*shape: int, scale: float = 2.0) -> Any:
        made = torch.randn(shape, generator=generator, device=device, dtype=torch.float32)
        return (made * scale).to(kind).requires_grad_()

    labels = torch.randint(case.classes, (case.rows,), generator=generator, device=device)
    shape = (case.rows, case.classes)
    if case.name == "linear":
        weights = normal(case.classes, case.inner, scale=case.inner**-0.5)
        return {
            "x": normal(case.rows, case.inner),
            "W": weights,
            "b": normal(case.classes),
            "y": labels,
        }
    if case.name == "kl":
        return {"z": normal(*shape), "q": normal(*shape).detach().float().softmax(1).to(kind)}
    return {"z" if case.name == "focal" else "a": normal(*shape),
            "t" if case.name == "focal" else "y": labels}  # fmt: skip


def by_torch(case: Case, given: dict[str, Any]) -> Any:
    """The mean loss as PyTorch users write it."""
    import torch.nn.functional as F

    if case.name == "linear":
        return F.cross_entropy(F.linear(given["x"], given["W"], given["b"]), given["y"])
    if case.name == "kl":
        log_p = F.log_softmax(given["z"], 1)
        return F.kl_div(log_p, given["q"], reduction="batchmean")
    if case.name == "focal":
        log_p = F.log_softmax(given["z"], 1).gather(1, given["t"][:, None])[:, 0]
        return (-((1 - log_p.exp()) ** 2) * log_p).mean()
    return F.cross_entropy(given["a"], given["y"])


def trained(loss: Callable[[], Any], given: dict[str, Any]) -> Work:
    """Forward and backward: the loss, and new gradients of everything that has one."""
    import torch

    moved = [x for x in given.values() if x.requires_grad]

    def work() -> tuple[Any, tuple[Any, ...]]:
        value = loss()
        return value, torch.autograd.grad(value, moved)

    return work


def roof(case: Case, given: dict[str, Any]) -> Work:
    """A copy of the logits, and of what else has their size; for a linear head its products."""
    import torch

    plain = {key: x.detach() for key, x in given.items()}
    if case.name == "linear":
        x, weights = plain["x"], plain["W"]
        step = max(1, 2**29 // (case.classes * x.element_size()))

        def products() -> tuple[Any, tuple[Any, ...]]:
            total = torch.zeros_like(weights)
            slope = torch.empty_like(x)
            for first in range(0, case.rows, step):
                part = x[first : first + step]
                z = part @ weights.T
                torch.mm(z, weights, out=slope[first : first + step])
                total.addmm_(z.T, part)
            return None, (total,)

        return products
    wide = [x for x in plain.values() if x.ndim == 2]
    places = [torch.empty_like(x) for x in wide[:1]]

    def copy() -> tuple[Any, tuple[Any, ...]]:
        places[0].copy_(wide[0])
        for other in wide[1:]:
            other.amax()  # read once
        return None, ()

    return copy


COLUMNS = (
    ("median_ms", "ms", ".3f"),
    ("of_roof", "of roof", ".2f"),
    ("against_compile", "x compile", ".2f"),
    ("error", "error", ".0e"),
    ("peak_mib", "MiB", ".0f"),
)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text: a fraction of the roof of 1 cannot be beaten."""
    heads = ["case", "dtype", "peer", *(head for _, head, _ in COLUMNS), "note"]
    lines = [heads]
    for row in rows:
        cells = ["-" if row[key] is None else format(row[key], how) for key, _, how in COLUMNS]
        lines.append([row["case"], row["dtype"], row["peer"], *cells, row["note"]])
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 3 or at == len(heads) - 1 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
