"""Exact rewriting into numerically stable form, by rules with reasons.

A loss is written as on paper; the rules here give each definition, and each gradient, a form in
which nothing overflows and nothing cancels that need not.  No rule knows any loss by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from sympy import Basic, Expr

from codegen.stabilize import (
    angles,
    apart,
    bregman,
    choices,
    complement,
    differences,
    divergence,
    fractions,
    hyperbolic,
    intervals,
    logistic,
    logs,
    means,
    mixtures,
    near_one,
    normal,
    overlaps,
    own_terms,
    partial,
    roots,
    shares,
    sigmoids,
    softmax,
    vanishing,
)
from derive.derivation import Derivation, Rule, Step
from derive.errors import KernelError
from derive.functions import (
    erfc,
    erfcx,
    expm1,
    expm1mx,
    grouped,
    log1mexp,
    log1p,
    log1pmx,
    sigmoid,
    softplus,
)
from derive.index import Entry, rebuild
from derive.loss import Definition, Loss
from derive.record import Checker, Recorder

RULES: tuple[Rule, ...] = (
    *fractions.FIRST,
    *divergence.RULES,
    *mixtures.RULES,
    *bregman.RULES,
    *overlaps.RULES,
    *hyperbolic.RULES,
    *normal.RULES,
    *intervals.RULES,
    *complement.FIRST,
    *near_one.RULES,
    *partial.RULES,
    *apart.FIRST,
    *logs.RULES,
    softmax.expose,
    softmax.weights_into_exps,
    *own_terms.RULES,
    *apart.RULES,
    *softmax.RULES,
    *partial.LAST,
    *logistic.RULES,
    *sigmoids.RULES,
    *complement.RULES,
    *normal.LAST,
    *choices.RULES,
    *vanishing.RULES,
    *roots.RULES,
    *angles.RULES,
)
EMITTED: tuple[Rule, ...] = logistic.EMITTED
LIMIT = 50
UNCHECKED = "unchecked"
SECOND: tuple[Rule, ...] = (
    *fractions.RULES,
    *means.RULES,
    *shares.RULES,
)  # first, for second derivatives
OPTIONAL: tuple[Rule, ...] = differences.OPTIONAL  # only where measuring chose them
WRITTEN = (*(erfc, erfcx, expm1, expm1mx, grouped, log1mexp, log1p, log1pmx, sigmoid, softplus),)


@dataclass(frozen=True)
class Selection:
    """Which rules a loss is made stable by: all but those without, and the optional ones added.

    A compensated kernel carries the rounding errors that its functions would make more of.
    """

    without: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    compensated: bool = False

    @property
    def rules(self) -> tuple[Rule, ...]:
        kept = tuple(rule for rule in RULES if rule.name not in self.without)
        return (*kept, *(rule for rule in OPTIONAL if rule.name in self.added))

    def carrying(self, errors: bool) -> Selection:
        """The same with the errors carried, or not; an error is put back once only."""
        added = tuple(
            name for name in self.added if not errors or name != differences.put_back.name
        )
        return replace(self, added=added, compensated=errors)


ALL = Selection()


@dataclass(frozen=True)
class Gradient:
    """The derivative of the loss by an entry, in the names of the loss.

    Of the second order are entries of a Hessian, and its products with directions.
    """

    wrt: Entry
    result: Expr
    order: int = 1


class Unchecked(Checker):
    """In place of a checker, where a form is only tried."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def method(self, *_: object, **__: object) -> str:
        return UNCHECKED


@dataclass(frozen=True)
class Stable:
    """A loss and its gradients in stable form, and how each definition and gradient got there."""

    loss: Loss
    gradients: tuple[Gradient, ...]
    derivations: tuple[Derivation, ...]


def rewrite(
    expr: Expr, loss: Loss, checker: Checker, rules: tuple[Rule, ...] = RULES
) -> tuple[Step, ...]:
    """The steps that bring `expr` into stable form; names have the meaning the loss gives them."""
    recorder = Recorder(loss, expr, checker)
    while len(recorder.steps) < LIMIT:
        if not any(recorder.apply(rule, loss=loss) for rule in rules):
            return tuple(recorder.steps)
    raise KernelError(f"{loss.name}: stabilising does not come to an end")


@lru_cache(maxsize=64)
def stabilize(
    loss: Loss,
    gradients: tuple[Gradient, ...] = (),
    selection: Selection = ALL,
    kind: type[Checker] = Checker,
) -> Stable:
    """Rewrite every definition of the loss, in order, and then the gradients."""
    rules = selection.rules
    done, checker = replace(loss, definitions=()), kind(loss)
    derivations: list[Derivation] = []
    for definition in loss.definitions:
        steps = rewrite(definition.body, done, checker, rules)
        start = Derivation(
            loss,
            f"stable form of {definition.name}",
            definition.entry,
            (),
            definition.body,
            definition.body,
            steps,
        )
        derivations.append(_finished(start, done, checker))
        body = steps[-1].after if steps else definition.body
        stable = Definition(definition.entry, body)
        done = replace(done, definitions=(*done.definitions, stable))
    results: list[Gradient] = []
    for gradient in gradients:
        steps = rewrite(
            gradient.result, done, checker, rules if gradient.order == 1 else (*SECOND, *rules)
        )
        title = f"stable form of the gradient by {gradient.wrt.tensor.name}"
        start = Derivation(
            loss, title, loss.value.entry, (gradient.wrt,), gradient.result, gradient.result, steps
        )
        derivations.append(_finished(start, done, checker))
        results.append(replace(gradient, result=steps[-1].after if steps else gradient.result))
    return Stable(done, tuple(results), tuple(derivations))


def _finished(derivation: Derivation, loss: Loss, checker: Checker) -> Derivation:
    """The derivation with its result, and with how the primitives that are left get evaluated."""
    reached = derivation.steps[-1].after if derivation.steps else derivation.start
    last = Recorder(loss, reached, checker)
    for rule in EMITTED:
        last.apply(rule, loss=loss)
    return replace(derivation, result=last.here, steps=(*derivation.steps, *last.steps))


def as_written(loss: Loss, gradients: tuple[Gradient, ...] = ()) -> Stable:
    """The opposite: every formula as on paper, sigmoid and softplus by their meaning."""

    def visit(node: Basic) -> Basic:
        node = rebuild(node, visit)
        return node.meaning() if isinstance(node, WRITTEN) else node

    definitions = tuple(Definition(d.entry, visit(d.body)) for d in loss.definitions)
    plain = tuple(replace(g, result=visit(g.result)) for g in gradients)
    return Stable(replace(loss, definitions=definitions), plain, ())
