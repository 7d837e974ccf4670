"""A maximum and the sums against it in one pass over the row, as lines of C."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from codegen.kernel import Reduce, reads
from codegen.schedule import Loop, Online, Phase, Shifted
from codegen.targets.c_elements import block_head, finished, inner_of, started
from codegen.targets.c_frame import Frame, indent

LARGEST = {"float": "3.40282347e+38f", "double": "1.7976931348623157e+308"}
DOWN = "pm_exp_difference_nonpositive_f64({}, {})"


def one_pass(online: Online, phase: Phase, frame: Frame) -> Iterator[str]:
    """Two loops, block by block: the maximum so far is the reference of the second."""
    first, second = phase.loops[online.at : online.at + 2]
    size = first.indices[0].axis.name
    maxima = {s.maximum.name: _so_far(s, frame) for s in online.shifted}
    for reduction in (*_reductions(first), *_reductions(second)):
        yield from started(reduction, frame)
    for shifted in online.shifted:
        yield f"{frame.real} {_so_far(shifted, frame)} = -{LARGEST[frame.real]};"
        if _is_kept(shifted, phase):
            yield f"{frame.real} {_steps(shifted, frame)}[PM_STEPS];"
    yield f"const int64_t step = PM_STEP({size});"
    yield from block_head(size, "step")
    yield from indent(inner_of(first, phase, frame).block())
    for shifted in online.shifted:
        yield from indent(_raised(shifted, phase, frame))
    yield from indent(inner_of(second, phase, replace(frame, instead=maxima)).block())
    yield "}"
    for reduction in _reductions(first):
        yield from finished(reduction, phase, frame)
    for shifted in online.shifted:
        yield from _settled(shifted, size, frame)
    for reduction in _reductions(second):
        yield from finished(reduction, phase, frame)


def brought_down(loop: Loop, online: Online, phase: Phase, frame: Frame) -> Iterator[str]:
    """A later loop: exponentials are brought from the reference of their block to the maximum."""
    size = loop.indices[0].axis.name
    read = {e.tensor.name for s in loop.statements for e in reads(s)}
    here = [s for s in online.shifted if s.exponentials.name in read]
    factors = {s.exponentials.name: f"({_down(s, frame)} * {{}})" for s in here}
    inner = inner_of(loop, phase, replace(frame, instead=factors))
    for reduction in _reductions(loop):
        yield from started(reduction, frame)
    yield from block_head(size, "step")
    for shifted in here:
        top, reference, down = (word(shifted, frame) for word in (_so_far, _reference, _down))
        yield f"    const {frame.real} {reference} = {_steps(shifted, frame)}[block / step];"
        yield f"    const {frame.real} {down} ="
        factor = f"({frame.real}){DOWN.format(reference, top)}"
        yield f"        {reference} == {top} ? 1 : {factor};"
    yield from indent(inner.block())
    yield "}"
    for reduction in _reductions(loop):
        yield from finished(reduction, phase, frame)
    yield from inner.fixes


def reads_exponentials(loop: Loop, online: Online) -> bool:
    """Whether a loop reads what the one pass keeps of its blocks."""
    kept = {s.exponentials.name for s in online.shifted}
    return any(entry.tensor.name in kept for s in loop.statements for entry in reads(s))


def _reductions(loop: Loop) -> list[Reduce]:
    return [s for s in loop.statements if isinstance(s, Reduce)]


def _so_far(shifted: Shifted, frame: Frame) -> str:
    return f"{frame.names[shifted.maximum.name]}_so_far"


def _steps(shifted: Shifted, frame: Frame) -> str:
    return f"{frame.names[shifted.maximum.name]}_steps"


def _reference(shifted: Shifted, frame: Frame) -> str:
    return f"{frame.names[shifted.maximum.name]}_reference"


def _down(shifted: Shifted, frame: Frame) -> str:
    return f"{frame.names[shifted.exponentials.name]}_down"


def _is_kept(shifted: Shifted, phase: Phase) -> bool:
    assert phase.online is not None
    return any(
        entry.tensor.name == shifted.exponentials.name
        for loop in phase.loops[phase.online.at + 2 :]
        for statement in loop.statements
        for entry in reads(statement)
    )


def _raised(shifted: Shifted, phase: Phase, frame: Frame) -> Iterator[str]:
    """Where a block raises the maximum, its ties before are none, and the sums are scaled down."""
    top, so_far = f"{frame.names[shifted.maximum.name]}_all", _so_far(shifted, frame)
    yield f"if ({top} > {so_far}) {{"
    if shifted.sums:
        yield "    if (block > 0) {"
        yield f"        const double down = {DOWN.format(so_far, top)};"
        count = f"{frame.names[shifted.count.name]}_all" if shifted.count else ""
        for made, ties in shifted.sums:
            if made != shifted.count:
                total = f"{frame.names[made.name]}_all"
                rest = f"({total} + {-float(ties)!r} * {count})" if ties else total
                yield f"        {total} = down * {rest};"
        if count:
            yield f"        {count} = 0;"
        yield "    }"
    yield f"    {so_far} = {top};"
    yield "}"
    if _is_kept(shifted, phase):
        yield f"{_steps(shifted, frame)}[block / step] = {so_far};"


def _settled(shifted: Shifted, size: str, frame: Frame) -> Iterator[str]:
    """A maximum that is NaN or -infinity: so are the differences from it."""
    top, so_far = frame.names[shifted.maximum.name], _so_far(shifted, frame)
    yield f"if ({top} != {so_far}) {{"
    yield f"    {so_far} = ({frame.real})NAN;"
    for made, _ in shifted.sums:
        value = f"{top} < 0 ? (double){size} : 0" if made == shifted.count else "NAN"
        yield f"    {frame.names[made.name]}_all = {value};"
    yield "}"
