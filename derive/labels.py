"""Class labels for a dense target: each y[i] becomes a delta, which sums contract."""

from __future__ import annotations

from dataclasses import replace

from sympy import Add, Basic, Expr, Mul, Pow

from derive.errors import DerivationError
from derive.index import (
    TRUE,
    Delta,
    Entry,
    Tensor,
    Total,
    free_indices,
    rebuild,
    substitute,
    total,
)
from derive.loss import Definition, Domain, Loss


def with_labels(loss: Loss, name: str) -> Loss:
    """The loss with its dense target `name`, over one axis, given as a class label.

    y[i] becomes delta(i, y), and each sum that it is a factor in keeps its one term.
    Raises DerivationError where the target is not a vector over one axis of classes.
    """
    declaration = loss.declared.get(name)
    if declaration is None or declaration.role != "target" or not declaration.tensor.axes:
        raise DerivationError(f"{loss.name} has no dense target '{name}'")
    label = _label(declaration.tensor)
    definitions = tuple(
        Definition(d.entry, as_labels(d.body, declaration.tensor, loss)) for d in loss.definitions
    )
    given = replace(declaration, tensor=label, domain=Domain("label"))
    declarations = tuple(given if d.name == name else d for d in loss.declarations)
    return replace(loss, declarations=declarations, definitions=definitions, text="")


def as_labels(expr: Expr, target: Tensor, loss: Loss) -> Expr:
    """The expression with each entry of the dense target as a delta, and the sums contracted.

    A power of a delta is the delta, where the loss shows that the exponent is above 0.
    """
    label = _label(target)

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor == target:
            *before, last = node.indices
            return Delta(last, Entry(label, *before))
        node = rebuild(node, visit)
        if isinstance(node, Pow) and isinstance(node.base, Delta) and _is_positive(node.exp, loss):
            return node.base
        return contract(node)

    return visit(expr)


def _is_positive(expr: Expr, loss: Loss) -> bool:
    """Whether it names a const that is declared > 0."""
    declaration = loss.declared.get(expr.tensor.name) if isinstance(expr, Entry) else None
    if declaration is None or declaration.domain.lower is None:
        return False
    lower, is_open = declaration.domain.lower, declaration.domain.lower_open
    return bool(lower > 0 or (lower == 0 and is_open))


def _label(target: Tensor) -> Tensor:
    *rest, classes = target.axes
    return Tensor(target.name, tuple(rest), classes)


def contract(node: Basic) -> Basic:
    """sum_i delta(i, j) f_i = f_j, for each term of the sum that has such a factor."""
    if not isinstance(node, Total) or node.args[2] != TRUE:
        return node
    index, body, _ = node.open()
    kept: list[Expr] = []
    found: list[Expr] = []
    for term in Add.make_args(body):
        deltas = [f for f in Mul.make_args(term) if isinstance(f, Delta) and index in f.args]
        if not deltas or index in free_indices(deltas[0].other(index)):
            kept.append(term)
            continue
        others = list(Mul.make_args(term))
        others.remove(deltas[0])
        found.append(substitute(Mul(*others), {index: deltas[0].other(index)}))
    if not found:
        return node
    return Add(*found, total(index, Add(*kept)) if kept else 0)
