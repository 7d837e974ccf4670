"""A worked example: numbers put into every definition and into the gradient, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import isfinite
from typing import Any

from flint import ctx
from sympy import Expr, S

from codegen.documents.model import Dress, Part, Section
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.evaluate import Evaluator
from derive.given import Decimals
from derive.index import Choice, Entry, Index, Tensor
from derive.letters import names_of
from derive.loss import Loss
from derive.matrix import MatrixForm, with_values
from derive.matrix_nodes import Mat
from derive.point import Point, nested
from derive.substituted import Substituted
from derive.usual import usual_points

DIGITS = 4
HEADING = "A numerical example"
ROUNDED = f"numbers are rounded to {DIGITS} decimals."


def worked(
    slopes: Sequence[Derivation], dress: Dress, point: Point, forms: Sequence[MatrixForm | None]
) -> Part:
    """The definitions and the gradients at a point, for the first entry and then for all.

    With a matrix form all entries of a gradient come from it.
    """
    loss = slopes[0].loss
    decimals = Decimals(loss, point, DIGITS)
    values = {definition.name: decimals.table(definition.name) for definition in loss.definitions}
    minus = dress.style(slopes[0].names).minus
    shown = Numbered(loss, dress, point, values, minus)
    rows = [Section("", *row, ()) for row in _given(loss, dress, point, minus)]
    for definition in loss.definitions:
        first = shown.place(definition.entry)
        rows += shown.rows(definition.entry, definition.body, first, values[definition.name])
    for slope, form in zip(slopes, forms, strict=True):
        wrt = slope.wrt[0]
        numbers = decimals.table(loss.value.name, wrt.tensor.name)
        rows += shown.rows(slope.subject, slope.result, shown.place(wrt), numbers, wrt)
        if form is not None and isinstance(numbers, list):
            rows[-1] = shown.in_matrices(form, numbers)
    return Part(HEADING, tuple(rows), said=_said(loss))


def _said(loss: Loss) -> str:
    return f"Entries are counted from 0; {ROUNDED}" if loss.axes else ROUNDED.capitalize()


def usual(derivation: Derivation) -> Point | None:
    """The first of the usual points where loss and gradient are numbers, not all 0.

    Preferred is one where no definition rounds to 0: what follows from it would look wrong.
    """
    loss, wrt = derivation.loss, derivation.wrt[0].tensor.name
    second_best: Point | None = None
    for point in usual_points(loss):
        decimals = Decimals(loss, point, DIGITS)
        try:
            values = _numbers([decimals.table(definition.name) for definition in loss.definitions])
            zeros = 0 in values
            if zeros and second_best is not None:
                continue
            slopes = _numbers(decimals.table(loss.value.name, wrt))
        except (PminusyError, ValueError):
            continue  # A kink, or a value that is no number: the next point.
        if all(map(isfinite, values + slopes)) and any(slopes):
            if not zeros:
                return point
            second_best = point
    return second_best


def _numbers(texts: Any) -> list[float]:
    return [float(text) for text in _flat(texts)]


def _flat(texts: Any) -> Iterator[str]:
    if isinstance(texts, list):
        for each in texts:
            yield from _flat(each)
    else:
        yield texts


class Numbered:
    """Writes formulas of one loss with the numbers of one point."""

    def __init__(
        self, loss: Loss, dress: Dress, point: Point, values: Mapping[str, Any], minus: str
    ) -> None:
        self.loss, self.dress, self.point, self.values = loss, dress, point, values
        self.minus = minus
        self.evaluator = Evaluator(loss, point)

    def place(self, entry: Entry) -> dict[Expr, int]:
        return {index: 0 for index in entry.indices if isinstance(index, Index)}

    def rows(
        self, left: Expr, body: Expr, at: Mapping[Expr, int], values: Any, wrt: Entry | None = None
    ) -> Iterator[Section]:
        """The formula at one place with its value; and all values, where there are several."""
        names = names_of(self.loss, left, body)
        symbols = Substituted(self.dress.style(names), names, {}, self.point.sizes, dict(at))
        numbers = replace(symbols, number=self.number, holds=self.holds)
        value: Any = values
        while isinstance(value, list):
            value = value[0]
        text = numbers.piece(body).text
        value = value.replace("-", self.minus)
        yield Section(
            "", symbols.piece(left).text, text if text == value else f"{text} = {value}", ()
        )
        if isinstance(values, list):
            whole = symbols.style.name(left.tensor.name) if isinstance(left, Entry) else None
            if wrt is not None:
                of = self.dress.name(self.loss.value.name)
                by = self.dress.name(wrt.tensor.name)
                whole = symbols.style.derivative(of, [by], False).text
            if whole is not None:
                yield Section("", whole, _listed(values, self.dress, self.minus), ())

    def in_matrices(self, form: MatrixForm, values: Any) -> Section:
        """The matrix form with numbers for every name, and what it comes to."""
        medium = self.dress.medium
        numbers = with_values(form, self.loss, medium, self.leaf)
        right = f"{numbers} = {_columns(values, self.dress, self.minus)}"
        return Section("", form.left[medium], right, ())

    def leaf(self, node: Mat) -> str | None:
        """The numbers that a leaf of a matrix form stands for."""
        if node.op == "size":
            return str(self.point.sizes[node.data])
        if node.op == "unit":
            size, here = self.point.sizes[node.shape[0]], int(self.point.values[node.data][()])
            return _columns([str(int(k == here)) for k in range(size)], self.dress, self.minus)
        if node.op == "name":
            return _columns(self.all_of(node.data), self.dress, self.minus)
        if node.op == "entry":
            value = self.all_of(node.data[0])
            for label in node.data[1]:
                value = value[int(self.point.values[label][()])]
            return _columns(value, self.dress, self.minus)
        return None

    def all_of(self, name: str) -> Any:
        """Every entry of a name, as texts."""
        if name in self.values:
            return self.values[name]
        return _texts(self.loss.declared[name].tensor, self.point)

    def number(self, entry: Entry, at: Mapping[Expr, int]) -> str | None:
        """The value of an entry, as a short decimal or as a fraction."""
        name = entry.tensor.name
        place = [at[i] if isinstance(i, Index) else self._label(i, at) for i in entry.indices]
        if name in self.values:
            value: Any = self.values[name]
            for index in place:
                value = value[index]
            return str(value)
        return _short(self.point.values[name][tuple(place)])

    def holds(self, condition: Expr, at: Mapping[Expr, int]) -> bool:
        with ctx.workprec(128):
            return bool(self.evaluator(Choice(condition, S.One, S.Zero), at) > 0.5)

    def _label(self, label: Expr, at: Mapping[Expr, int]) -> int:
        assert isinstance(label, Entry)
        inner = tuple(at[index] for index in label.indices)
        return int(self.point.values[label.tensor.name][inner])


def _given(loss: Loss, dress: Dress, point: Point, minus: str) -> Iterator[tuple[str, str]]:
    for declaration in loss.declarations:
        tensor = declaration.tensor
        yield dress.name(tensor.name), _listed(_texts(tensor, point), dress, minus)


def _texts(tensor: Tensor, point: Point) -> Any:
    """The given values of a name, in lists along its axes."""
    return nested({place: _short(value) for place, value in point.values[tensor.name].items()})


def _columns(values: Any, dress: Dress, minus: str) -> str:
    """As `_listed`, but a vector as the column that it is among matrices."""
    vector = isinstance(values, list) and not isinstance(values[0], list)
    if not vector or dress.medium != "latex":
        return _listed(values, dress, minus)
    return dress.grid([[str(each).replace("-", minus)] for each in values])


def _listed(values: Any, dress: Dress, minus: str) -> str:
    """(1, 2) for a vector, a grid for a matrix, a list of matrices for what has more axes."""
    if not isinstance(values, list):
        return str(values).replace("-", minus)
    rows = [_listed(value, dress, minus) for value in values]
    if not isinstance(values[0], list):
        return f"({', '.join(rows)})"
    if isinstance(values[0][0], list):
        return f"({'; '.join(rows)})"
    return dress.grid([[str(each).replace("-", minus) for each in row] for row in values])


def _short(value: Any) -> str:
    """1.4 for 7/5; a fraction where no short decimal is exact."""
    exact = Fraction(value)
    scaled = exact * 10**6
    if scaled.denominator != 1:
        return str(exact)
    return f"{float(exact):.6f}".rstrip("0").rstrip(".")
