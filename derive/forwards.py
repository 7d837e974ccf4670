"""Higher derivatives, forwards: what each definition changes by as the variable changes.

A gradient is one number's derivative by many, so it goes back from the number.  A gradient's
own derivative is of many by as many, and forwards what a name on the way changes by is one
factor for all that it passes on to: the second derivative of margins keeps their factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from sympy import Expr

from derive.derivation import Derivation
from derive.engine import ZERO, Engine, gradient
from derive.index import Entry, Index, Partial, Tensor, axis_of, substitute, tensors
from derive.loss import Definition, Loss, variable_letters
from derive.record import Recorder
from derive.rules import chain
from derive.rules.masked import masked


def hessian(loss: Loss, first: str | Entry, second: str | Entry | None = None) -> Derivation:
    """The second derivative of the loss with respect to two entries, or one name twice."""
    return higher(loss, first, first if second is None else second)


def higher(loss: Loss, *wrt: str | Entry) -> Derivation:
    """The derivative of the loss with respect to one entry after the other, mixed or repeated.

    Each derivative but the last becomes a definition of its own, before any hypothesis is
    used, and is differentiated as any other.  Names are given fresh index letters.
    """
    if len(wrt) == 1:
        return gradient(loss, wrt[0])
    whole, value = loss, loss.value.entry
    hidden: list[str] = []
    variables: list[Entry] = [_fresh_entry(loss, wrt[0], ())]
    body = _slope(loss, variables[0])
    for name in wrt[1:]:
        hidden.append(whole.unused_name("g", "h", "G", "H", "slope"))
        indices = tuple(dict.fromkeys(i for v in variables for i in v.indices))
        of = Tensor(hidden[-1], tuple(axis_of(i) for i in indices))[indices]
        whole = replace(whole, definitions=(*whole.definitions, Definition(of, body)))
        variables.append(_fresh_entry(loss, name, tuple(variables)))
        found = _derived(whole, of, variables[-1], frozenset(hidden))
        body = without_hypotheses(found)
    words = {2: "second", 3: "third"}
    title = f"{words.get(len(wrt), f'{len(wrt)}th')} derivative of {value.tensor.name}"
    return replace(found, title=title, of=value, wrt=tuple(variables))


def _slope(loss: Loss, variable: Entry) -> Expr:
    """The gradient by an entry: that by its name, at its indices."""
    if len({i for i in variable.indices if isinstance(i, Index)}) < len(variable.indices):
        return without_hypotheses(gradient(loss, variable))
    found = gradient(loss, variable.tensor.name)
    here = dict(zip(found.wrt[0].indices, variable.indices, strict=True))
    slope: Expr = substitute(without_hypotheses(found), here)
    return slope


def _fresh_entry(loss: Loss, name: str | Entry, before: tuple[Entry, ...]) -> Entry:
    """The entry itself, or one of a name with letters that the entries before do not use."""
    if isinstance(name, Entry):
        return name
    taken = frozenset(i.name for e in before for i in e.indices if isinstance(i, Index))
    if not before:
        return loss.free_entry(name)
    return loss.free_entry(name, variable_letters(loss, loss.tensor(name).axes, taken))


def without_hypotheses(derivation: Derivation) -> Expr:
    """The result before what is known of the inputs is used, and factors become choices."""
    for step in derivation.steps:
        if step.hypotheses or step.rule == masked:
            return step.before
    return derivation.result


@lru_cache(maxsize=1 << 6)
def _derived(loss: Loss, of: Entry, variable: Entry, hidden: frozenset[str]) -> Derivation:
    return Forwards(loss, of, hidden).derive(variable)


class Forwards(Engine):
    """Derives what every definition on the way changes by, from the variable on."""

    def derive(self, variable: Entry) -> Derivation:
        name = variable.tensor.name
        self.root, self.checker.varying = name, self.loss.below(name)
        needed = self.path_names(name)
        for step in self.loss.definitions:
            if step.name in needed and step.name not in (name, self.of.tensor.name):
                self.change(self.entry(step, variable, self.of), variable, needed)
        result = self.change(self.of, variable, needed)
        return self.with_lemmas(result)

    def change(self, of: Entry, variable: Entry, needed: frozenset[str]) -> Derivation:
        """d of / d variable from what the names in the definition of `of` change by."""
        named = tensors(self.loss.defined[of.tensor.name].body)
        names = (*self.loss.declared, *self.loss.defined)
        through = tuple(n for n in names if n in needed and self.loss.tensor(n) in named)
        recorder = Recorder(self.loss, Partial(of, variable), self.checker)
        if through == (variable.tensor.name,):
            self.differentiate(recorder)
        elif through:
            self.by_chain_rule(recorder, chain.inwards, through, self._pairs(through, of, variable))
        else:
            recorder.apply(ZERO)
        if of == self.of:
            self.conclude(recorder)
        self.totals[of.tensor.name] = self.keep(recorder)
        return self.totals[of.tensor.name]

    def _pairs(
        self, through: tuple[str, ...], of: Entry, variable: Entry
    ) -> Iterator[tuple[Expr, Expr]]:
        for name in through:
            by = variable
            if name != variable.tensor.name:
                total = self.totals[name]
                yield total.start, total.result
                by = self.passing(self.loss.defined[name], of, variable)
            direct = self.direct(of, by)
            yield direct.start, direct.result
