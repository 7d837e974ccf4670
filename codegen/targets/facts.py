"""What a generated file says about itself: the docstring, the same for every target."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Expr

from codegen.kernel import Kernel
from derive.index import Entry
from derive.loss import Declaration, Domain, Loss
from derive.printing import language

DOMAINS = {
    "simplex": "each >= 0, sum 1",
    "unit": "from 0 to 1",
    "binary": "0 or 1",
    "sign": "-1 or 1",
}


@dataclass(frozen=True)
class Facts:
    """The lines of a generated file's docstring, by section, and the domains of the arguments."""

    title: str
    source: str
    definitions: tuple[str, ...]
    gradients: tuple[str, ...]
    arguments: tuple[str, ...]
    notes: tuple[str, ...]
    dtypes: str = "float32 and float64"
    domains: Mapping[str, Domain] = field(default_factory=dict)


def facts(
    loss: Loss,
    gradients: Sequence[tuple[Entry, Expr]],
    kernel: Kernel,
    notes: tuple[str, ...] = (),
    dtypes: Sequence[str] = ("float32", "float64"),
) -> Facts:
    """The facts of a loss as it was written and derived, and of the kernel's arrays."""
    return Facts(
        quoted(loss.title.rstrip(".")),
        quoted(loss.source.rstrip(".")),
        _definitions(loss),
        tuple(
            wrapped(f"d{loss.value.name}/d{language(wrt, loss)} = {language(result, loss)}")
            for wrt, result in gradients
        ),
        tuple(_argument(kernel, loss.declared[given.name]) for given in kernel.inputs),
        (*notes, *_reductions(kernel, loss)),
        " and ".join(dtypes),
        {given.name: loss.declared[given.name].domain for given in kernel.inputs},
    )


def _definitions(loss: Loss) -> tuple[str, ...]:
    """The definitions as the author wrote them; printed, where the loss was transformed."""
    written = _as_written(loss.text)
    lines: list[str] = []
    for d in loss.definitions:
        printed = wrapped(f"{language(d.entry, loss)} = {language(d.body, loss)}")
        text = written.get(d.name, printed)
        lines += (text if max(map(len, text.splitlines())) <= 96 else wrapped(text)).splitlines()
    return tuple(lines)


def _as_written(text: str) -> dict[str, str]:
    """The text of each definition of a .loss text, by name."""
    found = {}
    for statement in ast.parse(text).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.annotation, ast.Call):
            target = statement.target
        if target is not None:
            names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
            found[names[0]] = ast.get_source_segment(text, statement) or ""
    # A comment, a continued line: nothing that could end the comment it would stand in.
    return {name: line for name, line in found.items() if not set(line) & set("#\"'\\")}


def quoted(text: str) -> str:
    """The user's words, unable to end the docstring or the C comment they stand in."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    for found, instead in (("\\", "/"), ('"', "'"), ("*/", "* /"), ("??", "? ?")):
        printable = printable.replace(found, instead)
    return textwrap.fill(printable, 96)


def wrapped(text: str) -> str:
    """A line of a docstring, folded where it is long."""
    return textwrap.fill(text, 92, subsequent_indent=" " * 8, break_long_words=False)


def _argument(kernel: Kernel, declaration: Declaration) -> str:
    given = next(x for x in kernel.inputs if x.name == declaration.name)
    axes = [axis.name for axis in given.tensor.axes]
    shape = f"({axes[0]},)" if len(axes) == 1 else f"({', '.join(axes)})"
    text = f"{given.name}: {given.role} {shape if axes else 'scalar'}"
    if given.is_mark:
        return f"{text}, an integer: the label that is ignored"
    if given.tensor.label is not None:
        besides = f", or {given.ignored.name}" if given.ignored else ""
        return f"{text}, integer labels, 0 <= label < {given.tensor.label}{besides}"
    domain = declaration.domain
    if domain.kind in DOMAINS:
        text += f", {DOMAINS[domain.kind]}"
    if domain.lower is not None and domain.kind == "real":
        text += f", {'>' if domain.lower_open else '>='} {domain.lower}"
    if domain.upper is not None and domain.kind == "real":
        text += f", {'<' if domain.upper_open else '<='} {domain.upper}"
    return f"{text}, {given.default} each by default" if axes and given.default else text


def _reductions(kernel: Kernel, loss: Loss) -> tuple[str, ...]:
    if kernel.batch is None:
        return ()
    shared = [key for key, e in kernel.outputs if key and kernel.batch not in e.tensor.axes]
    lines = [
        'reduction="none" gives the loss of each sample, (N,); "sum" and "mean" a scalar.',
        *_mean(loss),
    ]
    if shared:
        lines.append(f"Gradients by {', '.join(shared)} are summed over the samples.")
    return tuple(lines)


def _mean(loss: Loss) -> tuple[str, ...]:
    if loss.weight is None:
        return (
            '"mean" divides the loss and every gradient by N.  An empty batch gives a mean of NaN,',
            'or 0 with on_empty="zero".',
        )
    text = (
        f'"mean" divides the loss and every gradient by the sum of {language(loss.weight, loss)} '
        "over the samples.  Where that sum is 0, as for an empty batch or one whose labels are all "
        'ignored, the mean is NaN, or 0 with on_empty="zero", and every gradient is 0.'
    )
    return tuple(textwrap.wrap(text, 92, break_long_words=False))
