"""What calls the Triton kernels: memory, chunks of rows, and the sums that PyTorch takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codegen.kernel import Contract, Kernel, Map, Reduce, reads
from codegen.schedule import Phase, Sum
from codegen.targets.triton_frame import Names, indent
from codegen.targets.triton_names import is_number, main_input
from codegen.targets.triton_plan import Plan, statements_of
from codegen.targets.triton_rows import Rows
from derive.index import Axis, Entry, Index


@dataclass(frozen=True)
class RowKernel:
    """A kernel in its two forms (with no loop, in one), and its parameters."""

    name: str
    parameters: str
    tile: tuple[str, ...]
    blocks: tuple[str, ...]


class Host:
    """The lines of the functions that compute some outputs of a kernel."""

    def __init__(self, stem: str, plan: Plan, names: Names) -> None:
        self.stem, self.plan, self.names = stem, plan, names
        self.kernel: Kernel = plan.schedule.kernel
        self.outputs = {entry.tensor.name: key for key, entry in self.kernel.outputs}
        self.kernels: list[RowKernel] = []
        self.added: list[str] = []
        self.once = [line for phase in plan.once for line in self._phase(phase)]
        rest = [phase for phase in plan.schedule.phases if phase not in plan.once]
        self.body = [line for phase in rest for line in self._phase(phase)]

    @property
    def main(self) -> str:
        """The argument that has the dtype and the device."""
        return self.names.arrays[main_input(self.kernel)]

    @property
    def consts(self) -> list[tuple[str, str]]:
        """The name and the dtype of each number."""
        numbers = [g for g in self.kernel.inputs if is_number(g)]
        return [
            (self.names.arrays[g.name], "torch.int64" if g.is_mark else "real") for g in numbers
        ]

    @property
    def results(self) -> list[str]:
        """The loss, then the gradients in order."""
        return [self.names.arrays[entry.tensor.name] for _, entry in self.kernel.outputs]

    @property
    def size(self) -> str:
        return self.names.axes[self.plan.batch.name]

    @property
    def given(self) -> list[str]:
        """The arguments by which there are gradients, in their order."""
        return [self.names.arrays[key] for key, _ in self.kernel.outputs if key]

    def arguments(self) -> list[str]:
        return [self.names.arrays[g.name] for g in self.kernel.inputs]

    def sizes(self) -> Iterator[str]:
        """A line for each axis, from the first argument that has it."""
        done: set[Axis] = set()
        for given in self.kernel.inputs:
            for place, axis in enumerate(given.tensor.axes):
                if axis not in done:
                    done.add(axis)
                    array = self.names.arrays[given.name]
                    yield f"{self.names.axes[axis.name]} = {array}.shape[{place}]"

    def steps(self) -> list[str]:
        """What is computed for some rows."""
        lines = list(self.sizes())
        if any("real" in line for line in self.body):
            lines.append(f"real = _real_dtype({self.main})")
        return [*lines, *self.body]

    def whole(self) -> list[str]:
        """Memory for the results, then chunks of rows."""
        batch = self.plan.batch
        size = self.names.axes[batch.name]
        lines = [*self.sizes(), f"real = _real_dtype({self.main})"]
        lines += [
            f"{name} = torch.full((), {name}, dtype={kind}, device={self.main}.device)"
            for name, kind in self.consts
        ]
        ended: list[str] = []
        for key, entry in self.kernel.outputs:
            name = self.names.arrays[entry.tensor.name]
            if not key:
                lines.append(f"{name} = {self.main}.new_empty({size}, dtype=real)")
            elif entry.tensor.name in self.added:
                given = self.names.arrays[key]
                lines.append(f"{name} = torch.zeros_like({given}, dtype=real)")
                ended.append(f"{name} = {name}.to({given}.dtype)")
            else:
                lines.append(f"{name} = torch.empty_like({self.names.arrays[key]})")
        passed = ", ".join(self._part(name) for name in self._passed())
        work = [
            *self.once,
            f"step = {self._step(size)}",
            f"for first in range(0, {size}, step):",
            "    at = slice(first, first + step)",
            f"    _{self.stem}_steps({passed})",
        ]
        if any("einsum(" in line for line in (*self.once, *self.body)):
            # Products are of the dtype of the arguments, inside of autocast too.
            head = f"with torch.autocast({self.main}.device.type, enabled=False):"
            work = [head, *indent(work)]
        return [*lines, *work, *ended]

    def parameters(self) -> list[str]:
        return [self.names.arrays.get(name, name) for name in self._passed()]

    def _passed(self) -> list[str]:
        outputs = [entry.tensor.name for _, entry in self.kernel.outputs]
        scale = ["scale"] if len(outputs) > 1 else []
        once = [s.name for phase in self.plan.once for s in statements_of(phase)]
        once = [name for name in once if self.plan.schedule.rooms[name] == "array"]
        return [*(g.name for g in self.kernel.inputs), *once, *outputs, *scale]

    def _part(self, name: str) -> str:
        """An argument of the steps: the rows of a chunk where it has rows."""
        axes = self.names.tensors.get(name, (self.plan.batch,))
        text = self.names.arrays.get(name, name)
        return f"{text}[at]" if axes[:1] == (self.plan.batch,) else text

    def _step(self, size: str) -> str:
        """How many rows a chunk has."""
        if not self.plan.schedule.chunked:
            return f"max(1, {size})"
        wide = [
            axes
            for name, axes in self.names.tensors.items()
            if self.plan.schedule.rooms.get(name) == "array" and len(axes) == 2
        ]
        widths = dict.fromkeys(self.names.axes[axes[1].name] for axes in wide)
        widest = next(iter(widths)) if len(widths) == 1 else f"max({', '.join(widths)})"
        return f"max(1, CHUNK_BYTES // ({widest} * {self.main}.element_size()))"

    # Phases

    def _phase(self, phase: Phase | Sum) -> Iterator[str]:
        if isinstance(phase, Sum):
            yield from self._sum(phase.statement)
        else:
            yield from self._rows(phase)

    def _sum(self, statement: Reduce | Contract) -> Iterator[str]:
        """A product of matrices, or a sum over the rows."""
        operands = statement.operands if isinstance(statement, Contract) else (statement.expr,)
        letters: dict[Index, str] = {}
        words = []
        for entry in operands:
            for index in entry.indices:
                letters.setdefault(index, "abcdefghijklmnop"[len(letters)])
            words.append("".join(letters[i] for i in entry.indices))
        result = "".join(letters[i] for i in statement.indices)
        texts = [self._operand(entry) for entry in operands]
        text = f'torch.einsum("{",".join(words)}->{result}", {", ".join(texts)})'
        if len(operands) == 1:
            text = f"{texts[0]}.sum(0)"
        name = self.names.arrays[statement.name]
        if statement.name not in self.outputs:
            yield f"{name} = {text}"
        elif any(i.axis == self.plan.batch for i in statement.over):
            self.added.append(statement.name)
            yield f"{name} += {text}"
        else:
            yield f"{name}[...] = {text}"

    def _operand(self, entry: Entry) -> str:
        """An array; numbers of rows in the dtype of the elements."""
        name = self.names.arrays[entry.tensor.name]
        is_input = entry.tensor.name in {g.name for g in self.kernel.inputs}
        return name if is_input else f"{name}.to({self.main}.dtype)"

    def _rows(self, phase: Phase) -> Iterator[str]:
        rows = Rows(phase, self.plan, self.names)
        number = len(self.kernels) + 1
        name = f"_{self.stem}_{number}"
        own = [s for loop in phase.loops for s in loop.statements]
        for statement in own:
            if statement.name in rows.stored and statement.name not in self.outputs:
                yield self._memory(statement)
        read = dict.fromkeys(
            e.tensor.name for s in own for e in _all_entries(s) if e.tensor.name not in rows.made
        )
        loss = self.results[0]
        arrays = [self.names.arrays[n] for n in (*read, *rows.stored)]
        scale = ["scale"] if rows.scaled else []
        pointers = list(dict.fromkeys([loss, *arrays, *scale]))
        axes = list(dict.fromkeys(i.axis.name for i in rows.letters))
        tile, blocks = rows.tile(), rows.stream() if rows.letters else []
        sizes = [n for n in self.names.axes.values() if _occurs(n, [*tile, *blocks])]
        fixed = [f"{n}: tl.constexpr" for n in ("HALF", "ROWS", *(f"BLOCK_{a}" for a in axes))]
        given = [*(f"{p}_ptr" for p in pointers), *(f"{p}_step" for p in scale), *sizes, *fixed]
        self.kernels.append(RowKernel(name, ", ".join(given), tuple(tile), tuple(blocks)))
        widths = _tuple(self.names.axes[a] for a in axes)
        yield f"tile, layout, options = _layout({self.main}, {widths})"
        chosen = f"{name}_tile if tile else {name}_blocks" if blocks else f"{name}_tile"
        yield f"kernel = {chosen}"
        values = [*pointers, *(f"{p}.stride(0)" for p in scale), *sizes, f"_is_half({self.main})"]
        yield f"grid = (triton.cdiv({rows.size}, layout[0]),)"
        yield f"wrap_triton(kernel)[grid]({', '.join(values)}, *layout, **options)"

    def _memory(self, statement: Map | Reduce) -> str:
        """Memory for an array of all rows: its own, or that of one that is read no longer."""
        name = self.names.arrays[statement.name]
        if statement.name in self.plan.over:
            return f"{name} = {self.names.arrays[self.plan.over[statement.name]]}"
        shape = [self.names.axes[i.axis.name] for i in statement.indices]
        kind = "real" if len(shape) < 2 else f"{self.main}.dtype"
        return f"{name} = {self.main}.new_empty({_tuple(shape)}, dtype={kind})"


def _occurs(name: str, lines: list[str]) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", "\n".join(lines)) is not None


def _tuple(items: Iterable[str]) -> str:
    parts = list(items)
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _all_entries(statement: Map | Reduce) -> Iterator[Entry]:
    """The entries that a statement reads, and the labels inside them."""
    for entry in reads(statement):
        yield entry
        yield from (i for i in entry.indices if isinstance(i, Entry))
