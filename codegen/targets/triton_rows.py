"""A phase as lines of Triton: some rows a program, held as a tile or walked over in blocks."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, Mul, Pow

from codegen.kernel import Map, Reduce, reads
from codegen.schedule import Loop, Phase
from codegen.schedule.passes import Along, Pass, in_one_pass
from codegen.targets.triton_frame import Names, Scope, indent
from codegen.targets.triton_plan import Plan
from codegen.targets.triton_reductions import ROW, START, online, plain
from derive.index import Index


class Rows:
    """The lines of one phase, and what its kernel reads and writes; a phase without rows has one
    row, which is no axis."""

    def __init__(self, phase: Phase, plan: Plan, names: Names) -> None:
        self.phase, self.plan, self.names = phase, plan, names
        self.made = {s.name: s for loop in phase.loops for s in loop.statements}
        self.letters = tuple(dict.fromkeys(i for loop in phase.loops for i in loop.indices))
        self.gradients = {e.tensor.name for key, e in plan.schedule.kernel.outputs if key}
        self.scaled = [n for n in self.made if n in self.gradients | plan.scaled]
        self.stored = [n for n in self.made if plan.schedule.rooms[n] in ("output", "array")]
        self.size = "1" if phase.row is None else names.axes[phase.row.axis.name]

    def tile(self) -> list[str]:
        """Every element of the rows at once: what is read is read once."""
        scope = self._scope()
        lines = list(self._head())
        for index in self.letters:
            lines.append(f"{index.name} = tl.arange(0, BLOCK_{index.axis.name})[None, :]")
            lines += self._masks(index)
        for loop in self.phase.loops:
            stores: list[str] = []
            for statement in loop.statements:
                line = self._tile_line(statement, loop, scope)
                stores += self._store(statement, scope)
                lines += [*scope.taken(), line]
            lines += [*self._barrier(loop), *stores]
        return lines

    def stream(self) -> list[str]:
        """Blocks of the rows, one after the other; elements are computed again in every pass."""
        scope = self._scope()
        lines = list(self._head())
        for each in in_one_pass(self.phase.loops, self.plan.schedule.rooms):
            if each.loop.indices:
                lines += self._walk(each, scope)
                continue
            for statement in each.loop.statements:
                assert isinstance(statement, Map)
                line = self._value(statement, scope)
                lines += [*scope.taken(), line, *self._store(statement, scope)]
        return lines

    def _scope(self) -> Scope:
        return Scope(self.names, frozenset(self.made))

    def _head(self) -> Iterator[str]:
        """The rows of this program."""
        column = "[:, None]" if self.letters else ""
        yield f"row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS){column}"
        yield f"in_rows = row < {self.size}"
        loss = self.names.arrays[self.plan.schedule.kernel.outputs[0][1].tensor.name]
        # Not a scalar: the interpreter compares those to numbers that are not truth values.
        lone = "(1, 1)" if self.letters else "(1,)"
        yield f"lone = tl.zeros({lone}, tl.int32)"
        yield f"one = tl.full({lone}, 1.0, {loss}_ptr.dtype.element_ty)"
        yield "wrong = row < 0"
        if self.scaled:
            yield "scale = tl.load(scale_ptr + row * scale_step, mask=in_rows, other=0.0)"

    def _masks(self, index: Index) -> Iterator[str]:
        yield f"has_{index.name} = {index.name} < {self.names.axes[index.axis.name]}"
        yield f"in_{index.name} = in_rows & has_{index.name}"

    def _value(self, statement: Map, scope: Scope) -> str:
        """The line of a map.  Adding 0 keeps a product rounded, whatever is then added to it."""
        text = scope.write(statement.expr)
        more = " + 0.0" if _is_product(statement.expr) else ""
        return f"{self.names.arrays[statement.name]} = {text}{more}"

    def _masked(self, statement: Reduce, index: Index, scope: Scope) -> str:
        """What is reduced, and outside the row what changes nothing."""
        text = scope.write(statement.expr)
        return f"tl.where(in_{index.name}, {text}, {START[statement.op]})"

    def _tile_line(self, statement: Map | Reduce, loop: Loop, scope: Scope) -> str:
        if isinstance(statement, Map):
            return self._value(statement, scope)
        (index,) = loop.indices
        text = ROW[statement.op].format(self._masked(statement, index, scope))
        return f"{self.names.arrays[statement.name]} = {text}"

    def _store(self, statement: Map | Reduce, scope: Scope) -> list[str]:
        """The line that puts a result where the caller or a later phase finds it."""
        name, inner = statement.name, [i.name for i in statement.indices[1:]]
        if name not in self.stored:
            return []
        text = self.names.arrays[name] + (" * scale" if name in self.scaled else "")
        mask = f"in_{inner[0]}" if inner else "in_rows"
        pointer = scope.pointer(name, ["row", *inner])
        return [f'tl.store({pointer}, tl.where(wrong, float("nan"), {text}), mask={mask})']

    def _barrier(self, loop: Loop) -> list[str]:
        """Before memory is written that other threads of the program may still have to read."""
        shared = any(s.name in self.plan.over for s in loop.statements)
        return ["tl.debug_barrier()"] if shared else []

    def _walk(self, each: Pass, outer: Scope) -> list[str]:
        """One pass over the rows."""
        (index,) = each.loop.indices
        block = f"BLOCK_{index.axis.name}"
        tops = {o.top.name: o for o in each.along}
        scope = outer.inside()
        before: list[str] = []
        body: list[str] = []
        stores: list[str] = []
        after: list[str] = []
        for statement in self._needed(each.loop):
            if isinstance(statement, Map):
                line = self._value(statement, scope)
                body += [*scope.taken(), line]
                if statement in each.loop.statements:
                    stores += self._store(statement, scope)
                continue
            text = self._masked(statement, index, scope)
            if statement.name in tops:
                names = self.names.arrays
                parts = online(tops[statement.name], names, text, block, index.name)
                done = self._sums(tops[statement.name])
            else:
                parts = plain(statement, self.names.arrays[statement.name], text, block)
                done = [statement]
            before += parts.before
            body += [*scope.taken(), *parts.body]
            after += parts.after
            after += [line for s in done for line in self._store(s, outer)]
        return [
            *outer.taken(),
            *before,
            *self._barrier(each.loop),
            f"for start in range(0, {self.names.axes[index.axis.name]}, {block}):",
            f"    {index.name} = start + tl.arange(0, {block})[None, :]",
            *indent(self._masks(index)),
            *indent([*body, *stores]),
            *after,
        ]

    def _sums(self, found: Along) -> list[Map | Reduce]:
        names = (found.top.name, found.below, found.ties, found.whole)
        return [self.made[name] for name in names if name]

    def _needed(self, loop: Loop) -> list[Map | Reduce]:
        """The statements of a loop, each after the elements of other loops that it reads."""
        found: list[Map | Reduce] = []

        def visit(statement: Map | Reduce) -> None:
            for entry in reads(statement):
                made = self.made.get(entry.tensor.name)
                if isinstance(made, Map) and len(made.indices) > 1 and made not in found:
                    visit(made)
            if statement not in found:
                found.append(statement)

        for statement in loop.statements:
            visit(statement)
        return found


def _is_product(expr: Expr) -> bool:
    """Whether a product comes last, which a compiler could join with a sum."""
    if isinstance(expr, Pow):
        return bool(expr.exp.is_Integer and expr.exp > 1)
    above = [x for x in Mul.make_args(expr) if not (isinstance(x, Pow) and x.exp.is_negative)]
    return len(above) > 1 and above != [-1, above[-1]]
