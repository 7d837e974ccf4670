"""A .loss text run as plain Python over mpmath numbers: no part of what it checks.

Only for texts that the tests hold themselves: it uses `eval`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
from mpmath import mp, mpf

DIGITS = 60
STEP = mpf(10) ** -12

Places = Mapping[tuple[int, ...], Any]


class Entries:
    """A tensor: its entries by place, or by a function of the place, each computed once."""

    def __init__(self, known: dict[Any, Any], compute: Callable[..., Any] | None = None) -> None:
        self.known, self.compute = known, compute

    def __getitem__(self, place: Any) -> Any:
        place = place if isinstance(place, tuple) else (place,)
        if place not in self.known:
            assert self.compute is not None
            self.known[place] = self.compute(*place)
        return self.known[place]


class _Exact(ast.NodeTransformer):
    """Numbers as mpf, `for k in K` over the size of K, `sum(...)` and the like over lists.

    A choice of 0 hides what it multiplies or is divided by, as in the language.
    """

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        sides = {ast.Mult: ("left", "right"), ast.Div: ("left",)}.get(type(node.op), ())
        for side in sides:
            choice = getattr(node, side)
            if isinstance(choice, ast.IfExp) and ast.unparse(choice.orelse) == "mpf('0')":
                setattr(node, side, choice.body)
                return ast.IfExp(choice.test, node, choice.orelse)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        text = ast.Constant(str(node.value))
        return ast.Call(ast.Name("mpf", ast.Load()), [text], [])

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        self.generic_visit(node)
        node.iter = ast.Call(ast.Name("range", ast.Load()), [node.iter], [])
        return node


def _mean(values: Any) -> Any:
    values = list(values)
    return mpmath.fsum(values) / len(values)


FUNCTIONS: dict[str, Any] = {
    "range": range,
    "mpf": mpf,
    "sum": mpmath.fsum,
    "prod": mpmath.fprod,
    "mean": _mean,
    "max": max,
    "min": min,
    "abs": abs,
    "sign": mpmath.sign,
    "delta": lambda i, j: mpf(i == j),
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "tanh": mpmath.tanh,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "relu": lambda x: max(x, mpf(0)),
}


def _compiled(node: ast.expr) -> Any:
    tree = ast.Expression(_Exact().visit(node))
    return compile(ast.fix_missing_locations(tree), "<loss>", "eval")


def run(text: str, sizes: Mapping[str, int], values: Mapping[str, Places]) -> dict[str, Any]:
    """Every name of a loss: numbers, and tensors as `Entries`."""
    names: dict[str, Any] = {**FUNCTIONS, **sizes}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.AnnAssign) and not isinstance(statement.annotation, ast.Call):
            _declare(statement, names, values)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            _define(statement, names)
    return names


def _declare(statement: ast.AnnAssign, names: dict[str, Any], values: Mapping[str, Places]) -> None:
    assert isinstance(statement.target, ast.Name)
    given = values[statement.target.id]
    written = ast.unparse(statement.annotation).partition(" or ")[0]
    label = " in " in written and written[-1].isupper()
    known = {p: int(v) if label else _number(v) for p, v in given.items()}
    names[statement.target.id] = known[()] if set(known) == {()} else Entries(known)


def _number(value: Any) -> Any:
    return value if isinstance(value, mpf) else mpf(value.numerator) / value.denominator


def _target(statement: ast.Assign | ast.AnnAssign) -> ast.expr:
    """The left side, also of `L: mean(w) = ...`."""
    return statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]


def _define(statement: ast.Assign | ast.AnnAssign, names: dict[str, Any]) -> None:
    assert statement.value is not None
    code = _compiled(statement.value)
    target = _target(statement)
    if isinstance(target, ast.Name):
        names[target.id] = eval(code, names)
        return
    assert isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)
    inside = target.slice
    slots = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    letters = [ast.unparse(slot) for slot in slots]
    here = dict(names)
    names[target.value.id] = Entries(
        {}, lambda *place: eval(code, {**here, **dict(zip(letters, place, strict=True))})
    )


def slope(
    text: str,
    sizes: Mapping[str, int],
    values: Mapping[str, Places],
    name: str,
    variables: list[tuple[str, tuple[int, ...]]],
) -> Any:
    """The derivative of the last definition by central differences, one after the other."""
    last = ast.unparse(_target(ast.parse(text).body[-1]))  # type: ignore[arg-type]
    if not variables:
        return run(text, sizes, values)[last]
    (which, place), *rest = variables
    old = _number(values[which][place])
    ends = []
    for way in (1, -1):
        moved = {**values, which: {**values[which], place: old + way * STEP}}
        ends.append(slope(text, sizes, moved, name, rest))
    return (ends[0] - ends[1]) / (2 * STEP)


def claimed(
    text: str,
    sizes: Mapping[str, int],
    values: Mapping[str, Places],
    claim: str,
    letters: Mapping[str, int],
) -> Any:
    """The value of a claim."""
    names = run(text, sizes, values)
    return eval(_compiled(ast.parse(claim, mode="eval").body), {**names, **letters})


__all__ = ["DIGITS", "claimed", "mp", "run", "slope"]
