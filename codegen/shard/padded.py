"""Parts of one size where the whole does not divide: the last entries belong to nobody.

Parts begin at multiples of their size, and an entry counts where its number is below the size of
the whole.  The others hold anything, NaN too: a reduction over a part takes its neutral element
in their place, and in results they are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sympy import Expr, Integer, oo

from codegen.kernel import Contract, Map, Reduce
from codegen.lower.names import unique
from codegen.shard.program import AllReduce, Program, Step, made_by
from derive.index import Axis, Choice, Condition, Entry, Index, free_indices

NEUTRAL: Mapping[str, Expr] = {
    "sum": Integer(0),
    "prod": Integer(1),
    "max": -oo,
    "argmax": -oo,
    "min": oo,
}


def padded(program: Program) -> Program:
    """The program of a rank whose part may hold entries beyond the end of the whole."""
    to = _Padding(program, {g.name for g in program.inputs} | set(_names(program)))
    forward = [new for step in program.steps[: program.forward] for new in to.masked(step)]
    first = "" if program.weight is None else program.weight.tensor.name
    results: dict[str, Entry] = {}
    for key, entry in program.outputs:
        if not key or entry.tensor.name == first:
            results[entry.tensor.name] = to.result(entry, forward)
    weight = program.weight
    if weight is not None:
        weight = results.get(first) or to.result(weight, forward)
    later = [new for step in program.steps[program.forward :] for new in to.masked(step)]
    outputs = []
    for key, entry in program.outputs:
        name = entry.tensor.name
        outputs.append((key, results[name] if name in results else to.result(entry, later)))
    return replace(
        program,
        steps=(*forward, *later),
        forward=len(forward),
        outputs=tuple(outputs),
        weight=weight,
    )


def _names(program: Program) -> Iterator[str]:
    for step in program.steps:
        yield from (p.name for p in step.parts) if isinstance(step, AllReduce) else (step.name,)


@dataclass(frozen=True)
class _Padding:
    program: Program
    taken: set[str]

    def masked(self, step: Step) -> Iterator[Step]:
        """The step with nothing of the padding in what it reduces."""
        if isinstance(step, Reduce):
            yield replace(step, expr=self._inside(step.over, step.expr, NEUTRAL[step.op]))
        elif isinstance(step, Contract):
            operands = []
            for operand in step.operands:
                inside = [i for i in step.over if i in operand.indices and self._whole(i)]
                if inside:
                    made = self._map(operand, inside)
                    yield made
                    operand = Entry(made_by(made), *made.indices)
                operands.append(operand)
            yield replace(step, operands=tuple(operands))
        else:
            yield step

    def result(self, entry: Entry, steps: list[Step]) -> Entry:
        """The result as an array with 0 for what is padding; the step that makes it is added."""
        indices = tuple(Index(f"i{k}", axis) for k, axis in enumerate(entry.tensor.axes))
        inside = [i for i in indices if self._whole(i)]
        if not inside:
            return entry
        made = self._map(Entry(entry.tensor, *indices), inside)
        steps.append(made)
        return Entry(made_by(made), *made.indices)

    def _map(self, entry: Entry, inside: list[Index]) -> Map:
        name = unique(f"{entry.tensor.name}_inside", self.taken)
        indices = tuple(i for i in entry.indices if isinstance(i, Index))
        assert free_indices(entry) == set(indices)
        return Map(name, indices, self._inside(inside, entry, Integer(0)))

    def _inside(self, indices: list[Index] | tuple[Index, ...], expr: Expr, other: Expr) -> Expr:
        """The expression where the indices are in the whole, else the other number."""
        for index in indices:
            whole = self._whole(index)
            if whole is not None:
                expr = Choice(Condition("<", index, whole), expr, other)
        return expr

    def _whole(self, index: Index) -> Axis | None:
        """The axis whose part the index runs over."""
        return next((s.axis for s in self.program.splits if s.local == index.axis), None)
