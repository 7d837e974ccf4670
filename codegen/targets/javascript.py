"""The JavaScript target: an ES module of pure functions on Float64Array, which stands alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.compile import cached_file
from codegen.emit import render
from codegen.kernel import Input, Kernel
from codegen.schedule import in_place, schedule, tensors_of
from codegen.targets.facts import Facts
from codegen.targets.javascript_binding import bound
from codegen.targets.javascript_dialect import helpers
from codegen.targets.javascript_frame import Frame
from codegen.targets.javascript_lines import phase_lines
from codegen.targets.javascript_names import keys_of, local_names, module_names
from codegen.targets.javascript_node import PROGRAMS, REMEDY, find_node
from codegen.targets.numpy import SUMMARIES
from codegen.targets.target import Functions, Target

# What each function returns, and which part that is of what is computed.
RETURNS = {
    "": ("{}", ".loss"),
    "_gradient": ("Gradients", ".gradients"),
    "_value_and_gradient": ("{{loss: {}, gradients: Gradients}}", ""),
    "_weight": ("{}", ""),
}


@dataclass(frozen=True)
class Function:
    """A function of the module, and the one that computes for it: its name, and its lines where
    they do not stand in another."""

    name: str
    suffix: str
    summary: str
    returns: str
    part: str
    run: str
    keys: str
    parameters: str
    lines: tuple[str, ...]


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> dict[str, str]:
    """The module."""
    axes, names = keys_of(kernel)
    keys = tuple(key for key, _ in kernel.outputs if key)
    functions = [_function(kernel, "", ("",))]
    if keys:
        whole = _function(kernel, "_value_and_gradient", ("", *keys))
        functions += [_part(kernel, "_gradient", whole), whole]
    shapes = {key: [axes[a.name] for a in entry.tensor.axes] for key, entry in kernel.outputs}
    shared = [names[key] for key, _ in in_place(schedule(kernel))]
    weights = None if kernel.weights is None else _function(kernel.weights, "_weight", ("",))
    run = [*functions, *([weights] if weights else [])]
    always = ("lost", "total") if kernel.batch is not None else ()
    text = render(
        "javascript.mjs.j2",
        facts=_plain(facts),
        properties=_properties(kernel, facts),
        gradients=[(names[key], f"({', '.join(shapes[key])})") for key in keys],
        arguments=[_argument(given, axes, names) for given in kernel.inputs],
        loss_axes=json.dumps(shapes[""]),
        gradient_axes=[f"{names[key]}: {json.dumps(shapes[key])}," for key in keys],
        in_place=shared,
        in_place_list=json.dumps(shared),
        axis_list=", ".join(f"{axis}: undefined" for axis in axes.values()),
        functions=functions,
        weights=weights,
        run_functions=run,
        marks=[given for given in kernel.inputs if given.is_mark],
        ignored=any(given.ignored for given in kernel.inputs),
        filled=any(given.default is not None and given.tensor.axes for given in kernel.inputs),
        batched=kernel.batch is not None,
        batch=axes[kernel.batch.name] if kernel.batch is not None else "",
        has_labels=any(given.tensor.label for given in kernel.inputs),
        helpers=helpers((line for f in run for line in f.lines), always).strip("\n"),
    )
    return {f"{kernel.name}.mjs": text}


def _function(kernel: Kernel, suffix: str, keys: tuple[str, ...]) -> Function:
    axes, given_names = keys_of(kernel)
    plan = schedule(kernel.needed(*keys))
    tensors = tensors_of(plan.kernel)
    outputs = {entry.tensor.name: key for key, entry in plan.kernel.outputs if key in keys}
    letters, names = local_names(plan, outputs, set(axes.values()))
    scaled = frozenset(name for name, key in outputs.items() if key)
    frame = Frame(plan, names, letters, axes, scaled, tensors)
    lines = [
        f"const {names[name]} = new Float64Array({frame.size(tensors[name])});"
        for name, room in plan.rooms.items()
        if room == "array"
    ]
    lines += [line for phase in plan.phases for line in phase_lines(phase, frame)]
    results = sorted(outputs, key=lambda name: keys.index(outputs[name]))
    own = [names[name] for name in (*(g.name for g in kernel.inputs), *results)]
    number = "number" if kernel.batch is None else "Float64Array | number"
    returns, part = RETURNS[suffix]
    return Function(
        module_names(kernel.name)[suffix],
        suffix,
        SUMMARIES.get(suffix, "What each sample weighs in the mean."),
        returns.format(number),
        part,
        f"_run{suffix}",
        json.dumps([given_names[key] for key in keys if key]),
        ", ".join([*axes.values(), *own, *(["scale"] if scaled else [])]),
        tuple(lines),
    )


def _part(kernel: Kernel, suffix: str, whole: Function) -> Function:
    """The function that returns a part of what another computes."""
    returns, part = RETURNS[suffix]
    name, summary = module_names(kernel.name)[suffix], SUMMARIES[suffix]
    return replace(
        whole, name=name, suffix=suffix, summary=summary, returns=returns, part=part, lines=()
    )


def _argument(given: Input, axes: Mapping[str, str], names: Mapping[str, str]) -> str:
    """A line of the table of arguments."""
    parts = [f"axes: {json.dumps([axes[a.name] for a in given.tensor.axes])}"]
    if given.is_mark:
        parts.append("integer: true")
    elif given.tensor.label is not None:
        parts.append(f"label: {json.dumps(axes[given.tensor.label.name])}")
    if given.ignored is not None:
        parts.append(f"ignored: {json.dumps(names[given.ignored.name])}")
    if given.default is not None:
        what = "fill" if given.tensor.axes else "value"
        parts.append(f"{what}: {_number(given)}")
    return f"{names[given.name]}: {{ {', '.join(parts)} }},"


def _number(given: Input) -> str:
    """The default of a const, or of each of its entries."""
    assert given.default is not None
    return str(given.default) if given.is_mark else repr(float(given.default))


def _properties(kernel: Kernel, facts: Facts) -> list[tuple[str, str, str]]:
    """(type, name, text) of each argument, for the comment that editors read."""
    axes, names = keys_of(kernel)
    found = []
    for given, said in zip(kernel.inputs, facts.arguments, strict=True):
        kind = "number"
        if given.tensor.axes:
            kind = "Int32Array | number[]" if given.tensor.label else "Float64Array"
        name = names[given.name]
        if given.default is not None:
            name = f"[{name}]" if given.tensor.axes else f"[{name}={_number(given)}]"
        found.append((kind, name, _clean(said.partition(": ")[2])))
    size = "its size; may be left out where it follows from the lengths"
    return [*found, *(("number", f"[{axis}]", size) for axis in axes.values())]


def _plain(facts: Facts) -> Facts:
    """The facts in JavaScript's words, unable to end the comment or the script they stand in."""
    notes = (re.sub(r'(\w+)="(\w+)"', r'\1: "\2"', note) for note in facts.notes)
    return replace(
        facts,
        title=_folded(facts.title),
        source=_folded(facts.source),
        definitions=_cleaned(facts.definitions),
        gradients=_cleaned(facts.gradients),
        notes=_cleaned([note.replace("on_empty", "onEmpty") for note in notes]),
    )


def _cleaned(lines: Sequence[str]) -> tuple[str, ...]:
    """Each of the lines; a text of several gives several."""
    return tuple(_clean(line) for text in lines for line in text.split("\n"))


def _folded(text: str) -> str:
    return "\n * ".join(_clean(line) for line in text.split("\n"))


def _clean(line: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in line).replace("*/", "* /")
    return re.sub(r"<(?=/|!|\s*script)", "< ", plain, flags=re.IGNORECASE)


def load(files: Mapping[str, str], kernel: Kernel) -> Functions:
    """Functions that let Node run the module, from the cache of the user's."""
    find_node()
    path = cached_file(f"javascript_{kernel.name}", ".mjs", files[f"{kernel.name}.mjs"])
    return bound(kernel, path)


TARGET = Target(
    "javascript",
    "JavaScript: an ES module of pure functions on Float64Array",
    emit,
    load,
    programs=PROGRAMS[:1],
    remedy=REMEDY,
    dtypes=("float64",),
    compensates=True,
)
