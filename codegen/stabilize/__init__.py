"""Exact rewriting into numerically stable form, by rules with reasons.

A loss is written as on paper; the rules here give each definition, and each gradient, a form in
which nothing overflows and nothing cancels that need not.  No rule knows any loss by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sympy import Basic, Expr

from codegen.stabilize import complement, hyperbolic, logistic, logs, softmax
from derive.derivation import Derivation, Rule, Step
from derive.errors import KernelError
from derive.functions import sigmoid, softplus
from derive.index import Entry, rebuild
from derive.loss import Definition, Loss

RULES: tuple[Rule, ...] = (
    *logs.RULES,
    *softmax.RULES,
    *logistic.RULES,
    *hyperbolic.RULES,
    *complement.RULES,
)
EMITTED: tuple[Rule, ...] = logistic.EMITTED
LIMIT = 50


@dataclass(frozen=True)
class Gradient:
    """The derivative of the loss by an entry, in the names of the loss."""

    wrt: Entry
    result: Expr


@dataclass(frozen=True)
class Stable:
    """A loss and its gradients in stable form, and how each definition and gradient got there."""

    loss: Loss
    gradients: tuple[Gradient, ...]
    derivations: tuple[Derivation, ...]


def rewrite(expr: Expr, loss: Loss, rules: tuple[Rule, ...] = RULES) -> tuple[Step, ...]:
    """The steps that bring `expr` into stable form; names have the meaning the loss gives them."""
    steps: list[Step] = []
    while len(steps) < LIMIT:
        for rule in rules:
            after = rule.apply(expr, loss=loss)
            if after != expr:
                steps.append(Step(rule, rule.reason, expr, after, (("loss", loss),)))
                expr = after
                break
        else:
            return tuple(steps)
    raise KernelError(f"{loss.name}: stabilising does not come to an end")


def stabilize(loss: Loss, gradients: tuple[Gradient, ...] = ()) -> Stable:
    """Rewrite every definition of the loss, in order, and then the gradients."""
    done = replace(loss, definitions=())
    derivations: list[Derivation] = []
    for definition in loss.definitions:
        steps = rewrite(definition.body, done)
        body = steps[-1].after if steps else definition.body
        title = f"stable form of {definition.name}"
        derivations.append(_derivation(loss, title, definition.entry, (), definition.body, steps))
        done = replace(done, definitions=(*done.definitions, Definition(definition.entry, body)))
    stable: list[Gradient] = []
    for gradient in gradients:
        steps = rewrite(gradient.result, done)
        title = f"stable form of the gradient by {gradient.wrt.tensor.name}"
        of, wrt, start = loss.value.entry, (gradient.wrt,), gradient.result
        derivations.append(_derivation(loss, title, of, wrt, start, steps))
        stable.append(replace(gradient, result=steps[-1].after if steps else start))
    return Stable(done, tuple(stable), tuple(derivations))


def as_written(loss: Loss, gradients: tuple[Gradient, ...] = ()) -> Stable:
    """The opposite: every formula as on paper, sigmoid and softplus by their meaning."""

    def visit(node: Basic) -> Basic:
        node = rebuild(node, visit)
        return node.meaning() if isinstance(node, sigmoid | softplus) else node

    definitions = tuple(Definition(d.entry, visit(d.body)) for d in loss.definitions)
    plain = tuple(replace(g, result=visit(g.result)) for g in gradients)
    return Stable(replace(loss, definitions=definitions), plain, ())


def _derivation(
    loss: Loss, title: str, of: Entry, wrt: tuple[Entry, ...], start: Expr, steps: tuple[Step, ...]
) -> Derivation:
    """The steps and, after them, how the primitives that are left get evaluated."""
    result = steps[-1].after if steps else start
    last = []
    for rule in EMITTED:
        after = rule.apply(result, loss=loss)
        if after != result:
            last.append(Step(rule, rule.reason, result, after, (("loss", loss),)))
            result = after
    return Derivation(loss, title, of, wrt, start, result, (*steps, *last))
