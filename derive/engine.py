"""The engine: stage by stage from the loss to the derivative, every step recorded.

For each defined name on a path from the loss to the variable, the derivative of the loss with
respect to that name is derived once, as a lemma, from those of the names that use it.  What
is assumed of the inputs is used only at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from sympy import Expr, S

from derive.derivation import Derivation, Rule
from derive.errors import DerivationError
from derive.index import (
    Diff,
    Entry,
    Index,
    Partial,
    kinds,
    tensors,
)
from derive.loss import Definition, Loss, variable_letters
from derive.normal import Undecided
from derive.printing import language
from derive.record import Checker, Recorder, shorten
from derive.rules import calculus, chain, equalities, fold, ignored, removable, sums
from derive.rules.masked import masked
from derive.rules.minus import signs
from derive.rules.registry import register

MOST_ROUNDS = 200


def gradient(
    loss: Loss,
    wrt: str | Entry,
    of: str | Entry | None = None,
    hidden: frozenset[str] = frozenset(),
) -> Derivation:
    """The derivative of the loss (or of the definition `of`) with respect to a name.

    `wrt` is a declared or defined name, or an entry with the indices to use.  The result is an
    expression in the loss's own names, but those of `hidden`, with those indices free.
    Raises DerivationError for an unknown name, or where a construct has no rule.
    """
    variable, target = _entries(loss, wrt, of)
    return _derived(loss, target, variable, hidden)


@lru_cache(maxsize=1 << 6)
def _derived(loss: Loss, of: Entry, variable: Entry, hidden: frozenset[str]) -> Derivation:
    """The derivation, kept: a Hessian, its properties and a page all begin with the gradient."""
    return Engine(loss, of, hidden).derive(variable)


def _entries(loss: Loss, wrt: str | Entry, of: str | Entry | None) -> tuple[Entry, Entry]:
    if isinstance(of, Entry):
        target = of
    else:
        target = loss.value.entry if of is None else loss.free_entry(of)
    if target.tensor.name not in loss.defined:
        raise DerivationError(f"'{target.tensor.name}' is declared, not defined: nothing to derive")
    tensor = wrt.tensor if isinstance(wrt, Entry) else loss.tensor(wrt)
    if tensor.label is not None:
        raise DerivationError(f"'{tensor.name}' is a class label: it has no derivative")
    if isinstance(wrt, Entry):
        return wrt, target
    taken = frozenset(i.name for i in target.indices if isinstance(i, Index))
    return loss.free_entry(wrt, variable_letters(loss, tensor.axes, taken)), target


class Engine:
    """Derives the derivatives of one definition; remembers the lemmas it has derived."""

    def __init__(self, loss: Loss, of: Entry, hidden: frozenset[str] = frozenset()) -> None:
        self.loss, self.of = loss, of
        self.into = tuple(d.name for d in loss.definitions if d.name not in hidden)
        self.checker = Checker(loss)
        self.root = ""  # the name that everything is differentiated by in the end
        self.lemmas: dict[Expr, Derivation] = {}
        self.totals: dict[str, Derivation] = {}

    def derive(self, variable: Entry) -> Derivation:
        name = variable.tensor.name
        self.root, self.checker.varying = name, self.loss.below(name)
        needed = self.path_names(name)
        for step in reversed(self.loss.definitions):
            if step.name in needed and step.name not in (name, self.of.tensor.name):
                self._total(self.passing(step, variable), final=False)
        return self.with_lemmas(self._total(variable, final=True))

    def with_lemmas(self, result: Derivation) -> Derivation:
        """The result with every other derivative that was derived on the way."""
        lemmas = tuple(d for start, d in self.lemmas.items() if start != result.start)
        return replace(result, lemmas=lemmas)

    def path_names(self, variable: str) -> frozenset[str]:
        """Every name on a path from the variable up to what is differentiated."""
        above = {variable}
        for definition in self.loss.definitions:
            if {tensor.name for tensor in tensors(definition.body)} & above:
                above.add(definition.name)
        below = {self.of.tensor.name}
        for definition in reversed(self.loss.definitions):
            if definition.name in below and definition.name != variable:
                below |= {tensor.name for tensor in tensors(definition.body)}
        return frozenset(above & below)

    def passing(self, definition: Definition, *others: Entry) -> Entry:
        """An entry of a definition as a variable on the way to others, whose letters it leaves."""
        taken = {i.name for e in (self.of, *others) for i in e.indices if isinstance(i, Index)}
        axes = definition.entry.tensor.axes
        letters = variable_letters(self.loss, axes, frozenset(taken))
        return self.loss.free_entry(definition.name, letters)

    def entry(self, definition: Definition, *others: Entry) -> Entry:
        """An entry of a definition with letters that none of the others uses."""
        taken = {i.name for other in others for i in other.indices if isinstance(i, Index)}
        letters = self.loss.pick_letters(definition.entry.tensor.axes, frozenset(taken))
        return self.loss.free_entry(definition.name, letters)

    def _total(self, variable: Entry, final: bool) -> Derivation:
        """d of / d variable from the derivatives of the definitions that name it."""
        name = variable.tensor.name
        on_path = self.path_names(name)
        through = tuple(c for c in chain.consumers(self.loss, name) if c in on_path and c != name)
        if variable.tensor == self.of.tensor:
            raise DerivationError(f"the derivative of '{name}' with respect to itself is a delta")
        recorder = Recorder(self.loss, Partial(self.of, variable), self.checker)
        if through == (self.of.tensor.name,):
            self.differentiate(recorder)
        elif through:
            self.by_chain_rule(
                recorder, chain.all_paths, through, self._lemma_pairs(through, variable)
            )
        else:
            recorder.apply(ZERO)
        if final:
            self.conclude(recorder)
        self.totals[name] = self.keep(recorder)
        return self.totals[name]

    def by_chain_rule(
        self,
        recorder: Recorder,
        rule: Rule,
        through: tuple[str, ...],
        pairs: Iterable[tuple[Expr, Expr]],
    ) -> None:
        """A chain rule through some names, the lemmas put in, and what that is."""
        inserted = tuple(pairs)
        recorder.apply(rule, loss=self.loss, through=through)
        recorder.apply(chain.insert, lemmas=inserted)
        if Partial in kinds(recorder.here):
            raise DerivationError(f"a derivative was not derived that {recorder.start} needs")
        self.simplify(recorder)

    def conclude(self, recorder: Recorder) -> None:
        """The hypotheses used, and labels that are ignored looked at."""
        self._assume(recorder)
        recorder.apply(ignored.select, loss=self.loss)
        recorder.apply(masked, loss=self.loss)
        recorder.apply(signs, loss=self.loss)

    def _lemma_pairs(self, through: tuple[str, ...], variable: Entry) -> list[tuple[Expr, Expr]]:
        pairs = []
        for name in through:
            if name == self.of.tensor.name:
                direct = self.direct(self.of, variable)
                pairs.append((direct.start, direct.result))
                continue
            total = self.totals[name]
            entry = self.entry(self.loss.defined[name], variable)
            direct = self.direct(entry, variable)
            pairs += [(total.start, total.result), (direct.start, direct.result)]
        return pairs

    def direct(self, of: Entry, variable: Entry) -> Derivation:
        """The partial derivative of one definition's own right-hand side."""
        recorder = Recorder(self.loss, Partial(of, variable, S.One), self.checker)
        self.differentiate(recorder)
        return self.keep(recorder)

    def keep(self, recorder: Recorder) -> Derivation:
        of, variable, _ = recorder.start.args
        derivation = Derivation(
            self.loss,
            f"derivative of {of.tensor.name} with respect to {variable.tensor.name}",
            of,
            (variable,),
            recorder.start,
            recorder.here,
            tuple(recorder.steps),
        )
        self.lemmas[recorder.start] = derivation
        self.checker.learn(derivation)
        return derivation

    def differentiate(self, recorder: Recorder) -> None:
        recorder.apply(chain.definition, loss=self.loss)
        for rule in (equalities.apart, removable.removable):
            recorder.apply(rule, loss=self.loss, name=self.root)
        inner = Recorder(self.loss, recorder.here, self.checker)
        for _ in range(MOST_ROUNDS):
            if Diff not in kinds(inner.here):
                break
            if not any(inner.apply(rule) for rule in calculus.TABLE):
                left = language(inner.here, self.loss)
                raise DerivationError(f"no rule of differentiation applies to {left}")
        recorder.group(DIFFERENTIATE, inner, _names(inner))
        self.simplify(recorder)

    def simplify(self, recorder: Recorder) -> None:
        inner = Recorder(self.loss, recorder.here, self.checker)
        for rule, after in sums.carry_out_steps(recorder.here):
            inner.record(rule, after, rule.reason)
        recorder.group(sums.carry_out, inner, _names(inner))
        shorten(recorder, self.into)

    def _assume(self, recorder: Recorder) -> None:
        try:
            used = fold.hypotheses_used(recorder.here, self.loss)
        except Undecided:
            return
        bindings = (("loss", self.loss), ("hypotheses", used))
        after = fold.assume.apply(recorder.here, **dict(bindings))
        if after != recorder.here:
            reason = "since " + " and ".join(used)
            recorder.record(fold.assume, after, reason, bindings, used)
            shorten(recorder, self.into)


def _names(recorder: Recorder) -> str:
    return ", ".join(dict.fromkeys(step.rule.name for step in recorder.steps))


def _differentiate_all(expr: Expr) -> Expr:
    for _ in range(MOST_ROUNDS):
        for rule in calculus.TABLE:
            after = rule.apply(expr)
            if after != expr:
                expr = after
                break
        else:
            return expr
    return expr


DIFFERENTIATE = register(
    Rule("differentiate", "the rules of differentiation, one after the other", _differentiate_all)
)
ZERO = register(Rule("no path", "nothing on the way depends on it", lambda expr: S.Zero))
