"""The passes of a loss under autograd: forward, backward, and backward through that.

The forward pass gives the loss, and keeps what the backward pass would compute again.  What only
some of the gradients need stands under the question whether they are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from codegen.kernel import Kernel, Statement, reads
from codegen.targets.array_expressions import lookup
from codegen.targets.array_lines import array_lines
from codegen.targets.autograd import Autograd
from codegen.targets.torch_dialect import TORCH

INDENT = "    "
WIDTH = 100 - 8  # inside a method


@dataclass(frozen=True)
class Pass:
    """A static method `forward`: its arguments, its lines, and what it returns."""

    arguments: tuple[str, ...]
    lines: tuple[str, ...]
    returned: tuple[str, ...]

    @property
    def head(self) -> str:
        """The signature, as the formatter would break it."""
        flat = f"def forward({', '.join(self.arguments)}):"
        if len(flat) <= 96:
            return flat
        inner = f"{INDENT * 2}{', '.join(self.arguments)}"
        if len(inner) > 100:
            inner = "\n".join(f"{INDENT * 2}{item}," for item in self.arguments)
        return f"def forward(\n{inner}\n{INDENT}):"


@dataclass(frozen=True)
class Passes:
    """The passes; `keys` are what there are gradients by, `saved` what forward keeps.

    `weights` is no pass but a function: what each sample weighs in the mean.
    """

    keys: tuple[str, ...]
    forward: Pass
    backward: Pass
    second: Pass | None
    saved: tuple[str, ...]
    directions: tuple[str, ...]
    weights: Pass | None = None

    @property
    def all(self) -> tuple[Pass, ...]:
        """Those that there are."""
        found = (self.forward, self.backward, self.second, self.weights)
        return tuple(one for one in found if one is not None)


def passes_of(kernel: Kernel, autograd: Autograd, names: Mapping[str, str]) -> Passes:
    """The passes; `names` says what each array is called."""
    whole = autograd.backward
    keys = tuple(key for key, _ in whole.outputs if key)
    first = whole.needed("").statements
    rest = [s for s in whole.needed(*keys).statements if s not in first]
    value = dict(whole.outputs)[""].tensor.name
    rest = [s for s in first if s.name == value and _is_read(value, rest)] + rest
    made = [s.name for s in first if s.name != value]
    saved = tuple(name for name in made if _is_read(name, rest))
    given = tuple(names[g.name] for g in kernel.inputs)
    kept = tuple(names[name] for name in saved)
    cotangent, directions = names[autograd.cotangent], tuple(names[v] for v in autograd.directions)
    forward = Pass(given, tuple(_lines(first, whole, names, ())), (names[value], *kept))
    slopes = tuple(names[e.tensor.name] for key, e in whole.outputs if key)
    backward = Pass(
        ("needs", cotangent, *given, *kept),
        tuple(_lines(rest, whole, names, keys)),
        slopes,
    )
    second = None
    if autograd.second is not None:
        outputs = tuple(names[e.tensor.name] for _, e in autograd.second.outputs)
        lines = _lines(autograd.second.statements, autograd.second, names, ("", *keys))
        second = Pass(("needs", cotangent, *given, *directions), tuple(lines), outputs)
    weights = _weights(kernel, names, given)
    return Passes(keys, forward, backward, second, kept, directions, weights)


def _weights(kernel: Kernel, names: Mapping[str, str], given: tuple[str, ...]) -> Pass | None:
    """What each sample weighs in the mean, where the loss says so."""
    part = kernel.weights
    if part is None:
        return None
    lines = list(_lines(part.statements, part, names, ()))
    value = names[part.outputs[0][1].tensor.name]
    if lines and lines[-1].startswith(f"{value} = "):
        value = lines.pop()[len(value) + 3 :]
    return Pass(given, tuple(lines), (value,))


def _is_read(name: str, statements: Sequence[Statement]) -> bool:
    return any(entry.tensor.name == name for s in statements for entry in reads(s))


def _lines(
    statements: Sequence[Statement], kernel: Kernel, names: Mapping[str, str], keys: Sequence[str]
) -> Iterator[str]:
    """The statements, under the questions which of the outputs `keys` are wanted."""
    known = dict(names)
    wanted = {s.name: _wanted(s.name, kernel, keys) for s in statements}
    lines: list[str] = []
    for key, group in groupby(statements, lambda s: wanted[s.name]):
        always = len(key) == len(keys)
        width = WIDTH - (0 if always else len(INDENT))
        made = array_lines(list(group), known, TORCH, width)
        if always:
            lines += made
        else:
            lines.append(f"if {' or '.join(f'needs[{k}]' for k in key)}:")
            lines += [INDENT + line for line in made]
    yield from _setup(kernel, names, lines)
    yield from lines


def _wanted(name: str, kernel: Kernel, keys: Sequence[str]) -> tuple[int, ...]:
    """The outputs, by place, that need the array."""
    return tuple(
        k for k, key in enumerate(keys) if name in {s.name for s in kernel.needed(key).statements}
    )


def _setup(kernel: Kernel, names: Mapping[str, str], lines: Sequence[str]) -> Iterator[str]:
    """The type, the device and the sizes, as far as the lines mention them."""
    lookups = list(_lookups(kernel, names, lines))
    words = _words("\n".join((*lookups, *lines)))
    numbers = next(g for g in kernel.inputs if g.tensor.label is None)
    found = [word for word in ("dtype", "device") if word in words]
    if found:
        values = ", ".join(f"{names[numbers.name]}.{word}" for word in found)
        yield f"{', '.join(found)} = {values}"
    seen: set[str] = set()
    for given in kernel.inputs:
        for place, axis in enumerate(given.tensor.axes):
            if axis.name in words and axis.name not in seen:
                yield f"{axis.name} = {names[given.name]}.shape[{place}]"
                seen.add(axis.name)
    yield from lookups


def _lookups(kernel: Kernel, names: Mapping[str, str], lines: Sequence[str]) -> Iterator[str]:
    """Labels that may be ignored, 0 in the place of those: for looking up, not comparing."""
    words = _words("\n".join(lines))
    for given in kernel.inputs:
        place = names.get(lookup(given.name))
        if place in words:
            label, size = names[given.name], given.tensor.label
            yield f"{place} = torch.where(({label} >= 0) & ({label} < {size}), {label}, 0)"


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
