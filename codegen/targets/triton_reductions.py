"""Reductions of a row in Triton: of a tile at once, or of blocks lane by lane and then at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.kernel import Reduce
from codegen.schedule.passes import Along

# What changes nothing, the function of two, and that of a row.
START = {
    "sum": "0.0",
    "prod": "1.0",
    "max": 'float("-inf")',
    "min": 'float("inf")',
    "argmax": 'float("-inf")',
}
BOTH = {
    "sum": "{} + {}",
    "prod": "{} * {}",
    "max": "_largest({}, {})",
    "min": "_smallest({}, {})",
}
ROW = {
    "sum": "tl.sum({}, axis=1, keep_dims=True)",
    "prod": "tl.reduce({}, 1, _multiply, keep_dims=True)",
    "max": "_row_max({})",
    "min": "_row_min({})",
    "argmax": "_row_top({})",
}


@dataclass(frozen=True)
class Parts:
    """The lines before, in and after a loop over blocks."""

    before: tuple[str, ...]
    body: tuple[str, ...]
    after: tuple[str, ...]


def plain(statement: Reduce, name: str, text: str, block: str) -> Parts:
    """Lane by lane, and then the lanes."""
    lanes, op = f"{name}_all", statement.op
    if op == "argmax":
        return _search(name, text, block, statement.over[0].name)
    return Parts(
        (f"{lanes} = {_filled(START[op], block)}",),
        (f"{lanes} = {BOTH[op].format(lanes, text)}",),
        (f"{name} = {ROW[op].format(lanes)}",),
    )


def _filled(value: str, block: str) -> str:
    return f"_filled({value}, one, ROWS, {block})"


def _search(name: str, text: str, block: str, letter: str) -> Parts:
    """The first place of the maximum, or of a NaN."""
    best, at, found = f"{name}_best", f"{name}_at", f"{name}_next"
    return Parts(
        (
            f"{best} = {_filled(START['max'], block)}",
            f"{at} = tl.zeros((ROWS, {block}), tl.int32) + tl.arange(0, {block})[None, :]",
        ),
        (
            f"{found} = {text}",
            f'{found} = tl.where({found} != {found}, float("inf"), {found})',
            f"{at} = tl.where({found} > {best}, {letter}, {at})",
            f"{best} = _largest({best}, {found})",
        ),
        (
            f"{at} = tl.where({best} == _row_max({best}), {at}, 2147483647)",
            f"{name} = tl.min({at}, axis=1, keep_dims=True)",
        ),
    )


def online(found: Along, names: Mapping[str, str], text: str, block: str, letter: str) -> Parts:
    """A maximum and its sums: what is larger than all before rescales what was summed.

    In each lane `below` sums exp(x - maximum) over what is below its maximum so far, and `ties`
    counts what is at it.  A maximum that is infinite leaves NaN, as exp(inf - inf) does.
    """
    top = names[found.top.name]
    lanes, below, ties = f"{top}_all", f"{top}_below", f"{top}_ties"
    now, grown, tied, power = f"{top}_next", f"{top}_grown", f"{top}_tied", f"{top}_power"
    least = f"tl.where({grown}, {lanes}, {now})"
    after = [
        f"{top} = _row_max({lanes})",
        f"{power} = _exp_difference({lanes}, {top}, HALF)",
        f"{tied} = {lanes} == {top}",
    ]
    for wanted, at_top in (
        (found.below, below),
        (found.ties, ties),
        (found.whole, f"{below} + {ties}"),
    ):
        if not wanted:
            continue
        rest = "0.0" if wanted == found.ties else f"({below} + {ties}) * {power}"
        total = ROW["sum"].format(f"tl.where({tied}, {at_top}, {rest})")
        poison = "" if wanted == found.ties else f" + ({top} - {top})"
        after.append(f"{names[wanted]} = {total}{poison}")
    return Parts(
        (
            f"{lanes} = {_filled(START['max'], block)}",
            f"{below} = {_filled('0.0', block)}",
            f"{ties} = {_filled('0.0', block)}",
        ),
        (
            f"{now} = {text}",
            f"{grown} = {now} > {lanes}",
            f"{tied} = {now} == {lanes}",
            f"{power} = _exp_difference({least}, _largest({lanes}, {now}), HALF)",
            f"{power} = tl.where({tied} | ~in_{letter}, 0.0, {power})",
            f"{below} = tl.where({grown}, ({below} + {ties}) * {power}, {below} + {power})",
            f"{ties} = tl.where({grown}, 1.0, {ties} + tl.where({tied} & in_{letter}, 1.0, 0.0))",
            f"{lanes} = _largest({lanes}, {now})",
        ),
        tuple(after),
    )
