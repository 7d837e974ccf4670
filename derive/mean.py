"""The gradient of the mean over a batch, from that of one sample."""

from __future__ import annotations

from typing import Any

from sympy import Expr

from derive.batch import batched, has_samples, of_sample
from derive.derivation import Derivation, Rule, Step
from derive.engine import gradient
from derive.forwards import Forwards, without_hypotheses
from derive.index import Delta, Entry, Partial, substitute
from derive.loss import Loss, variable_letters
from derive.record import Recorder
from derive.rules.registry import register
from derive.stages import EXACT

Slope = tuple[Entry, Expr]


def gradient_of_mean(one: Derivation) -> Derivation:
    """The gradient of the loss's mean over a batch, where `one` is that of a single sample.

    Raises DerivationError where the loss is written over the whole batch already.
    """
    loss, name = batched(one.loss, "mean"), one.wrt[0].tensor.name
    if one.loss.weight is not None and name in one.loss.defined:
        return gradient(loss, name)  # what the mean divides by may change with it, too
    tensor = loss.tensor(name)
    variable = loss.free_entry(name, variable_letters(loss, tensor.axes, frozenset()))
    return _OfMean(loss, loss.value.entry).from_one(one, variable)


class _OfMean(Forwards):
    """Derives a mean, given what the loss of one sample changes by."""

    def from_one(self, one: Derivation, variable: Entry) -> Derivation:
        name = one.loss.value.name
        self.checker.varying = self.loss.below(variable.tensor.name)
        sample = self.entry(self.loss.defined[name], variable)
        recorder = Recorder(self.loss, Partial(sample, variable), self.checker)
        bindings: tuple[tuple[str, Any], ...] = (
            ("one", one.loss),
            ("slope", (one.wrt[0], without_hypotheses(one))),
        )
        after = alone.apply(recorder.start, **dict(bindings))
        check = next((step.check for step in one.all_steps() if step.check != EXACT), EXACT)
        recorder.take(Step(alone, alone.reason, recorder.start, after, bindings, (), check))
        self.totals[name] = self.keep(recorder)
        result = self.change(self.of, variable, frozenset((name,)))
        return self.with_lemmas(result)


def _alone(expr: Expr, one: Loss, slope: Slope) -> Expr:
    """d L_m / d x_nj is that of one sample at n, for m = n; what is shared moves every sample."""
    (sample,), variable = expr.args[0].indices, expr.args[1]
    by, result = slope
    if has_samples(one, by.tensor.name):
        first, *places = variable.indices
    else:
        first, places = sample, list(variable.indices)
    here = dict(zip(by.indices, places, strict=True))
    moved: Expr = of_sample(one, substitute(result, here), first)
    return moved if first == sample else Delta(sample, first) * moved


alone = register(
    Rule(
        "each sample alone",
        "the loss of a sample changes with its own inputs only, as that of one sample does",
        _alone,
    )
)
