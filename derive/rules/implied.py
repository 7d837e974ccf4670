"""What a definition says of expressions that it does not contain.

v = acos(u) makes sqrt(1 - u^2) the sine of v, and v = max(0, u) is positive where u is.
"""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, acos, asin, asinh, atan, cos, cosh, sin, sqrt

from derive.functions import largest, relu, smallest, step
from derive.index import free_indices
from derive.loss import Definition
from derive.normal import NormalForm
from derive.normal.poly import Exponent


def implied(form: NormalForm, definition: Definition) -> Iterator[tuple[Expr, Exponent, Expr]]:
    """Each atom to a power that the name says in another way, with that way."""
    body, entry = definition.body, definition.entry
    for before, after in _others(body, entry):
        ((mono, value), *more) = form(before).items()
        if more or value != 1 or len(mono) != 1:
            continue
        ((base, power),) = mono
        if set(entry.indices) <= free_indices(base):
            yield base, power, after


def _others(body: Expr, entry: Expr) -> Iterator[tuple[Expr, Expr]]:
    if isinstance(body, acos):
        yield sqrt(1 - body.args[0] ** 2), sin(entry)
    elif isinstance(body, asin):
        yield sqrt(1 - body.args[0] ** 2), cos(entry)
    elif isinstance(body, atan):
        yield 1 + body.args[0] ** 2, 1 / cos(entry) ** 2
    elif isinstance(body, asinh):
        yield sqrt(1 + body.args[0] ** 2), cosh(entry)
    elif isinstance(body, relu):
        yield step(body.args[0]), step(entry)
    elif isinstance(body, largest) and body.args[1].is_number:
        yield step(body.args[0] - body.args[1]), step(entry - body.args[1])
    elif isinstance(body, largest) and body.args[0].is_number:
        yield step(body.args[1] - body.args[0]), step(entry - body.args[0])
    elif isinstance(body, smallest) and body.args[1].is_number:
        yield step(body.args[1] - body.args[0]), step(body.args[1] - entry)
    elif isinstance(body, smallest) and body.args[0].is_number:
        yield step(body.args[0] - body.args[1]), step(body.args[0] - entry)
