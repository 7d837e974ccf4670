"""What a loss declares of its batch: the weights of a mean, and labels that are ignored."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from sympy import Expr

from derive.errors import InputError
from derive.expressions import read
from derive.index import Choice, Condition, Delta, Entry, Tensor, tensors
from derive.loss import Declaration, Definition, Loss
from derive.scope import Scope
from derive.text import Text, check_expression

BATCH = "N"


def is_weighted(statement: ast.stmt) -> TypeGuard[ast.AnnAssign]:
    """Whether a statement is `L: mean(w) = ...`."""
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.annotation, ast.Call):
        return False
    head = statement.annotation.func
    return isinstance(head, ast.Name) and head.id == "mean"


def read_weight(statement: ast.AnnAssign, last: ast.stmt, scope: Scope) -> tuple[Expr, ast.Assign]:
    """The weight of `L: mean(w) = ...`, and the definition that is left without it."""
    call = statement.annotation
    assert isinstance(call, ast.Call)
    if isinstance(statement.target, ast.Subscript):
        raise scope.text.error(
            statement.target, "the loss with an index", "a loss without an index"
        )
    if statement.value is None or not isinstance(statement.target, ast.Name):
        expected = "the loss that it belongs to: 'L: mean(w) = ...'"
        raise scope.text.error(call, "the weights of a mean without a loss", expected)
    if statement is not last:
        expected = "weights on the loss only, the last definition"
        raise scope.text.error(call, "the weights of a mean before the end", expected)
    if len(call.args) != 1 or call.keywords or isinstance(call.args[0], ast.GeneratorExp):
        raise scope.text.error(call, "'mean' of another form", "one number: 'L: mean(w) = ...'")
    check_expression(scope.text, call)
    weight = read(call.args[0], scope).expr
    plain = ast.Assign([statement.target], statement.value)
    return weight, ast.copy_location(plain, statement)


def marked(
    mark: Tensor,
    declarations: list[Declaration],
    definitions: Sequence[Definition],
    statement: ast.AnnAssign,
    scope: Scope,
) -> None:
    """Make the const that labels may be equal to a label of their axis, in `declarations`."""
    at = next(k for k, d in enumerate(declarations) if d.name == mark.name)
    const = declarations[at]
    whole = const.default is None or const.default.is_Integer
    if const.role != "const" or const.domain.kind != "real" or not whole:
        found = f"'{mark.name}', which is no integer const"
        raise scope.text.error(statement, found, f"a const such as '{mark.name}: const = -100'")
    if any(const.tensor in tensors(d.body) for d in definitions if const.tensor != mark):
        found = f"'{mark.name}', which a definition already uses as a number"
        raise scope.text.error(statement, found, "the label before the definitions")
    declarations[at] = replace(const, tensor=mark)


def check_conventions(loss: Loss, last: ast.stmt, page: Text) -> None:
    """Refuse a weight that varies with what is learnt, and a look-up at an ignored label."""
    node = last.annotation if isinstance(last, ast.AnnAssign) else last
    if loss.weight is not None:
        _check_weight(loss, node, page)
    for label in loss.declarations:
        if label.ignored is None:
            continue
        for place, expr in ((last, loss.value.body), (node, loss.weight)):
            if expr is not None and not is_guarded(loss.unfold(expr), label):
                raise _unguarded(label, place, page)


def _check_weight(loss: Loss, node: ast.AST, page: Text) -> None:
    assert loss.weight is not None
    if any(axis.name == BATCH for axis in loss.axes):
        found = f"the weights of a mean in a loss over the whole batch {BATCH}"
        raise page.error(node, found, "weights of a loss of one sample")
    names = sorted({name for t in tensors(loss.weight) for name in loss.below(t.name)})
    varying = [n for n in names if loss.declared[n].role in ("input", "param")]
    if varying:
        found = f"a weight that depends on the {loss.declared[varying[0]].role} '{varying[0]}'"
        raise page.error(node, found, "weights of targets and consts, which have no gradient")


def _unguarded(label: Declaration, node: ast.AST, page: Text) -> InputError:
    assert label.ignored is not None
    name, mark = label.name, label.ignored.name
    found = f"'{name}' or '{mark}' used where '{name}' may be ignored"
    return page.error(node, found, f"'... if {name} == {mark} else ...' around it")


def is_guarded(expr: Any, label: Declaration, safe: frozenset[Entry] = frozenset()) -> bool:
    """Whether the label is only used where a choice has found that it is not ignored.

    Comparing it with the const that marks ignored labels is no use of it, and the only one of
    that const.
    """
    if isinstance(expr, Choice):
        condition, value, otherwise = expr.args
        return (
            is_guarded(condition, label, safe)
            and is_guarded(value, label, safe | kept_where(condition, label))
            and is_guarded(otherwise, label, safe | kept_where(condition, label, False))
        )
    parts = expr.operands if isinstance(expr, Condition) else expr.args
    if isinstance(expr, Delta | Condition) and any(_is_mark(part, label) for part in parts):
        return all(isinstance(part, Entry) for part in parts)
    if isinstance(expr, Entry) and expr.tensor in (label.tensor, label.ignored):
        return expr in safe
    return all(is_guarded(part, label, safe) for part in parts)


def kept_where(condition: Condition, label: Declaration, holds: bool = True) -> frozenset[Entry]:
    """The labels that are not ignored where the condition holds, or where it does not."""
    op, parts = condition.op, condition.operands
    if op == "not":
        return kept_where(parts[0], label, not holds)
    if op in ("and", "or") and (op == "and") == holds:
        return frozenset[Entry]().union(*(kept_where(part, label, holds) for part in parts))
    if op not in ("==", "!=") or (op == "!=") != holds:
        return frozenset()
    if not any(_is_mark(part, label) for part in parts):
        return frozenset()
    return frozenset(p for p in parts if isinstance(p, Entry) and p.tensor == label.tensor)


def _is_mark(part: Any, label: Declaration) -> bool:
    return isinstance(part, Entry) and part.tensor == label.ignored
