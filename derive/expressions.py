"""Expressions of the language: from Python's syntax tree to SymPy, by a whitelist."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import reduce
from typing import Any

import sympy
from sympy import Expr, S

from derive.building import (
    HALF,
    MINUS,
    ONE,
    Value,
    apply,
    exact,
    make,
    negate,
    plus,
    raise_to,
    times,
)
from derive.index import (
    TRUE,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Maximum,
    Minimum,
    Product,
    Share,
    Total,
    bind,
    free_indices,
    fresh,
    order,
    total,
)
from derive.magnitude import SYMBOL, add, constant_pi, merge
from derive.scope import (
    FUNCTIONS,
    REDUCTIONS,
    Scope,
    check_new_name,
    describe,
    index_pair,
    is_index,
    nearest,
    read_entry,
    read_index,
    unknown_name,
)

_OURS = {"abs": "absolute", "sign": "signum", "max": "largest", "min": "smallest"}
_BINDERS = {"sum": Total, "prod": Product, "max": Maximum, "min": Minimum, "mean": Total}
_OPERATORS = "one of +, -, *, /, **"
_SIGNS: dict[type[ast.AST], str] = dict(
    [
        *((ast.Eq, "=="), (ast.NotEq, "!="), (ast.Lt, "<"), (ast.LtE, "<="), (ast.Gt, ">")),
        *((ast.GtE, ">="), (ast.FloorDiv, "//"), (ast.Mod, "%"), (ast.MatMult, "@")),
        *((ast.BitAnd, "&"), (ast.BitOr, "|"), (ast.BitXor, "^"), (ast.LShift, "<<")),
        *((ast.RShift, ">>"), (ast.In, "in"), (ast.NotIn, "not in"), (ast.Is, "is")),
        (ast.IsNot, "is not"),
    ]
)
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def read(node: ast.expr, scope: Scope) -> Value:
    """A number.  Raises InputError at the place of what the language does not have."""
    reader = _READERS.get(type(node))
    if reader is None:
        raise scope.text.error(node, describe(node, scope.text), "a number or an expression")
    return reader(node, scope)


def read_condition(node: ast.expr, scope: Scope) -> Condition:
    """A truth value: comparisons, and, or, not."""
    if isinstance(node, ast.BoolOp):
        word = "and" if isinstance(node.op, ast.And) else "or"
        return Condition(word, *(read_condition(part, scope) for part in node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Condition("not", read_condition(node.operand, scope))
    if not isinstance(node, ast.Compare):
        expected = "a condition such as 'x > 0' or 'i == t'"
        raise scope.text.error(node, describe(node, scope.text), expected)
    sides = [node.left, *node.comparators]
    read_once: dict[int, Expr] = {}
    parts = []
    for place, op in enumerate(node.ops):
        left, right, sign = sides[place], sides[place + 1], _SIGNS[type(op)]
        if sign not in _COMPARISONS:
            found = f"the comparison '{sign}'"
            raise scope.text.error(right, found, "one of ==, !=, <, <=, >, >=")
        if sign in ("==", "!=") and (is_index(left, scope) or is_index(right, scope)):
            parts.append(Condition(sign, *index_pair(left, right, scope)))
            continue
        for here in (place, place + 1):
            if here not in read_once:
                read_once[here] = read(sides[here], scope).expr
        parts.append(Condition(sign, read_once[place], read_once[place + 1]))
    return parts[0] if len(parts) == 1 else Condition("and", *parts)


def _read_number(node: ast.Constant, scope: Scope) -> Value:
    value = None
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        value = exact(node, scope.text.written(node), scope)
    if value is None:
        expected = "a decimal number or a name"
        raise scope.text.error(node, describe(node, scope.text), expected)
    return value


def _read_name(node: ast.Name, scope: Scope) -> Value:
    if node.id in scope.indices:
        expected = "a number, which an index is not: declare a rank, as in rank: target[K]"
        raise scope.text.error(node, f"the index '{node.id}' used as a number", expected)
    if node.id in scope.tensors:
        return _read_entry(node, scope)
    if node.id in scope.axes:
        return Value(scope.axes[node.id], SYMBOL)
    if node.id == "pi":
        return Value(sympy.pi, constant_pi())
    raise unknown_name(node, scope)


def _read_entry(node: ast.expr, scope: Scope) -> Value:
    entry = read_entry(node, scope)
    if entry.tensor.label is not None:
        found = f"the class label '{entry.tensor.name}' used as a number"
        raise scope.text.error(node, found, "a number, since a class label is not a number")
    return Value(entry, scope.sizes.get(entry.tensor.name, SYMBOL))


def _read_unary(node: ast.UnaryOp, scope: Scope) -> Value:
    if isinstance(node.op, ast.UAdd):
        return read(node.operand, scope)
    if isinstance(node.op, ast.USub):
        return negate(node, read(node.operand, scope), scope)
    if isinstance(node.op, ast.Not):
        raise scope.text.error(node, "a condition", "a number, such as '1 if x > 0 else 0'")
    raise scope.text.error(node, "the operator '~'", _OPERATORS)


def _read_binary(node: ast.BinOp, scope: Scope) -> Value:
    if isinstance(node.op, ast.Pow):
        base, exponent = read(node.left, scope), read(node.right, scope)
        return raise_to(node, base, exponent, scope)
    if isinstance(node.op, ast.Add | ast.Sub):
        terms = [
            negate(right, read(right, scope), scope)
            if isinstance(op, ast.Sub)
            else read(right, scope)
            for op, right in _chain(node, (ast.Add, ast.Sub))
        ]
        return plus(node, terms, scope)
    if isinstance(node.op, ast.Mult | ast.Div):
        factors = [
            raise_to(right, read(right, scope), MINUS, scope)
            if isinstance(op, ast.Div)
            else read(right, scope)
            for op, right in _chain(node, (ast.Mult, ast.Div))
        ]
        return times(node, factors, scope)
    found = f"the operator '{_SIGNS[type(node.op)]}'"
    raise scope.text.error(node, found, _OPERATORS)


def _chain(node: ast.BinOp, kinds: Any) -> list[tuple[ast.operator | None, ast.expr]]:
    """The operands of a chain such as a - b + c, each with the operator before it."""
    links: list[tuple[ast.operator | None, ast.expr]] = []
    here: ast.expr = node
    while isinstance(here, ast.BinOp) and isinstance(here.op, kinds):
        links.append((here.op, here.right))
        here = here.left
    links.append((None, here))
    return links[::-1]


def _read_choice(node: ast.IfExp, scope: Scope) -> Value:
    condition = read_condition(node.test, scope)
    value, otherwise = read(node.body, scope), read(node.orelse, scope)
    branches = (value.expr, otherwise.expr)
    if condition.op in ("==", "!=") and branches in ((1, 0), (0, 1)):
        first, second = condition.operands
        if isinstance(first, Index) or (isinstance(first, Entry) and first.tensor.label):
            same = Delta(first, second)
            positive = (branches == (1, 0)) == (condition.op == "==")
            return Value(same if positive else 1 - same, add([SYMBOL, SYMBOL]))
    expr = Choice(condition, *branches)
    return make(node, scope, lambda: merge([value.size, otherwise.size]), lambda: expr)


def _read_call(node: ast.Call, scope: Scope) -> Value:
    if not isinstance(node.func, ast.Name):
        raise scope.text.error(node.func, describe(node.func, scope.text), "a function's name")
    name = node.func.id
    if name not in FUNCTIONS and name not in REDUCTIONS:
        near = nearest(name, [*FUNCTIONS, *REDUCTIONS])
        known = "a function of the language"
        known += "" if near else ", one of " + ", ".join((*FUNCTIONS, *REDUCTIONS))
        raise scope.text.error(node.func, f"a call of '{name}'", known, near)
    if node.keywords:
        raise scope.text.error(node.keywords[0].value, "a keyword argument", "a plain one")
    if name in REDUCTIONS and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
        return _read_reduction(node, name, node.args[0], scope)
    _check_count(node, name, scope)
    if name == "delta":
        pair = index_pair(node.args[0], node.args[1], scope)
        return Value(Delta(*pair), SYMBOL)
    if name == "share":
        return _share(node, scope)
    values = [read(argument, scope) for argument in node.args]
    if name == "sqrt":
        return raise_to(node, values[0], HALF, scope)
    if name == "log1p":
        return apply(node, "log", [plus(node, [ONE, *values], scope)], scope)
    if name == "expm1":
        return plus(node, [apply(node, "exp", values, scope), MINUS], scope)
    name = _OURS.get(name, name)
    if len(values) == 1:
        return apply(node, name, values, scope)
    values.sort(key=lambda value: order(value.expr))
    return reduce(lambda left, right: apply(node, name, [left, right], scope), values)


def _share(node: ast.Call, scope: Scope) -> Value:
    extremum = read(node.args[0], scope).expr
    if not isinstance(extremum, Maximum | Minimum):
        raise scope.text.error(node.args[0], "a number", "a max or min over an axis")
    return Value(Share(extremum, read_index(node.args[1], extremum.axis, scope)), SYMBOL)


def _check_count(node: ast.Call, name: str, scope: Scope) -> None:
    """Refuse a call with the wrong number of arguments."""
    count = len(node.args)
    found = f"{count} argument{'' if count == 1 else 's'} of '{name}'"
    if name in ("max", "min") and count < 2:
        expected = f"a generator such as '{name}(a[k] for k in K)', or two numbers"
        raise scope.text.error(node, found, expected)
    if name in ("sum", "prod", "mean"):
        expected = f"a generator such as '{name}(a[k] for k in K)'"
        raise scope.text.error(node, found, expected)
    wanted = 2 if name in ("delta", "share") else 1
    if name in FUNCTIONS and count != wanted:
        raise scope.text.error(node, found, str(wanted))


def _read_reduction(node: ast.Call, name: str, generator: ast.GeneratorExp, scope: Scope) -> Value:
    """sum, prod, mean, max or min over one axis or several; the first is the outermost."""
    levels: list[tuple[Index, Condition]] = []
    for part in generator.generators:
        scope, index = _bind_letter(part, scope)
        guards = [read_condition(guard, scope) for guard in part.ifs]
        guard = guards[0] if len(guards) == 1 else Condition("and", *guards) if guards else TRUE
        levels.append((index, guard))
    body = read(generator.elt, scope)
    expr, count = body.expr, S.One
    for index, guard in reversed(levels):
        expr = bind(_BINDERS[name], index, expr, guard)
        plain = guard == TRUE and index not in free_indices(count)
        count = index.axis * count if plain else total(index, count, guard)
    if name == "mean":
        expr = expr / count
    return make(node, scope, lambda: merge([body.size]), lambda: expr)


def _bind_letter(part: ast.comprehension, scope: Scope) -> tuple[Scope, Index]:
    """The scope inside 'for k in K', and the index bound."""
    if not isinstance(part.target, ast.Name):
        raise scope.text.error(part.target, describe(part.target, scope.text), "an index letter")
    if not isinstance(part.iter, ast.Name):
        raise scope.text.error(part.iter, describe(part.iter, scope.text), "an axis")
    if part.is_async:
        raise scope.text.error(part.target, "an asynchronous sum", "a plain 'for'")
    check_new_name(part.target.id, part.target, scope)
    axis = scope.axes.get(part.iter.id)
    if axis is None:
        near = nearest(part.iter.id, list(scope.axes))
        expected = "an axis of a declaration"
        raise scope.text.error(part.iter, f"'{part.iter.id}', which is not an axis", expected, near)
    index = fresh(axis)
    return scope.with_index(part.target.id, index), index


_READERS: dict[type[ast.expr], Callable[[Any, Scope], Value]] = {
    ast.Constant: _read_number,
    ast.Name: _read_name,
    ast.Subscript: _read_entry,
    ast.UnaryOp: _read_unary,
    ast.BinOp: _read_binary,
    ast.IfExp: _read_choice,
    ast.Call: _read_call,
}
