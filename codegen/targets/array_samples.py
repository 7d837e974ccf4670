"""Arguments for the self-test of a generated file, drawn inside the domains by NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from codegen.kernel import Input
from codegen.targets.array_lines import tuple_of
from derive.loss import Domain

OTHER = 3  # entries of an axis of which nothing is said


def samples_of(
    inputs: Sequence[Input],
    names: Mapping[str, str],
    domains: Mapping[str, Domain],
    sizes: Mapping[str, int],
) -> Iterator[str]:
    """A line of a dictionary for each argument, but for arrays with a default.

    `random` is a generator of NumPy's.
    """
    for given in inputs:
        if given.default is not None and given.tensor.axes:
            continue
        if given.default is not None:
            text = str(given.default) if given.is_mark else repr(float(given.default))
        else:
            text = drawn(given, domains[given.name], sizes)
        yield f'"{names[given.name]}": {text},'


def drawn(given: Input, domain: Domain, sizes: Mapping[str, int]) -> str:
    """The code that draws an argument."""
    shape = tuple_of(str(sizes.get(axis.name, OTHER)) for axis in given.tensor.axes)
    shape = shape if given.tensor.axes else "()"
    if given.tensor.label is not None:
        return f"random.integers(0, {sizes.get(given.tensor.label.name, OTHER)}, {shape})"
    if domain.kind == "simplex":
        last = sizes.get(given.tensor.axes[-1].name, OTHER)
        rest = tuple_of(str(sizes.get(axis.name, OTHER)) for axis in given.tensor.axes[:-1])
        rest = rest if given.tensor.axes[:-1] else "()"
        return f"random.dirichlet([5.0] * {last}, {rest})"
    if domain.kind in ("binary", "sign"):
        return f"random.choice([{-1.0 if domain.kind == 'sign' else 0.0}, 1.0], {shape})"
    lower, upper = _ends(domain)
    if lower is None and upper is None:
        return f"random.normal(size={shape})"
    lower = (upper or 0.0) - 2 if lower is None else lower
    upper = lower + 2 if upper is None else upper
    edge = (upper - lower) / 20
    return f"random.uniform({lower + edge!r}, {upper - edge!r}, {shape})"


def _ends(domain: Domain) -> tuple[float | None, float | None]:
    ends = (0, 1) if domain.kind == "unit" else (domain.lower, domain.upper)
    lower, upper = (None if end is None else float(end) for end in ends)
    return lower, upper
