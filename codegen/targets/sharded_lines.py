"""The program of a rank as lines of an array library; the words for messages are helpers.

`_all_reduce(op, over, parts)` sends the parts as one message, `_held(x, numbers, starts)` reads
what the rank has of an array; `over_K` says over which ranks, `start_K` where the rank's part of
axis K begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.kernel import Input, Map, Statement, reads
from codegen.shard.program import AllReduce, Node, Program, Split, Step, apart, made_by
from codegen.targets.array_dialect import ArrayDialect, Hooks
from codegen.targets.array_expressions import Layout, entry, show
from codegen.targets.array_lines import WIDTH, array_lines, tuple_of
from derive.index import Axis, Entry, Index, Tensor

INDENT = "    "


@dataclass(frozen=True)
class Passes:
    """The lines of the loss and of the gradients, the arrays kept between the two, and results.

    `weight` is what each sample weighs in a mean; empty where all weigh the same.
    """

    forward: tuple[str, ...]
    backward: tuple[str, ...]
    kept: tuple[str, ...]
    value: str
    slopes: tuple[str, ...]
    weight: str


def passes_of(program: Program, names: dict[str, str], dialect: ArrayDialect) -> Passes:
    """The program in a dialect; `names` says what each array is called."""
    first, rest = program.steps[: program.forward], program.steps[program.forward :]
    made = [made_by(node).name for step in first for node in _nodes(step)]
    later = {name for step in rest for name in _read(step)}
    slopes = [entry.tensor.name for key, entry in program.outputs if key]
    kept = [name for name in made if name in later or name in slopes]
    value = dict(program.outputs)[""].tensor.name
    weight = "" if program.weight is None else names[program.weight.tensor.name]
    writer = _Writer(program.splits, names, _split_dialect(dialect, program.splits))
    return Passes(
        tuple(writer.lines(first)),
        tuple(writer.lines(rest)),
        tuple(names[name] for name in kept),
        names[value],
        tuple(names[name] for name in slopes),
        weight,
    )


def _split_dialect(dialect: ArrayDialect, splits: Sequence[Split]) -> ArrayDialect:
    """The dialect where a part of an axis counts from its start, and no label is at hand."""
    starts = {split.local.name: start(split) for split in splits}

    def ranged(axis: Axis, text: str) -> str:
        return f"{starts[axis.name]} + {text}" if axis.name in starts else text

    def placed(axis: Axis, text: str) -> str:
        return f"{text} - {starts[axis.name]}" if axis.name in starts else text

    reductions = {
        **dialect.reductions,
        "max": "_largest({}, {})",
        "min": "-_largest(-({}), {})",
    }
    hooks = Hooks(ranged=ranged, placed=placed)
    return replace(dialect, reductions=reductions, put="", added="", picked="", hooks=hooks)


def start(split: Split) -> str:
    """The name of the number of a rank's first entry of an axis."""
    return f"start_{split.axis.name}"


def over(split: Split) -> str:
    """The name of what says which ranks an axis is split over."""
    return f"over_{split.axis.name}"


def size(split: Split) -> str:
    """The name of the size of a whole axis, where parts of one size are more than it."""
    return f"size_{split.axis.name}"


def made_in(program: Program) -> Iterator[Tensor]:
    """The arrays that the steps define."""
    for step in program.steps:
        for node in _nodes(step):
            yield made_by(node)


def _nodes(step: Step) -> tuple[Node, ...]:
    return step.parts if isinstance(step, AllReduce) else (step,)


def _read(step: Step) -> Iterator[str]:
    if isinstance(step, AllReduce):
        for part in step.parts:
            yield part.source.tensor.name
            if part.value is not None:
                yield part.value.tensor.name
    else:
        yield from (entry.tensor.name for entry in reads(step))


@dataclass(frozen=True)
class _Writer:
    splits: tuple[Split, ...]
    names: dict[str, str]
    dialect: ArrayDialect

    def lines(self, steps: Sequence[Step]) -> Iterator[str]:
        """The steps, a line or more each; ranges of axes before they are first used."""
        known = dict(self.names)
        ranged: set[str] = set()
        for step in steps:
            if isinstance(step, AllReduce):
                yield from self._message(step)
                continue
            read = step.expr if isinstance(step, Map) else None
            if isinstance(read, Entry) and apart(read, self.splits):
                yield from self._held(step, read, ranged)
                continue
            for line in array_lines((step,), known, self.dialect):
                if line not in ranged:
                    yield line
                if line.startswith("index_"):
                    ranged.add(line)

    def _message(self, step: AllReduce) -> Iterator[str]:
        if step.op == "argmax":
            for part in step.parts:
                assert part.value is not None
                given = (part.value.tensor.name, part.source.tensor.name)
                texts = [self.names[name] for name in given]
                size, local = part.split.axis.name, part.split.local.name
                call = f"_all_argmax({over(step.split)}, {', '.join(texts)}, {size}, {local} > 0)"
                yield f"{self.names[part.name]} = {call}"
            return
        sent = [self.names[part.source.tensor.name] for part in step.parts]
        results = [self.names[part.name] for part in step.parts]
        call = f'_all_reduce("{step.op}", {over(step.split)}, '
        yield from folded_assignment(results, call, sent)

    def _held(self, step: Statement, read: Entry, ranged: set[str]) -> Iterator[str]:
        at = Layout(self.dialect, step.indices, self.names, set())
        numbers = [_number(index, at) for index in read.indices]
        parts = {split.local: start(split) for split in self.splits}
        starts = [parts.get(axis, "0") for axis in read.tensor.axes]
        for axis in sorted(at.ranges):
            local = next((s for s in self.splits if s.local.name == axis), None)
            text = self.dialect.range.format(axis)
            line = f"index_{axis} = {f'{start(local)} + {text}' if local else text}"
            if line not in ranged:
                yield line
                ranged.add(line)
        array = self.names[read.tensor.name]
        numbers_text, starts_text = tuple_of(numbers), tuple_of(starts)
        yield f"{self.names[step.name]} = _held({array}, {numbers_text}, {starts_text})"


def _number(index: object, at: Layout) -> str:
    if isinstance(index, Index):
        return show(index, at)
    assert isinstance(index, Entry)
    return entry(index, at)


def folded_assignment(results: Sequence[str], call: str, items: Sequence[str]) -> list[str]:
    """`results = call(items)` as the formatter would break it."""
    left = tuple_of(results) if len(results) == 1 else ", ".join(results)
    flat = f"{left} = {call}{tuple_of(items)})"
    if len(flat) <= WIDTH:
        return [flat]
    lines = [f"sent = {tuple_of(items)}"]
    if len(lines[0]) > WIDTH:
        lines = ["sent = (", *(f"{INDENT}{item}," for item in items), ")"]
    left = f"{left} = "
    if len(left) + len(call) + 5 <= WIDTH:
        return [*lines, f"{left}{call}sent)"]
    return [*lines, "(", *(f"{INDENT}{name}," for name in results), f") = {call}sent)"]


def folded(opening: str, items: Sequence[str], closing: str, margin: str) -> str:
    """A list of arguments as the formatter would break it, `margin` before what is inside."""
    flat = f"{opening}{', '.join(items)}{closing}"
    if len(margin) - 4 + len(flat) <= 100:
        return flat
    inner = f"{margin}{', '.join(items)}"
    if len(inner) > 100:
        inner = "\n".join(f"{margin}{item}," for item in items)
    return f"{opening}\n{inner}\n{margin[4:]}{closing}"


def sizes_of(
    inputs: Sequence[Input], names: Mapping[str, str], lines: Sequence[str], known: Iterable[str]
) -> Iterator[str]:
    """What lines mention and the arguments tell: type, device, and sizes but those `known`."""
    words = _words("\n".join(lines))
    numbers = next(g for g in inputs if g.tensor.label is None)
    for word in ("dtype", "device"):
        if word in words:
            yield f"{word} = {names[numbers.name]}.{word}"
    seen = set(known)
    for given in inputs:
        for place, axis in enumerate(given.tensor.axes):
            if axis.name in words and axis.name not in seen:
                yield f"{axis.name} = {names[given.name]}.shape[{place}]"
                seen.add(axis.name)


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
