"""Rewriting that is not differentiation: the value of a name, and a result case by case."""

from __future__ import annotations

from dataclasses import replace

from derive.derivation import Derivation
from derive.errors import DerivationError
from derive.index import Entry
from derive.loss import Loss
from derive.record import Checker, Recorder, shorten
from derive.rules import chain, ignored, sums, values
from derive.rules.shorten import shortness


def value(loss: Loss, name: str | Entry) -> Derivation:
    """The value of a definition, written in terms of the names defined before it.

    Logarithms are taken apart, sums are split, earlier names whose text makes the whole
    shorter (a one-hot vector, say) are put in, and what is left is folded into earlier names.
    """
    entry = name if isinstance(name, Entry) else loss.free_entry(name)
    if entry.tensor.name not in loss.defined:
        raise DerivationError(f"'{entry.tensor.name}' is declared, not defined: nothing to derive")
    names = [d.name for d in loss.definitions]
    earlier = tuple(names[: names.index(entry.tensor.name)])
    recorder = Recorder(loss, entry, Checker(loss))
    recorder.apply(chain.unfold, loss=loss, name=entry.tensor.name)
    recorder.apply(values.take_logs_apart, loss=loss)
    recorder.apply(values.split_sums)
    for rule, after in sums.carry_out_steps(recorder.here):
        recorder.record(rule, after, rule.reason)
    recorder.apply(sums.pull_out)
    for other in reversed(earlier):
        _unfold_if_shorter(recorder, other)
    shorten(recorder, earlier)
    recorder.apply(ignored.select, loss=loss)
    title = f"value of {entry.tensor.name}"
    return Derivation(loss, title, entry, (), entry, recorder.here, tuple(recorder.steps))


def _unfold_if_shorter(recorder: Recorder, name: str) -> None:
    trial = Recorder(recorder.loss, recorder.here, recorder.checker)
    trial.apply(chain.unfold, f"{name} is written out", loss=trial.loss, name=name)
    for rule, after in sums.carry_out_steps(trial.here):
        trial.record(rule, after, rule.reason)
    if shortness(trial.here) < shortness(recorder.here):
        recorder.steps += trial.steps
        recorder.here = trial.here


def in_cases(derivation: Derivation) -> Derivation:
    """The same derivation with its result case by case instead of with deltas."""
    recorder = Recorder(derivation.loss, derivation.result, Checker(derivation.loss))
    recorder.apply(values.by_cases)
    steps = (*derivation.steps, *recorder.steps)
    return replace(derivation, result=recorder.here, steps=steps)
