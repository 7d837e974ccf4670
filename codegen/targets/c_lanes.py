"""Between the arrays of the caller and the lanes of a strip."""

from __future__ import annotations

from collections.abc import Iterator

LANES = "PM_LANES"
TOGETHER = 4
EACH_LANE = "for (int lane = 0; lane < PM_LANES; ++lane)"


def turned_in(plain: str, size: str, stride: str) -> Iterator[str]:
    """Copy the rows into lanes; some at once, so that a vector is stored."""
    whole, part = f"{plain}_lanes[k * {LANES} + part]", f"{plain}_lanes[k * {LANES} + lane]"
    yield f"if (count == {LANES}) {{"
    yield f"    for (int lane = 0; lane < {LANES}; lane += {TOGETHER})"
    yield f"        for (int k = 0; k < {size}; ++k)"
    yield f"            for (int part = lane; part < lane + {TOGETHER}; ++part)"
    yield f"                {whole} = {plain}[(first + part) * {stride} + k];"
    yield "} else {"
    yield f"    memset({plain}_lanes, 0, sizeof {plain}_lanes);"
    yield "    for (int lane = 0; lane < count; ++lane)"
    yield f"        for (int k = 0; k < {size}; ++k)"
    yield f"            {part} = {plain}[(first + lane) * {stride} + k];"
    yield "}"


def turned_out(plain: str, size: str, stride: str) -> Iterator[str]:
    """Copy lanes into the rows; those of a dense array by a distance known in advance."""
    for test, rows, step in (
        (f"if (count == {LANES} && {stride} == {size})", LANES, size),
        ("else", "count", stride),
    ):
        yield test
        yield f"    for (int lane = 0; lane < {rows}; ++lane)"
        yield f"        for (int k = 0; k < {size}; ++k)"
        cell = f"{plain}[(first + lane) * {step} + k]"
        yield f"            {cell} = {plain}_lanes[k * {LANES} + lane];"


def padded(name: str, plain: str, kind: str) -> Iterator[str]:
    """Numbers of the rows: where they are, or a copy with zeros after the last row."""
    yield f"{kind} {plain}_rest[{LANES}];"
    yield f"const {kind} *{name} = {plain} + first;"
    yield f"if (count < {LANES}) {{"
    yield f"    {EACH_LANE}"
    yield f"        {plain}_rest[lane] = lane < count ? {plain}[first + lane] : 0;"
    yield f"    {name} = {plain}_rest;"
    yield "}"
