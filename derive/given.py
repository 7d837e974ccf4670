"""Numbers given by a user: read into a point, and tables of values at it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from fractions import Fraction
from itertools import product as cartesian
from typing import Any

from flint import arb, ctx
from sympy import Expr

from derive.errors import DerivationError, PminusyError
from derive.evaluate import Evaluator
from derive.index import Partial
from derive.loss import Declaration, Loss
from derive.magnitude import fraction
from derive.point import Point, nested
from derive.sampling import allows

LONGEST = 100_000
MOST_BITS = 1 << 18
EXAMPLES = ("1", "1,2,3", "'1,2;3,4'", "'1,2;3,4;;5,6;7,8'")  # by the number of axes


def given_point(loss: Loss, texts: Iterable[str]) -> Point:
    """A point from texts such as "a=1,2,3", "W=1,2;3,4", "x=1;;2"; consts have their defaults.

    A distribution over classes may be given as one class, counted from 0: y=2 for y=0,0,1.
    Raises PminusyError for an unknown or missing name, a wrong shape, or a value outside the
    domain of its name.
    """
    values: dict[str, Mapping[tuple[int, ...], Fraction]] = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        name = name.strip()
        declaration = loss.declared.get(name)
        if declaration is None:
            near = get_close_matches(name, list(loss.declared), 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise PminusyError(f"'{text}': {loss.name} declares no '{name}'{hint}")
        values[name] = _array(declaration, numbers)
    for declaration in loss.declarations:
        if declaration.name not in values:
            if declaration.default is None:
                example = "=" + EXAMPLES[min(len(declaration.tensor.axes), len(EXAMPLES) - 1)]
                raise PminusyError(
                    f"no value for '{declaration.name}': add {declaration.name}{example}"
                )
            if not declaration.tensor.axes:
                values[declaration.name] = {(): fraction(declaration.default)}
    for declaration in loss.declarations:
        if declaration.domain.kind == "simplex" and declaration.name in values:
            values[declaration.name] = _distribution(loss, declaration, values)
    sizes = _sizes(loss, values)
    for declaration in loss.declarations:
        if declaration.name not in values:
            assert declaration.default is not None
            places = cartesian(*(range(sizes[axis.name]) for axis in declaration.tensor.axes))
            values[declaration.name] = dict.fromkeys(places, fraction(declaration.default))
    point = Point(sizes, values)
    for declaration in loss.declarations:
        _check_domain(declaration, point)
    return point


def _array(declaration: Declaration, text: str) -> dict[tuple[int, ...], Fraction]:
    name, rank = declaration.name, len(declaration.tensor.axes)
    if len(text) > LONGEST:
        raise PminusyError(f"{name}: more than {LONGEST} characters")
    if rank == 0 and "," in text:
        raise PminusyError(f"{name} is a single number, found {text.count(',') + 1}")
    deepest = max(map(len, re.findall(";+", text)), default=0)
    if deepest >= max(rank, 1):
        most = "no ';'" if rank < 2 else f"at most '{';' * (rank - 1)}'"
        raise PminusyError(f"{name} has {rank} {'axis' if rank == 1 else 'axes'}: expected {most}")
    return dict(_entries(name, text, rank))


def _entries(name: str, text: str, rank: int) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """Each place with its number: "," between entries, ";" between rows, ";;" between matrices."""
    if rank == 0:
        yield (), _number(name, text)
        return
    parts = text.split(";" * (rank - 1) or ",")
    found = [dict(_entries(name, part, rank - 1)) for part in parts]
    if any(part.keys() != found[0].keys() for part in found):
        raise PminusyError(f"{name}: the rows have different lengths")
    for number, part in enumerate(found):
        yield from (((number, *place), value) for place, value in part.items())


def _distribution(
    loss: Loss,
    declaration: Declaration,
    values: Mapping[str, Mapping[tuple[int, ...], Fraction]],
) -> Mapping[tuple[int, ...], Fraction]:
    """Its values; one number a row is a class, where other names have more entries than one."""
    given, axis = values[declaration.name], declaration.tensor.axes[-1]
    known = (d for d in loss.declarations if d is not declaration and d.name in values)
    others = [d for d in known if axis in d.tensor.axes]
    sizes = [1 + max(place[d.tensor.axes.index(axis)] for place in values[d.name]) for d in others]
    classes = max(sizes, default=1)
    if classes == 1 or any(place[-1] for place in given):
        return given
    for label in given.values():
        if label.denominator != 1 or not 0 <= label < classes:
            raise PminusyError(
                f"{declaration.name}: {_no_class(label, axis.name, classes)}; "
                f"or give {classes} numbers that sum to 1"
            )
    return {
        (*place[:-1], k): Fraction(int(k == label))
        for place, label in given.items()
        for k in range(classes)
    }


def _no_class(value: Fraction, axis: str, classes: int) -> str:
    return f"{value} is no class of {axis}: there are {classes}, counted from 0 to {classes - 1}"


def _number(name: str, text: str) -> Fraction:
    text = text.strip()
    exponent = text.lower().partition("e")[2]
    try:
        if exponent and abs(int(exponent)) > 400:
            raise ValueError
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise PminusyError(
            f"{name}: '{text[:40]}' is not a number such as 2, -0.5 or 1/3"
        ) from None


def _sizes(loss: Loss, values: Mapping[str, Mapping[tuple[int, ...], Fraction]]) -> dict[str, int]:
    sizes: dict[str, tuple[int, str]] = {}
    for declaration in loss.declarations:
        for k, axis in enumerate(declaration.tensor.axes if declaration.name in values else ()):
            size = 1 + max(place[k] for place in values[declaration.name])
            known, by = sizes.setdefault(axis.name, (size, declaration.name))
            if known != size:
                raise PminusyError(
                    f"axis {axis.name} has size {known} in {by} and {size} in {declaration.name}"
                )
    for axis in loss.axes:
        if axis.name not in sizes:
            raise PminusyError(f"the size of axis {axis.name} is not given by any value")
    return {name: size for name, (size, _) in sizes.items()}


def _check_domain(declaration: Declaration, point: Point) -> None:
    name, values = declaration.name, point.values[declaration.name]
    if declaration.domain.kind == "simplex":
        rows: dict[tuple[int, ...], Fraction] = {}
        for place, value in values.items():
            rows[place[:-1]] = rows.get(place[:-1], Fraction(0)) + value
        if any(value < 0 for value in values.values()) or any(s != 1 for s in rows.values()):
            wrong = next((s for s in rows.values() if s != 1), "a negative entry")
            raise PminusyError(f"{name} must be >= 0 and sum to 1, found {wrong}")
        return
    label = declaration.tensor.label
    mark = None if declaration.ignored is None else point.values[declaration.ignored.name][()]
    for value in values.values():
        if allows(declaration, value, point.sizes, mark):
            continue
        if label is not None:
            raise PminusyError(f"{name}: {_no_class(value, label.name, point.sizes[label.name])}")
        raise PminusyError(f"{name}: {value} is outside its domain ({declaration.domain.kind})")


class Decimals:
    """The values at one point to so many decimals; at each precision what is evaluated is kept."""

    def __init__(self, loss: Loss, point: Point, digits: int) -> None:
        self.loss, self.point, self.digits = loss, point, digits
        self._evaluators: dict[int, Evaluator] = {}

    def table(self, name: str, wrt: str | None = None) -> Any:
        """Every entry of a definition, or of its derivative with respect to `wrt`."""
        if name not in self.loss.defined:
            raise DerivationError(f"{self.loss.name} defines no '{name}'")
        of = self.loss.defined[name].entry
        expr, axes, indices = of, of.tensor.axes, of.indices
        if wrt is not None:
            letters = tuple(f"i{k}" for k in range(len(self.loss.tensor(wrt).axes)))
            variable = self.loss.free_entry(wrt, letters)
            expr = Partial(of, variable)
            axes, indices = (*axes, *variable.tensor.axes), (*indices, *variable.indices)
        found = {}
        for place in cartesian(*(range(self.point.sizes[axis.name]) for axis in axes)):
            found[place] = self._decided(expr, dict(zip(indices, place, strict=True)))
        return nested(found)

    def _decided(self, expr: Expr, env: Mapping[Expr, int]) -> str:
        """A value, with more precision until its rounding is decided."""
        precision = 64 + 4 * self.digits
        while True:
            with ctx.workprec(precision):
                made = self._evaluators.setdefault(precision, Evaluator(self.loss, self.point))
                text = rounded(made(expr, env), self.digits)
            if text is not None:
                return text
            if precision > MOST_BITS:
                at = f"to {self.digits} decimals at this point"
                raise PminusyError(f"{expr} is not decided {at}")
            precision *= 4


def rounded(value: arb, digits: int) -> str | None:
    """A ball to a number of decimals, halves upwards; None where the ball does not decide."""
    if not value.is_finite():
        return "nan" if value.is_nan() or 0 in 1 / value else str(value)
    doubled = 2 * value * arb(10) ** digits + 1
    lower, upper = (doubled / 2).lower().floor(), (doubled / 2).upper().floor()
    if not (lower - upper).is_zero():
        return None
    whole = int(lower.unique_fmpz() or 0)
    sign = "-" if whole < 0 else ""
    text = str(abs(whole)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"
