"""Derivations as data: rules, steps that can be replayed, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sympy import Expr

from derive.errors import ReplayError
from derive.index import Diff, Entry, Index, Partial, nodes
from derive.letters import Names, names_of
from derive.loss import Loss
from derive.printing import language, latex, unicode
from derive.shown import aligned_html, titled


@dataclass(frozen=True)
class Rule:
    """A named identity: `apply` rewrites a whole expression, or returns it unchanged.

    `reason` is one sentence; it may name the step's bindings in braces.
    `holds` says under which condition, `source` where the identity is written down.
    """

    name: str
    reason: str
    apply: Callable[..., Expr]
    holds: str = "always"
    source: str = ""


Key = tuple[object, ...]  # what tells two derivations apart
_KNOWN: set[Rule] = set()


def known(rule: Rule) -> Rule:
    """Make a rule one that `replay` accepts; every table of rules is made through this."""
    _KNOWN.add(rule)
    return rule


@dataclass(frozen=True)
class Step:
    """One rewriting: `rule.apply(before, **bindings) == after`.

    `check` names the method that confirmed it, or is "unknown".
    `hypotheses` are the domains it rests on, such as "y in simplex".
    """

    rule: Rule
    reason: str
    before: Expr
    after: Expr
    bindings: tuple[tuple[str, Any], ...] = ()
    hypotheses: tuple[str, ...] = ()
    check: str = "unknown"
    substeps: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        return self.rule.name

    def replay(self) -> None:
        """Apply the rule again; raise ReplayError where it does not give `after`."""
        if self.rule not in _KNOWN:
            raise ReplayError(f"the step '{self.name}' applies a rule that is not one of ours")
        if dict(self.bindings).get("hypotheses", ()) != self.hypotheses:
            raise ReplayError(f"the step '{self.name}' does not name the hypotheses that it uses")
        try:
            again = self.rule.apply(self.before, **dict(self.bindings))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ReplayError(f"the step '{self.name}' cannot be applied: {error}") from error
        if again != self.after:
            raise ReplayError(f"the step '{self.name}' does not give what it recorded")
        if self.substeps:
            _replay_chain(self.substeps, self.before, self.after, self.name)


@dataclass(frozen=True)
class Derivation:
    """How `result` follows: the derivative of `of` with respect to `wrt`, step by step.

    `wrt` is empty for the rewriting of a value, and has two entries for a second derivative.
    `title` says in a few words what is derived; `lemmas` are derivations used on the way.
    `shown` is what is derived where that is no plain derivative, such as a product with one.
    """

    loss: Loss
    title: str
    of: Entry
    wrt: tuple[Entry, ...]
    start: Expr
    result: Expr
    steps: tuple[Step, ...]
    lemmas: tuple[Derivation, ...] = ()
    shown: Expr | None = None

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """The domains that the result rests on, in order of first use."""
        used = [h for lemma in self.lemmas for h in lemma.hypotheses]
        used += [h for step in self.steps for h in step.hypotheses]
        return tuple(dict.fromkeys(used))

    def all_steps(self) -> Iterator[Step]:
        """Every step, those of the lemmas first."""
        for lemma in self.lemmas:
            yield from lemma.all_steps()
        yield from self.steps

    @cached_property
    def names(self) -> Names:
        """The index letters of this derivation, the same in every step and style."""
        exprs = [self.subject, self.start, self.result]
        todo = list(self.steps)
        while todo:
            step = todo.pop(0)
            exprs += [step.before, step.after]
            todo = [*step.substeps, *todo]
        return names_of(self.loss, *exprs)

    @property
    def subject(self) -> Expr:
        """What is derived, such as dL/da[j], as an expression."""
        if self.shown is not None:
            return self.shown
        if len(self.wrt) == 1 and isinstance(self.start, Partial):
            return self.start
        subject: Expr = self.of
        for variable in reversed(self.wrt):
            subject = Diff(subject, variable)
        return subject

    @property
    def formula(self) -> str:
        """The result in the language of .loss files, such as p[j] - y[j]."""
        return language(self.result, self.loss, self.names)

    def __str__(self) -> str:
        subject, result = (unicode(e, self.loss, self.names) for e in (self.subject, self.result))
        return f"{subject} = {result}"

    def latex(self) -> str:
        """Every step, those of the lemmas first, as LaTeX paragraphs with aligned equations."""
        chapters = (*distinct_lemmas([self]), self)
        return "\n\n".join("\n".join(each._aligned("align*")) for each in chapters)

    def _aligned(self, environment: str) -> list[str]:
        """The steps as one environment of aligned equations, each with its rule's name."""
        subject, start = (latex(e, self.loss, self.names) for e in (self.subject, self.start))
        lines = [rf"{subject} &= {start}"] if start != subject else []
        for step in self.steps:
            after = latex(step.after, self.loss, self.names)
            left = "" if lines else f"{subject} "
            lines.append(rf"{left}&= {after} && \text{{{step.name}}}")
        lines = lines or [subject]
        rows = [line + r" \\" for line in lines[:-1]] + lines[-1:]
        return [rf"\begin{{{environment}}}", *rows, rf"\end{{{environment}}}"]

    def _repr_latex_(self) -> str:
        subject, result = (latex(e, self.loss, self.names) for e in (self.subject, self.result))
        return rf"$\displaystyle {subject} = {result}$"

    def _repr_markdown_(self) -> str:
        parts = []
        for title, each in self._chapters():
            steps = "\n".join(["$$", *each._aligned("aligned"), "$$"])
            parts += [f"**{title}**", steps]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        parts = []
        for title, each in self._chapters():
            reasons = [(step.name, step.reason) for step in each.steps]
            parts.append(aligned_html(title, each._aligned("aligned"), reasons))
        return "\n".join(parts)

    def _chapters(self) -> Iterator[tuple[str, Derivation]]:
        """The lemmas, each once, and then the derivation itself, with their titles."""
        for number, lemma in enumerate(distinct_lemmas([self]), 1):
            yield titled(lemma.title, number), lemma
        yield titled(self.title, 0), self

    def replay(self) -> None:
        """Re-apply every step; raise ReplayError at the first that does not follow.

        A step may use only rules of ours, this loss, the hypotheses it names, and the results
        of lemmas that come before it.
        """
        inserted: set[tuple[Expr, Expr]] = set()
        for part in (*self.lemmas, self):
            part._check_start()
            _replay_chain(part.steps, part.start, part.result, part.title)
            for step in part.steps:
                step.replay()
                bindings = dict(step.bindings)
                if bindings.get("loss", self.loss).declarations != self.loss.declarations:
                    raise ReplayError(f"the step '{step.name}' speaks of another loss")
                if not inserted.issuperset(bindings.get("lemmas", ())):
                    raise ReplayError(f"'{step.name}' inserts a lemma that was not derived before")
            inserted.add((part.start, part.result))

    def _check_start(self) -> None:
        """The first expression is what `of` and `wrt` name, or what is shown of a product."""
        if self.shown is not None:
            slopes = [node for node in nodes(self.start) if isinstance(node, Partial)]
            if self.start == self.shown or all(n.args[1] == self.wrt[-1] for n in slopes):
                return
        elif isinstance(self.start, Partial):
            if self.wrt and self.start.args[1] == self.wrt[-1]:
                return
        elif not self.wrt:
            definition = self.loss.defined[self.of.tensor.name]
            if self.start in (self.of, definition.at(self.of)):
                return
        elif self.title.startswith("stable form"):
            return
        raise ReplayError(f"'{self.title}' does not start from what it is to derive")


def _replay_chain(steps: tuple[Step, ...], start: Expr, result: Expr, title: str) -> None:
    here = start
    for step in steps:
        if step.before != here:
            raise ReplayError(
                f"in '{title}', '{step.name}' does not start where the last step ended"
            )
        here = step.after
    if here != result:
        raise ReplayError(f"the steps of '{title}' do not end at its result")


def distinct_lemmas(derivations: Sequence[Derivation]) -> Iterator[Derivation]:
    """The lemmas of derivations, each after those that it needs and only once."""
    seen: set[Key] = set()
    todo = (lemma for derivation in derivations for lemma in _lemmas(derivation))
    for lemma in todo:
        if derivation_key(lemma) not in seen:
            seen.add(derivation_key(lemma))
            yield lemma


def _lemmas(derivation: Derivation) -> Iterator[Derivation]:
    for lemma in derivation.lemmas:
        yield from _lemmas(lemma)
        yield lemma


def derivation_key(derivation: Derivation) -> Key:
    """What is derived by what, whatever the letters of the indices."""
    entries, start = (derivation.of, *derivation.wrt), derivation.start
    indices = [index for entry in entries for index in entry.indices]
    pattern = tuple(indices.index(i) if isinstance(i, Index) else i for i in indices)
    kind = start.args[2:] if isinstance(start, Partial) else (start,)
    return (*(entry.tensor for entry in entries), pattern, kind)
