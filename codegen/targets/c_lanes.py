"""Between the arrays of the caller and the lanes of a strip."""

from __future__ import annotations

from collections.abc import Iterator

LANES = "PM_LANES"
BLOCK = 4
EACH_LANE = "for (int lane = 0; lane < PM_LANES; ++lane)"


def turned_in(plain: str, size: str, stride: str, suffix: str) -> Iterator[str]:
    """Copy the rows into lanes: whole strips in blocks, the last rows one by one."""
    lanes, row = f"{plain}_lanes", f"{plain} + (first + lane) * {stride}"
    block = f"pm_turn_{suffix}({row} + k, {stride}, {lanes} + k * {LANES} + lane, {LANES});"
    yield f"if (count == {LANES}) {{"
    yield from _by_blocks(
        size, block, f"{lanes}[k * {LANES} + part] = {plain}[(first + part) * {stride} + k];"
    )
    yield "} else {"
    yield f"    memset({lanes}, 0, sizeof {lanes});"
    yield "    for (int lane = 0; lane < count; ++lane)"
    yield f"        for (int k = 0; k < {size}; ++k)"
    yield f"            {lanes}[k * {LANES} + lane] = {plain}[(first + lane) * {stride} + k];"
    yield "}"


def turned_out(plain: str, size: str, stride: str, suffix: str) -> Iterator[str]:
    """Copy lanes into the rows: by blocks, or those of a dense array by a distance known before."""
    lanes, row = f"{plain}_lanes", f"{plain} + (first + lane) * {stride}"
    block = f"pm_turn_{suffix}({lanes} + k * {LANES} + lane, {LANES}, {row} + k, {stride});"
    yield f"if (count == {LANES} && {size} >= {BLOCK})"
    yield from _by_blocks(
        size, block, f"{plain}[(first + part) * {stride} + k] = {lanes}[k * {LANES} + part];"
    )
    for test, rows, step in (
        (f"else if (count == {LANES} && {stride} == {size})", LANES, size),
        ("else", "count", stride),
    ):
        yield test
        yield f"    for (int lane = 0; lane < {rows}; ++lane)"
        yield f"        for (int k = 0; k < {size}; ++k)"
        yield f"            {plain}[(first + lane) * {step} + k] = {lanes}[k * {LANES} + lane];"


def _by_blocks(size: str, block: str, cell: str) -> Iterator[str]:
    """Blocks of rows and classes; of the classes that are left the cells."""
    yield f"    for (int lane = 0; lane < {LANES}; lane += {BLOCK}) {{"
    yield "        int k = 0;"
    yield f"        for (; k + {BLOCK} <= {size}; k += {BLOCK})"
    yield f"            {block}"
    yield f"        for (; k < {size}; ++k)"
    yield f"            for (int part = lane; part < lane + {BLOCK}; ++part)"
    yield f"                {cell}"
    yield "    }"


def padded(name: str, plain: str, kind: str) -> Iterator[str]:
    """Numbers of the rows: where they are, or a copy with zeros after the last row."""
    yield f"{kind} {plain}_rest[{LANES}];"
    yield f"const {kind} *{name} = {plain} + first;"
    yield f"if (count < {LANES}) {{"
    yield f"    {EACH_LANE}"
    yield f"        {plain}_rest[lane] = lane < count ? {plain}[first + lane] : 0;"
    yield f"    {name} = {plain}_rest;"
    yield "}"
