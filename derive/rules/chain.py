"""The chain rule over all paths, definitions and lemmas put in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sympy import Add, Expr, S

from derive.derivation import Rule
from derive.index import (
    Diff,
    Entry,
    Partial,
    Tensor,
    fresh,
    kinds,
    rebuild,
    substitute,
    tensors,
    total,
)
from derive.loss import Loss
from derive.rules.registry import register

Lemmas = tuple[tuple[Expr, Expr], ...]


def consumers(loss: Loss, name: str) -> tuple[str, ...]:
    """The definitions whose own text names `name`, in order."""
    tensor = loss.tensor(name)
    return tuple(d.name for d in loss.definitions if tensor in tensors(d.body))


def _all_paths(expr: Expr, loss: Loss, through: tuple[str, ...]) -> Expr:
    """d of/d v = sum over every definition c that names v, and over every entry of c."""
    of, variable, _ = expr.args
    return Add(
        *(
            Partial(of, variable, S.One)
            if name == of.tensor.name
            else _over_entries(
                loss.tensor(name), lambda c: Partial(of, c) * Partial(c, variable, S.One)
            )
            for name in through
        )
    )


def _inwards(expr: Expr, loss: Loss, through: tuple[str, ...]) -> Expr:
    """d of/d v = sum over every name in the definition of `of`, and over every entry of it."""
    of, variable, _ = expr.args
    return Add(
        *(
            Partial(of, variable, S.One)
            if name == variable.tensor.name
            else _over_entries(
                loss.tensor(name), lambda c: Partial(of, c, S.One) * Partial(c, variable)
            )
            for name in through
        )
    )


def _over_entries(tensor: Tensor, passed: Callable[[Entry], Expr]) -> Expr:
    """The sum over all entries of a tensor of what each passes on."""
    indices = tuple(fresh(axis) for axis in tensor.axes)
    result = passed(tensor[indices])
    for index in indices:
        result = total(index, result)
    return result


def _definition(expr: Expr, loss: Loss) -> Expr:
    """A direct partial derivative is that of the definition's right-hand side."""
    of, variable, _ = expr.args
    return Diff(loss.defined[of.tensor.name].at(of), variable)


def _value(expr: Expr, loss: Loss, name: str) -> Expr:
    """Replace a defined name by its definition."""
    definition = loss.defined[name]

    def visit(node: Any) -> Any:
        if isinstance(node, Entry) and node.tensor.name == name:
            return definition.at(node)
        return rebuild(node, visit)

    return visit(expr)


def _insert(expr: Expr, lemmas: Lemmas) -> Expr:
    """Replace each named derivative by the result of its lemma, at the indices it has here."""

    def visit(node: Any) -> Any:
        if isinstance(node, Partial):
            for pattern, result in lemmas:
                here = instance(pattern, node)
                if here is not None:
                    return substitute(result, here)
        return rebuild(node, visit) if Partial in kinds(node) else node

    return visit(expr)


def instance(pattern: Expr, node: Expr) -> dict[Expr, Expr] | None:
    """The indices at which a lemma about `pattern` speaks of `node`."""
    here: dict[Expr, Expr] = {}
    for mine, other in zip(pattern.args[:2], node.args[:2], strict=True):
        if mine.tensor != other.tensor:
            return None
        here.update(zip(mine.indices, other.indices, strict=True))
    same = substitute(pattern, here) == node
    return here if same else None


all_paths = register(
    Rule(
        "chain rule over all paths",
        "every entry that depends on the variable passes its share on",
        _all_paths,
        "each definition on the way is differentiable",
        "chain rule",
    )
)
inwards = register(
    Rule(
        "chain rule",
        "every name in the definition passes its change on",
        _inwards,
        "each definition on the way is differentiable",
        "chain rule",
    )
)
definition = register(
    Rule(
        "definition",
        "the derivative of the right-hand side of its definition, its other names held fixed",
        _definition,
    )
)
unfold = register(Rule("unfold", "the name is replaced by its definition", _value))
insert = register(Rule("insert the lemmas", "each derivative was derived above", _insert))
