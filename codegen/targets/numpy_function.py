"""One function of a generated NumPy module: its lines, as they are printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from codegen.kernel import Kernel, Map, Statement, trees
from codegen.targets.array_expressions import Layout, lookup
from codegen.targets.array_lines import WIDTH, tuple_of
from codegen.targets.numpy_blocks import Blocks, blocks_of, without_gathered
from codegen.targets.numpy_dialect import NUMPY
from codegen.targets.numpy_direct import last_written, line_into, picked_once
from codegen.targets.numpy_exponentials import Call, unshifted
from codegen.targets.numpy_lines import fitted, lines_of
from codegen.targets.numpy_logistic import shared_logistic
from derive.index import Entry

INDENT = "    "
WEIGHTS = "lambda: _weights(given, dtype, sizes)"


@dataclass(frozen=True)
class Function:
    """A function as the template sees it: `setup` checks and unpacks, `lines` compute."""

    signature: str
    summary: str
    setup: tuple[str, ...]
    lines: tuple[str, ...]
    loss: bool
    gradients: bool
    value: str


@dataclass
class Writing:
    """A function while it is written: names, and the axes whose ranges turned out needed.

    The array `direct` is computed into the result `key`.  Without `scaled` no gradient is
    divided by anything: there is no reduction.
    """

    part: Kernel
    names: dict[str, str]
    scaled: bool = True
    ranges: set[str] = field(default_factory=set)
    direct: str | None = None
    key: str = ""

    @property
    def given(self) -> set[str]:
        """The arrays that are not ours to change."""
        names = {g.name for g in self.part.inputs}
        return names | {e.tensor.name for _, e in self.part.outputs}

    def fresh(self, name: str) -> str:
        """A name that no array has yet."""
        while name in self.names or name in self.names.values():
            name += "_"
        self.names[name] = name
        return name

    def lines(self, statements: Sequence[Statement | Call]) -> list[str]:
        """The statements as NumPy, after the ranges that they use."""
        self.ranges.clear()
        fit = fitted(statements, self.names)
        lines: list[str] = []
        for k, one in enumerate(fit):
            kept = _used(fit[k + 1 :]) | self.given
            line = self.direct_line(one)
            fits = 0 < len(line) <= WIDTH
            lines += [line] if fits else lines_of(one, self.names, self.ranges, kept)
        ranges = [f"index_{axis} = np.arange({axis})" for axis in sorted(self.ranges)]
        return [*ranges, *self.lookups(lines), *lines]

    def lookups(self, lines: Sequence[str]) -> Iterator[str]:
        """Labels that may be ignored, 0 in the place of those: for looking up, not comparing."""
        for given in self.part.inputs:
            place = self.names.get(lookup(given.name))
            if place is not None and _mentions(lines, place):
                label, size = self.names[given.name], given.tensor.label
                yield f"{place} = np.where(({label} >= 0) & ({label} < {size}), {label}, 0)"

    def direct_line(self, statement: Statement | Call) -> str:
        """The line for the statement that is computed into a result."""
        if isinstance(statement, Map) and statement.name == self.direct:
            return line_into(
                statement, Layout(NUMPY, statement.indices, self.names, self.ranges), self.key
            )
        return ""

    def keys(self, names: frozenset[str]) -> list[tuple[str, Entry]]:
        """The outputs among these arrays."""
        return [(key, e) for key, e in self.part.outputs if e.tensor.name in names]


def function(
    kernel: Kernel,
    names: dict[str, str],
    head: str,
    summary: str,
    keys: Sequence[str],
    scaled: bool = True,
) -> Function:
    """The function that gives these outputs, the gradients scaled as the loss is reduced."""
    part = kernel.needed(*keys)
    outputs = frozenset(entry.tensor.name for _, entry in part.outputs)
    to = _writing(part, names, scaled)
    statements = without_gathered(unshifted(part.statements, outputs, to.fresh), part)
    statements = shared_logistic(statements, part, to.fresh)
    if part.batch is not None:
        statements = picked_once(statements, part, to.fresh)
    blocks = blocks_of(part, statements)
    inside: list[str] = []
    if blocks is None:
        lines = [*to.lines(statements), *_stores(to, outputs)]
    else:
        inside = _inside(to, blocks)
        lines = _around(to, statements, blocks, inside)
    size = ""
    if part.batch is not None:
        size = f'sizes["{part.batch.name}"]' if kernel.weight is None else WEIGHTS
    setup = _setup(to, statements, keys, lines, inside, size)
    value = 'results.pop("")'
    empty = ", on_empty" if kernel.weight is not None else ""
    reduced = f"_reduce({value}, reduction, divisor{empty})"
    value = reduced if part.batch is not None else f"{value}[()]"
    return Function(head, summary, tuple(setup), tuple(lines), "" in keys, any(keys), value)


def _writing(part: Kernel, names: dict[str, str], scaled: bool = True) -> Writing:
    """A function to be written, with names for labels that are looked up."""
    to = Writing(part, dict(names), scaled)
    for given in part.inputs:
        if given.ignored is not None:
            to.names[lookup(given.name)] = to.fresh(f"{names[given.name]}_at")
    return to


def weights_function(kernel: Kernel, names: dict[str, str]) -> tuple[Function, ...]:
    """The function for what each sample weighs in the mean, where the loss says so."""
    part = kernel.weights
    if part is None or part.batch is None:
        return ()
    to = _writing(part, names)
    lines = to.lines(part.statements)
    used = {name for name in _used(part.statements) if name in names}
    arrays = [names[g.name] if g.name in used else "_" for g in part.inputs]
    setup = [f"{tuple_of(arrays) if len(arrays) == 1 else ', '.join(arrays)} = given"]
    for axis in sorted({a.name for g in part.inputs for a in g.tensor.axes}):
        if _mentions(lines, axis):
            setup.append(f'{axis} = sizes["{axis}"]')
    value = names[part.outputs[0][1].tensor.name]
    if lines[-1].startswith(f"{value} = "):
        value = lines.pop()[len(value) + 3 :]
    head = "def _weights(given, dtype, sizes):"
    summary = "What each sample weighs in the mean."
    return (Function(head, summary, tuple(setup), tuple(lines), True, False, value),)


def _inside(to: Writing, blocks: Blocks) -> list[str]:
    """The lines for one block of samples."""
    ordered, to.direct, to.key = last_written(blocks.inside, to.part)
    lines = to.lines(ordered)
    rows = frozenset(e.tensor.name for _, e in to.part.outputs if to.part.batch in e.tensor.axes)
    for key, entry in to.keys(rows):
        if len(entry.tensor.axes) == 2:
            value = to.names[entry.tensor.name]
            divisor = ", divisor" if to.scaled else ""
            lines.append(f'_put(results["{key}"], rows, {value}{divisor})')
        else:
            lines.append(f'results["{key}"][rows] = {_scaled(to, key, entry)}')
    for key, entry in to.keys(frozenset(blocks.added)):
        lines.append(f'results["{key}"] += {to.names[entry.tensor.name]}')
    return lines


def _around(
    to: Writing, statements: Sequence[Statement | Call], blocks: Blocks, inside: list[str]
) -> list[str]:
    """The loop over the blocks, with what comes before and after it."""
    part, batch, used = to.part, to.part.batch, _used(statements)
    assert batch is not None
    given = [g.name for g in part.inputs if batch in g.tensor.axes]
    arrays = [to.names[name] for name in given if name in used or name == given[0]]
    sizes = [" * ".join(axis.name for axis in axes) for axes in blocks.row]
    size = f"max({', '.join(sizes)})" if len(sizes) > 1 else "".join(sizes)
    factors = [str(blocks.made), size, "dtype.itemsize"]
    size = " * ".join(factor for factor in factors if factor not in ("", "1"))
    least = f", least={blocks.least}" if blocks.least > 1 else ""
    sums = to.keys(frozenset(blocks.added))
    lines = [f'results["{key}"].fill(0)' for key, _ in sums]
    lines += to.lines(blocks.before)
    lines.append(f"blocks = _blocks({size}, {', '.join(arrays)}{least})")
    lines.append(f"for {', '.join(('rows', *arrays))} in blocks:")
    if _mentions(inside, batch.name):
        lines.append(f"{INDENT}{batch.name} = len({arrays[0]})")
    lines += [INDENT + line for line in inside]
    for key, _ in sums:
        lines.append(f'results["{key}"][...] = _scale(results["{key}"], divisor)')
    done = {*blocks.added, *(e.tensor.name for _, e in part.outputs if batch in e.tensor.axes)}
    return lines + _stores(to, frozenset(e.tensor.name for _, e in part.outputs) - done)


def _stores(to: Writing, names: frozenset[str]) -> list[str]:
    """The lines that put what was computed at once into the results."""
    return [f'results["{key}"][...] = {_scaled(to, key, e)}' for key, e in to.keys(names)]


def _scaled(to: Writing, key: str, entry: Entry) -> str:
    value = to.names[entry.tensor.name]
    scaled = key and to.part.batch is not None and to.scaled
    return f"_scale({value}, divisor)" if scaled else value


def _setup(
    to: Writing,
    statements: Sequence[Statement | Call],
    keys: Sequence[str],
    lines: Sequence[str],
    inside: Sequence[str],
    size: str,
) -> list[str]:
    """The lines that check the arguments, and give arrays, sizes and memory for the results."""
    names, part, used = to.names, to.part, _used(statements)
    shown = {name for name in used if name in names} | _looped(to, inside)
    arrays = [names[g.name] if g.name in shown else "_" for g in part.inputs]
    given = [f"{names[g.name]}={names[g.name]}" for g in part.inputs]
    setup = [call_of("given, dtype, sizes = _prepare(", given)]
    if set(arrays) != {"_"}:
        setup.append(f"{tuple_of(arrays) if len(arrays) == 1 else ', '.join(arrays)} = given")
    batch = part.batch.name if part.batch else ""
    outside = lines if not inside else [line for line in lines if not line.startswith(INDENT)]
    for axis in sorted({a.name for g in part.inputs for a in g.tensor.axes}):
        if _mentions(outside if axis == batch else lines, axis):
            setup.append(f'{axis} = sizes["{axis}"]')
    if batch:
        setup.append(f"divisor = _divisor({size}, reduction, on_empty)")
    wanted = tuple_of(f'"{key}"' for key in keys)
    setup.append(f"results = _results({wanted}, given, dtype, sizes, out)")
    return setup


def _looped(to: Writing, inside: Sequence[str]) -> set[str]:
    """The argument that says how many samples there are."""
    batch = to.part.batch
    return {next(g.name for g in to.part.inputs if batch in g.tensor.axes)} if inside else set()


def call_of(opening: str, items: Sequence[str]) -> str:
    """A call in a function; a long one as the formatter would break it."""
    flat = f"{opening}{', '.join(items)})"
    if len(flat) <= 96:
        return flat
    inner = f"{INDENT * 2}{', '.join(items)}"
    if len(inner) > 100:
        inner = "\n".join(f"{INDENT * 2}{item}," for item in items)
    return f"{opening}\n{inner}\n{INDENT})"


def _used(statements: Sequence[Statement | Call]) -> set[str]:
    """The names of the arrays that are read."""
    found: set[str] = set()
    for s in statements:
        read = s.arguments if isinstance(s, Call) else trees(s)
        found |= {e.tensor.name for tree in read for e in tree.atoms(Entry)}
    return found


def _mentions(lines: Sequence[str], name: str) -> bool:
    text = "".join(c if c.isalnum() or c == "_" else " " for c in "\n".join(lines))
    return name in text.split()
