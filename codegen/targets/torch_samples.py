"""Samples for the self-test of a generated PyTorch file, drawn inside the domains."""

from __future__ import annotations

from collections.abc import Mapping

from codegen.kernel import Input, Kernel
from codegen.targets.array_lines import tuple_of
from derive.loss import Domain

SIZES = {"N": 3, "K": 4, "D": 2}


def samples_of(
    kernel: Kernel, names: Mapping[str, str], domains: Mapping[str, Domain]
) -> list[tuple[str, str]]:
    """The name of each argument without a default, and the code that draws it."""
    return [
        (names[given.name], drawn(given, domains[given.name]))
        for given in kernel.inputs
        if given.default is None
    ]


def drawn(given: Input, domain: Domain, sizes: Mapping[str, int] = SIZES) -> str:
    """The code that draws an argument; `generator` and `drawn` are names in it."""

    def _size(name: str) -> int:
        return sizes.get(name, 3)

    axes = given.tensor.axes
    shape = tuple_of(str(_size(axis.name)) for axis in axes) if axes else "()"
    if given.tensor.label is not None:
        return f"torch.randint({_size(given.tensor.label.name)}, {shape}, generator=generator)"
    normal, uniform = f"torch.randn({shape}, **drawn)", f"torch.rand({shape}, **drawn)"
    if domain.kind == "simplex":
        return f"torch.softmax({normal}, -1)"
    if domain.kind == "binary":
        return f"torch.round({uniform})"
    if domain.kind == "sign":
        return f"2 * torch.round({uniform}) - 1"
    ends = (0, 1) if domain.kind == "unit" else (domain.lower, domain.upper)
    lower, upper = (None if end is None else float(end) for end in ends)
    if lower is not None and upper is not None:
        width = upper - lower
        return f"{lower + width / 20!r} + {width * 0.9!r} * {uniform}"
    if lower is not None:
        return f"{lower + 0.1!r} + 2 * {uniform}"
    return normal if upper is None else f"{upper - 0.1!r} - 2 * {uniform}"
