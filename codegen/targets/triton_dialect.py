"""How Triton writes numbers and functions, and the functions that it does not have everywhere."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

import sympy
from sympy import exp, log

from codegen.emit import render
from codegen.kernel import exp_difference, weighted
from codegen.targets.c_functions import FORMATS, values
from codegen.targets.scalar_expressions import Dialect
from derive import functions

FUNCTIONS: dict[type, str] = {
    exp: "_exp({})",
    log: "_log({})",
    sympy.sin: "tl.sin({})",
    sympy.cos: "tl.cos({})",
    sympy.tan: "_tan({})",
    sympy.asin: "_asin({})",
    sympy.acos: "_acos({})",
    sympy.atan: "_atan({})",
    sympy.sinh: "_sinh({})",
    sympy.cosh: "_cosh({})",
    sympy.tanh: "_tanh({})",
    sympy.erf: "tl.erf({})",
    functions.sigmoid: "_sigmoid({})",
    functions.softplus: "_softplus({})",
    functions.log1p: "_log1p({})",
    functions.expm1: "_expm1({})",
    functions.relu: "_positive_part({})",
    functions.step: "_step({})",
    functions.absolute: "tl.abs({})",
    functions.signum: "_sign({})",
    functions.largest: "_largest({}, {})",
    functions.smallest: "_smallest({}, {})",
    exp_difference: "_exp_difference({}, {}, HALF)",
    weighted: "_weighted({}, {})",
}
# Each after those that it calls, and which those are.
HELPERS: dict[str, tuple[str, ...]] = {
    "real": (),
    "filled": (),
    "largest": (),
    "smallest": (),
    "row_max": ("largest",),
    "row_min": ("smallest",),
    "row_top": (),
    "multiply": (),
    "log": (),
    "exp_tail": (),
    "exp": ("exp_tail",),
    "exp_difference": ("exp_tail",),
    "log1p": (),
    "expm1": ("exp",),
    "sigmoid": ("exp",),
    "softplus": ("exp", "log1p"),
    "sinh": ("exp", "expm1"),
    "cosh": ("exp",),
    "tanh": ("expm1",),
    "tan": (),
    "sqrt": (),
    "arc": (),
    "asin": ("arc", "sqrt"),
    "acos": ("arc", "sqrt"),
    "atan": ("arc", "sqrt"),
    "positive_part": (),
    "step": (),
    "sign": (),
    "weighted": (),
    "whole_power": (),
    "product_tail_f32": (),
    "product_tail_f64": (),
    "pow_f32": ("product_tail_f32", "exp_tail"),
    "pow_f64": ("product_tail_f64", "exp_tail"),
    "pow": ("pow_f32", "pow_f64"),
}


def number(value: float) -> str:
    """A number; where single precision does not hold it, in the precision of the kernel."""
    if struct.unpack("<f", struct.pack("<f", value))[0] == value or abs(value) > 3e38:
        return repr(value)
    return f"({value!r} * one)"


DIALECT = Dialect(
    name="triton",
    functions=FUNCTIONS,
    choice="tl.where({test}, {then}, {other})",
    relations={"true": "one == one", "not": "~", "and": "&", "or": "|"},
    power="_pow({}, {})",
    whole_power="_whole_power({}, {})",
    number=number,
    size="(one * {})",
    infinity='float("inf")',
    sqrt="_sqrt({})",
)


def helpers(lines: Iterable[str]) -> str:
    """The functions that these lines call, and those that they call."""
    waiting = sorted(set(re.findall(r"\b_(\w+)\b", "\n".join(lines))) & set(HELPERS))
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting += [need for need in HELPERS[name] if need not in found]
    names = [name for name in HELPERS if name in found]
    formats = {
        suffix: {
            "c": values(FORMATS[real], _literal, _bits),
            "unsigned": f"tl.uint{FORMATS[real].width}",
            "real": f"tl.float{FORMATS[real].width}",
        }
        for suffix, real in (("f32", "float"), ("f64", "double"))
    }
    texts = [render("triton_functions.j2", names=[name], formats=formats) for name in names]
    return "\n\n\n".join(_plain(text) for text in texts)


def _plain(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.strip())


def _literal(value: float) -> str:
    return repr(value)


def _bits(word: int) -> str:
    return f"{word:#x}"
