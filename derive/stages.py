"""The check of a step within its own stage: what was derived before is used, not derived again.

Unfolding a loss of many definitions costs more with each of them.  A step that speaks of one
stage is confirmed there; one that is not is left to the unfolded check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sympy import Abs, Expr, sign

from derive import functions as fn
from derive.derivation import Derivation
from derive.index import (
    Argmax,
    Choice,
    Maximum,
    Minimum,
    Partial,
    Share,
    Tensor,
    kinds,
    nodes,
    tensors,
)
from derive.loss import Loss
from derive.normal import Undecided
from derive.normal.hide import all_sums
from derive.normal.stage import Stage, is_total, needs

EXACT = "normal form"
BY_CASES = "normal form by cases"
OFF_KINKS = "normal form off the kinks"
FEW = 3
MANY = 6
MOST_KINKED = 2
LEVELS = 3
PIECEWISE = (fn.relu, fn.step, fn.absolute, fn.signum, fn.largest, fn.smallest, Abs, sign)
KINKED = frozenset((*PIECEWISE, Argmax, Choice, Maximum, Minimum, Share))
Key = tuple[Tensor, Tensor, Expr]


class Stages:
    """Confirms steps with the definitions as variables, and remembers what lemmas say."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self._worth = len(loss.definitions) > FEW
        self._jagged = frozenset(
            definition.entry.tensor
            for definition in loss.definitions
            if _bent(loss, definition.body)
        )
        self._exact: dict[Key, tuple[Expr, Expr]] = {}
        self._almost: dict[Key, tuple[Expr, Expr]] = {}
        self._forms: dict[tuple[str, bool, frozenset[str]], Stage] = {}

    def learn(self, derivation: Derivation) -> None:
        """Use a derivative whose every step was confirmed and assumes nothing."""
        checks = {step.check for step in derivation.steps}
        start = derivation.start
        if not isinstance(start, Partial) or derivation.hypotheses:
            return
        of, variable, direct = start.args
        key = (of.tensor, variable.tensor, direct)
        pair = (start, derivation.result)
        if checks <= {EXACT, BY_CASES}:
            self._exact.setdefault(key, pair)
        if checks <= {EXACT, BY_CASES, OFF_KINKS}:
            self._almost.setdefault(key, pair)

    def method(self, before: Expr, after: Expr, assume: bool, opened: frozenset[str]) -> str:
        """The method that confirms before = after, or nothing."""
        if not self._worth:
            return ""
        if is_total(before):
            return self._chain(before, after)
        if self._same("exact", before, after, assume, opened):
            return EXACT
        if Partial in kinds(before):
            usable = self._almost != self._exact
            return OFF_KINKS if usable and self._same("almost", before, after, assume) else ""
        for names in self._near(before, after):
            if self._same("exact", before, after, assume, names):
                return EXACT
        return ""

    def _same(
        self,
        lemmas: str,
        before: Expr,
        after: Expr,
        assume: bool,
        opened: frozenset[str] = frozenset(),
    ) -> bool:
        return self._decided(self._form(lemmas, assume, opened).same, before, after)

    def _decided(self, equal: Callable[[Expr, Expr], bool], before: Expr, after: Expr) -> bool:
        try:
            return equal(before, after)
        except Undecided:
            return False

    def _near(self, before: Expr, after: Expr) -> Iterator[frozenset[str]]:
        """The definitions that sums on one side only may rest on, a few steps and one by one."""
        gone = all_sums(before) ^ all_sums(after)
        reached = frozenset().union(*map(tensors, gone))
        opened: frozenset[str] = frozenset()
        for _ in range(LEVELS):
            names = {tensor.name for tensor in reached} & self.loss.defined.keys()
            if names <= opened:
                return
            opened |= names
            yield opened
            reached = frozenset().union(*(tensors(self.loss.defined[n].body) for n in names))

    def _chain(self, before: Expr, after: Expr) -> str:
        """A total derivative as a sum over those that the variable acts through.

        It holds where the last definition on the way is smooth, whatever the others are: what
        these change by has a name.  Else on a kink it need not hold, so where the way is long
        enough that unfolding would take too much, it is said to hold off the kinks; else the
        unfolded form decides.
        """
        form, of = self._form("none", False, frozenset()), before.args[0].tensor
        if of not in self._jagged and self._decided(form.chained_inwards, before, after):
            return EXACT
        kinked = self._kinked(before)
        if kinked and len(self._jagged) <= MOST_KINKED and len(self.loss.definitions) <= MANY:
            return ""
        if self._decided(form.chained, before, after):
            return OFF_KINKS if kinked else EXACT
        return ""

    def _kinked(self, slope: Expr) -> bool:
        """Whether a definition on a path of the derivative has kinks or jumps."""
        of, variable, _ = slope.args
        on_the_way = needs(self.loss, of.tensor) & self._jagged - {variable.tensor}
        return any(variable.tensor in needs(self.loss, tensor) for tensor in on_the_way)

    def _form(self, lemmas: str, assume: bool, opened: frozenset[str]) -> Stage:
        key = (lemmas, assume, opened)
        if key not in self._forms:
            known = {"exact": self._exact, "almost": self._almost, "none": {}}[lemmas]
            self._forms[key] = Stage(self.loss, known, assume, opened)
        return self._forms[key]


def _bent(loss: Loss, expr: Expr) -> bool:
    """Whether an expression may have kinks or jumps; a choice by class labels has none."""
    found = {node for node in nodes(expr) if isinstance(node, tuple(KINKED))}
    return any(not (isinstance(node, Choice) and _by_labels(loss, node)) for node in found)


def _by_labels(loss: Loss, choice: Choice) -> bool:
    """Whether a choice is by indices and class labels only, which no derivative moves."""
    named = tensors(choice.args[0])
    return all(tensor.label is not None or tensor in loss.marks for tensor in named)
