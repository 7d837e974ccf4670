"""What C does with labels that are out of range."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.kernel import Input, defines
from codegen.schedule import Phase
from codegen.targets.c_frame import Frame, indent
from derive.index import Axis, Index


def _own(rows: Axis, frame: Frame) -> list[Input]:
    """The labels of which each row has one."""
    given = frame.plan.kernel.inputs
    return [g for g in given if g.tensor.label is not None and g.tensor.axes == (rows,)]


def other_labels(frame: Frame) -> Iterator[str]:
    """All other labels are looked at before anything is computed; one that is wrong spoils all."""
    rows = [phase.row.axis for phase in frame.plan.phases if isinstance(phase, Phase) and phase.row]
    checked = {given.name for axis in rows for given in _own(axis, frame)}
    given_labels = [g for g in frame.plan.kernel.inputs if g.name in frame.labels - checked]
    left = [g for g in given_labels if not g.is_mark]
    if not left:
        return
    yield "int all_wrong = 0;"
    for given in left:
        indices = [Index(f"at{k}", axis) for k, axis in enumerate(given.tensor.axes)]
        heads = [
            f"for (int64_t {i.name} = 0; {i.name} < {i.axis.name}; ++{i.name})" for i in indices
        ]
        name = frame.names[given.name]
        cell = frame.cell(given.name, [i.name for i in indices]) if indices else name
        yield from ("    " * depth + head for depth, head in enumerate(heads))
        test = is_wrong(given, cell, frame)
        yield "    " * len(heads) + f"all_wrong |= {test};"
    yield "if (all_wrong) {"
    for _, entry in frame.plan.kernel.outputs:
        made = next(s for s in frame.plan.kernel.statements if s.name == entry.tensor.name)
        yield from indent(_filled(made.name, made.indices, frame))
    yield "    return 1;"
    yield "}"


def is_wrong(given: Input, cell: str, frame: Frame) -> str:
    """Whether a label is out of range, and not one that is ignored."""
    outside = f"{cell} < 0 || {cell} >= {given.tensor.label}"
    if given.ignored is None:
        return outside
    return f"({outside}) && {cell} != {frame.names[given.ignored.name]}"


def label_checks(phase: Phase, frame: Frame) -> list[str]:
    """Labels of this row, 0 in place of one that is out of range."""
    own = [] if phase.row is None else _own(phase.row.axis, frame)
    if not own:
        return []
    lines, bad = [], []
    for given in own:
        name = frame.names[given.name]
        bad.append(is_wrong(given, f"{name}[row]", frame))
    lines.append(f"const int wrong = {' || '.join(bad)};")
    for given in own:
        name = frame.names[given.name]
        lines.append(f"const int64_t {name}_here = wrong ? 0 : {name}[row];")
        if given.name in frame.lookups:
            here, size = f"{name}_here", given.tensor.label
            inside = f"{here} < 0 || {here} >= {size} ? 0 : {here}"
            lines.append(f"const int64_t {frame.lookups[given.name]} = {inside};")
            lines.append(f"(void){frame.lookups[given.name]};")
    return lines


def poison(phase: Phase, frame: Frame) -> Iterator[str]:
    """NaN for every result of a row whose label is out of range."""
    yield "if (wrong) {"
    yield "    status |= 1;"
    for statement in (s for loop in phase.loops for s in loop.statements):
        if (
            frame.plan.rooms[statement.name] in ("output", "array")
            and defines(statement).label is None
        ):
            yield from indent(_filled(statement.name, statement.indices, frame, 1))
    yield "}"


def _filled(name: str, indices: tuple[Index, ...], frame: Frame, skip: int = 0) -> Iterator[str]:
    """NaN in every element, or in those of one row."""
    inner = indices[skip:]
    for depth, index in enumerate(inner):
        head = f"for (int64_t {index.name} = 0; {index.name} < {index.axis.name}; ++{index.name})"
        yield "    " * depth + head
    cell = frame.cell(name, [i.name for i in indices])
    yield "    " * len(inner) + f"{cell} = ({frame.real})NAN;"
