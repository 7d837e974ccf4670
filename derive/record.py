"""Recording steps: each is checked when it is recorded, and says by which method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sympy import Expr

from derive.agree import agree_numerically, holds_on_levels
from derive.derivation import Derivation, Rule, Step
from derive.index import Diff, Partial, kinds
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.cases import ByCases
from derive.rules import fold
from derive.stages import BY_CASES, EXACT, OFF_KINKS, Stages
from derive.styles import unicode_name


class Checker:
    """Decides whether a rewriting keeps the value: exactly, else by balls at several sizes.

    The value of what `varying` names is a variable: its kinks are left out.
    """

    def __init__(self, loss: Loss, varying: frozenset[str] = frozenset()) -> None:
        self.loss, self.varying = loss, varying
        self.form = fold.unfolded(loss)
        self.assuming = NormalForm(loss, assume=True)
        self._off_kinks: dict[tuple[bool, frozenset[str]], NormalForm] = {}
        self.stages = Stages(loss)

    def learn(self, derivation: Derivation) -> None:
        """Later steps may use what this derivation shows."""
        self.stages.learn(derivation)

    def method(
        self,
        before: Expr,
        after: Expr,
        hypotheses: Sequence[str],
        opened: frozenset[str] = frozenset(),
    ) -> str:
        """The method that confirms before = after, or "unknown".

        `opened` are the names whose definitions the step is about.
        """
        found = self.stages.method(before, after, bool(hypotheses), opened)
        found = found or self._unfolded(before, after, hypotheses)
        return found if self._keeps(before, after) else "unknown"

    def _unfolded(self, before: Expr, after: Expr, hypotheses: Sequence[str]) -> str:
        """The same with every definition written out."""
        exact = self.assuming if hypotheses else self.form
        almost = self._almost(bool(hypotheses))
        ways: list[tuple[Callable[[Expr, Expr], bool], str]] = [
            (exact.equal, EXACT),
            (ByCases(exact).equal, BY_CASES),
            (almost.equal, OFF_KINKS),
            (ByCases(almost).equal, OFF_KINKS),
        ]
        if {Diff, Partial} & (kinds(before) | kinds(after)):
            ways[1:3] = ways[2:0:-1]
        for equal, name in ways:
            try:
                if equal(before, after):
                    return name
            except Undecided:
                continue
        return agree_numerically(self.loss, before, after)

    def _keeps(self, before: Expr, after: Expr) -> bool:
        """Whether no value is lost where something is equal, nor a slope wrong at such a kink."""
        unequal = self.loss.compares.isdisjoint(("==", "!="))
        return unequal or holds_on_levels(self.loss, before, after)

    def _almost(self, assume: bool) -> NormalForm:
        """The normal form off the kinks of what varies."""
        key = (assume, self.varying)
        if key not in self._off_kinks:
            form = NormalForm(self.loss, assume=assume, almost=self.varying)
            self._off_kinks[key] = form
        return self._off_kinks[key]


class Recorder:
    """Collects the steps that lead from one expression to another."""

    def __init__(self, loss: Loss, start: Expr, checker: Checker) -> None:
        self.loss, self.start, self.here, self.checker = loss, start, start, checker
        self.steps: list[Step] = []

    def apply(self, rule: Rule, reason: str = "", **bindings: Any) -> bool:
        """Apply a rule to where we are; record it unless nothing changed."""
        after = rule.apply(self.here, **bindings)
        if after == self.here:
            return False
        self.record(rule, after, reason or rule.reason, tuple(bindings.items()))
        return True

    def record(
        self,
        rule: Rule,
        after: Expr,
        reason: str,
        bindings: tuple[tuple[str, Any], ...] = (),
        hypotheses: tuple[str, ...] = (),
        substeps: tuple[Step, ...] = (),
    ) -> None:
        solved = dict(bindings).get("solved")
        opened = frozenset((solved.definition.name,)) if solved else frozenset()
        check = self.checker.method(self.here, after, hypotheses, opened)
        self.take(Step(rule, reason, self.here, after, bindings, hypotheses, check, substeps))

    def take(self, step: Step) -> None:
        """Add a step that has been checked."""
        self.steps.append(step)
        self.here = step.after

    def group(self, rule: Rule, inner: Recorder, reason: str, **bindings: Any) -> None:
        """Record the steps of `inner` as the sub-steps of one."""
        if len(inner.steps) == 1:
            self.steps += inner.steps
            self.here = inner.here
        elif inner.steps:
            steps = tuple(inner.steps)
            self.record(rule, inner.here, reason, tuple(bindings.items()), (), steps)


def shorten(recorder: Recorder, into: tuple[str, ...]) -> None:
    """Fold into the names of `into`, and factor, as long as that makes it shorter.

    What no check confirms is not taken, nor what was built on it.
    """
    for step in fold.shorten_steps(recorder.here, recorder.loss, into):
        solved = dict(step.bindings).get("solved")
        into_name = f"written in terms of {unicode_name(solved.definition.name)}" if solved else ""
        before = recorder.here
        recorder.record(step.rule, step.after, into_name or step.rule.reason, step.bindings)
        if recorder.steps[-1].check == "unknown":
            recorder.steps.pop()
            recorder.here = before
            return
