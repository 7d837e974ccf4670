"""Reading declarations: `name: role[axes] domain = default`."""

from __future__ import annotations

import ast
from typing import Any

from flint import arb, ctx
from sympy import Expr, Integer, Rational

from derive.building import Value
from derive.errors import InputError
from derive.expressions import read
from derive.index import Axis, Tensor
from derive.loss import ROLES, Declaration, Domain
from derive.magnitude import measure
from derive.scope import DOMAINS, WORDS, Scope, check_new_name, describe, nearest, subscripts
from derive.text import check_expression

_ROLES = "a role: input, param, target or const"
_DOMAIN = "a domain such as 'in simplex', 'in K', '> 0' or '0 < const < 1'"


def read_declaration(statement: ast.AnnAssign, scope: Scope) -> Declaration:
    """One declaration; its axes and its name must not clash with names already known."""
    target = statement.target
    if not isinstance(target, ast.Name) or not statement.simple:
        found, expected = describe(target, scope.text), "a name to declare, such as 'x: input[D]'"
        raise scope.text.error(target, found, expected)
    check_new_name(target.id, target, scope)
    check_expression(scope.text, statement.annotation)
    annotation, mark = _without_mark(statement.annotation, scope)
    role_node, domain, label = _read_annotation(annotation, target.id, scope)
    role, axes = _read_role(role_node, target.id, scope)
    if label is not None and role in ("param", "const"):
        found = f"a {role} that is a class label"
        raise scope.text.error(role_node, found, "a class label that is an input or a target")
    if domain.kind == "simplex" and not axes:
        raise scope.text.error(role_node, "a simplex without an axis", f"an axis: {role}[K]")
    tensor = Tensor(target.id, axes, label)
    default = None
    if statement.value is not None:
        default = _read_default(statement.value, role, tensor, domain, scope)
    ignored = None if mark is None else _read_mark(mark, label, scope)
    return Declaration(tensor, role, domain, default, ignored)


def _without_mark(node: ast.expr, scope: Scope) -> tuple[ast.expr, ast.expr | None]:
    """The annotation without 'or ignore_index', and what stands after the 'or'."""
    if not isinstance(node, ast.BoolOp) or not isinstance(node.op, ast.Or):
        return node, None
    if len(node.values) > 2:
        raise scope.text.error(node, "a domain of another form", _DOMAIN)
    return node.values[0], node.values[1]


def _read_mark(node: ast.expr, label: Axis | None, scope: Scope) -> Tensor:
    """The const that a label may be equal to besides: from here on a label over the same axis."""
    if label is None:
        raise scope.text.error(node, "'or' after a domain without labels", "a label: 'in K or ...'")
    known = scope.tensors.get(node.id) if isinstance(node, ast.Name) else None
    if known is None or known.axes or known.label not in (None, label):
        expected = "a const without axes declared before, such as 'ignore_index: const = -100'"
        raise scope.text.error(node, f"'{scope.text.written(node)[:40]}'", expected)
    return Tensor(known.name, (), label)


def _read_annotation(
    node: ast.expr, name: str, scope: Scope
) -> tuple[ast.expr, Domain, Axis | None]:
    """The node of the role, the domain, and the axis of a class label."""
    if not isinstance(node, ast.Compare):
        return node, Domain(), None
    sides = [node.left, *node.comparators]
    if len(sides) == 2 and isinstance(node.ops[0], ast.In):
        domain, label = _read_named(sides[1], name, scope)
        return sides[0], domain, label
    roles = [place for place, side in enumerate(sides) if _is_role(side)]
    if len(sides) > 3 or len(roles) != 1 or (len(sides) == 3 and roles != [1]):
        raise scope.text.error(node, "a domain of another form", _DOMAIN)
    place = roles[0]
    domain = Domain()
    for number, op in enumerate(node.ops):
        domain = _bounded(domain, sides[number], op, sides[number + 1], number >= place, scope)
    _check_bounds(domain, node, scope)
    return sides[place], domain, None


def _is_role(node: ast.expr) -> bool:
    node = node.value if isinstance(node, ast.Subscript) else node
    return isinstance(node, ast.Name) and node.id in ROLES


def _read_named(node: ast.expr, name: str, scope: Scope) -> tuple[Domain, Axis | None]:
    """A domain by its name, or the axis of a class label."""
    if isinstance(node, ast.Name) and node.id in DOMAINS:
        return Domain(node.id), None
    if isinstance(node, ast.Name) and node.id[0].isupper():
        return Domain("label"), _read_axis(node, name, scope)
    found = describe(node, scope.text)
    near = nearest(node.id, DOMAINS) if isinstance(node, ast.Name) else None
    expected = "a domain: simplex, binary, unit, sign or an axis"
    raise scope.text.error(node, found, expected, near)


def _bounded(
    domain: Domain, left: ast.expr, op: ast.cmpop, right: ast.expr, role_left: bool, scope: Scope
) -> Domain:
    """The domain with one more bound."""
    if not isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
        raise scope.text.error(right, "a domain without <, <=, > or >=", _DOMAIN)
    bound = _read_constant(right if role_left else left, scope).expr
    is_open = isinstance(op, ast.Lt | ast.Gt)
    if isinstance(op, ast.Gt | ast.GtE) == role_left:
        if domain.lower is not None:
            raise scope.text.error(right, "a second lower bound", "one lower and one upper bound")
        return Domain("real", bound, domain.upper, is_open, domain.upper_open)
    if domain.upper is not None:
        raise scope.text.error(right, "a second upper bound", "one lower and one upper bound")
    return Domain("real", domain.lower, bound, domain.lower_open, is_open)


def _check_bounds(domain: Domain, node: ast.expr, scope: Scope) -> None:
    if domain.lower is None or domain.upper is None:
        return
    if domain.lower != domain.upper and below(domain.lower, domain.upper):
        return
    if domain.lower == domain.upper and not (domain.lower_open or domain.upper_open):
        return
    raise scope.text.error(node, "a domain without any number", "a lower bound below the upper one")


def _read_role(node: ast.expr, name: str, scope: Scope) -> tuple[str, tuple[Axis, ...]]:
    head = node.value if isinstance(node, ast.Subscript) else node
    if not isinstance(head, ast.Name) or head.id not in ROLES:
        near = nearest(head.id, ROLES) if isinstance(head, ast.Name) else None
        raise scope.text.error(head, describe(head, scope.text), _ROLES, near)
    slots = subscripts(node) if isinstance(node, ast.Subscript) else []
    return head.id, tuple(_read_axis(slot, name, scope) for slot in slots)


def _read_axis(node: ast.expr, name: str, scope: Scope) -> Axis:
    """An axis, known already or new."""
    if not isinstance(node, ast.Name) or not node.id[0].isupper():
        expected = "an axis, a name that begins with a capital letter"
        raise scope.text.error(node, describe(node, scope.text), expected)
    if node.id == name or node.id in scope.tensors or node.id in WORDS:
        expected = "an axis whose name has no other meaning"
        raise scope.text.error(node, f"'{node.id}', the name of a tensor", expected)
    return scope.axes.get(node.id) or Axis(node.id)


def _read_constant(node: ast.expr, scope: Scope) -> Value:
    """A number without any name of the loss in it."""
    value = read(node, Scope(scope.text, {}, {}))
    if value.size.value is None:
        raise scope.text.error(node, describe(node, scope.text), "a number")
    return value


def _read_default(node: ast.expr, role: str, tensor: Tensor, domain: Domain, scope: Scope) -> Expr:
    if role != "const":
        expected = "a default on a const only"
        raise scope.text.error(node, f"a default on '{tensor.name}', not a const", expected)
    check_expression(scope.text, node)
    value = _read_constant(node, scope).expr
    if not contains(domain, value):
        written = scope.text.written(node)
        raise _outside(node, written, domain, scope)
    return value


def _outside(node: ast.expr, written: str, domain: Domain, scope: Scope) -> InputError:
    expected = f"a default in {domain.kind}" if domain.kind != "real" else "a default in its domain"
    return scope.text.error(node, f"the default {written}", expected)


def contains(domain: Domain, value: Expr) -> bool:
    """Whether a domain holds a constant."""
    if domain.kind == "binary":
        return value in (0, 1)
    if domain.kind == "sign":
        return value in (-1, 1)
    if domain.kind == "unit":
        domain = Domain("real", Integer(0), Integer(1))
    if domain.lower is not None and not below(domain.lower, value, domain.lower_open):
        return False
    return domain.upper is None or below(value, domain.upper, domain.upper_open)


def below(low: Expr, high: Expr, strictly: bool = False) -> bool:
    """Whether one constant is below another."""
    if low == high:
        return not strictly
    if isinstance(low, Rational) and isinstance(high, Rational):
        return bool(low < high)
    with ctx.workprec(256):
        return bool(_ball(low) < _ball(high))


def _ball(value: Expr) -> Any:
    ball = measure(value, {}).value
    return arb(0) if ball is None else ball
