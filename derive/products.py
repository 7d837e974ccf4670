"""Products with a Jacobian or a Hessian, and neither is ever formed.

A fresh name stands for the vector: a cotangent u in the shape of what is differentiated, or a
direction v in the shape of what it is differentiated by.  The weighted sum is a definition of
its own, and its gradient is the product:

    vector-Jacobian   sum_i u[i] dp[i]/da[j]       = d/da[j] (sum_i u[i] p[i])
    Hessian-vector    sum_k v[k] d2L/(da[j] da[k]) = d/da[j] (sum_k v[k] g[k]),  g = dL/da
    Jacobian-vector   sum_j v[j] dp[i]/da[j]       = d/du[i] (sum_j v[j] g[j]),  g[j] the first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from sympy import Add, Expr

from derive.derivation import Derivation, Rule
from derive.engine import gradient
from derive.errors import DerivationError, PminusyError
from derive.index import Diff, Entry, Index, Partial, Tensor, axis_of, fresh, substitute, total
from derive.loss import Declaration, Definition, Loss, variable_letters
from derive.record import Checker, Recorder
from derive.rules.registry import register

Names = str | Entry | Sequence[str | Entry]


@dataclass(frozen=True)
class Weighted:
    """A loss with the definition `entry` = sum of weight * part over all pairs, all indices.

    `made` are the names that the author did not write, into which nothing is folded.
    """

    loss: Loss
    entry: Entry
    pairs: tuple[tuple[Entry, Entry], ...] = ()
    made: frozenset[str] = frozenset()

    def slope(self, variable: Entry) -> Derivation:
        """The gradient of the weighted sum."""
        return gradient(self.loss, variable, self.entry, self.made)


def vjp(loss: Loss, of: str | Entry, wrt: str | Entry) -> Derivation:
    """sum_i u[i] dp[i]/da[j]: a cotangent u in the shape of `of`, times the Jacobian.

    The result has the indices of `wrt` free.  Raises DerivationError as `gradient` does.
    """
    part = _target(loss, of)
    loss, (weight,) = _declared(loss, (part,), "cotangent")
    (variable,) = _entries(loss, wrt, part.indices)
    found = _weighted(loss, ((weight, part),)).slope(variable)
    title = f"vector-Jacobian product of {_name(part)} with respect to {_name(variable)}"
    shown = _sum(weight * Partial(part, variable), part)
    return _product(found, title, part, (variable,), shown, shown)


def jvp(loss: Loss, of: str | Entry, wrt: Names) -> Derivation:
    """sum_j v[j] dp[i]/da[j]: the change of `of` along a direction v in the shape of `wrt`.

    The result has the indices of `of` free; several names in `wrt` move together.
    """
    part = _target(loss, of)
    loss, (weight,) = _declared(loss, (part,), "cotangent")
    along = _entries(loss, wrt, part.indices)
    loss, directions = _declared(loss, along, "direction")
    inner, lemmas = _slopes(_weighted(loss, ((weight, part),)), along, directions)
    found = inner.slope(weight)
    title = f"Jacobian-vector product of {_name(part)} {_moves(along, directions)}"
    terms = (_sum(v * Partial(part, a), a) for v, a in zip(directions, along, strict=True))
    shown = Add(*terms)
    return _product(found, title, part, along, shown, shown, lemmas)


def hvp(loss: Loss, wrt: str | Entry, along: Names | None = None) -> Derivation:
    """sum_k v[k] d2L/(da[j] da[k]): the change of the gradient by `wrt` along a direction.

    The direction v has the shape of `along`: `wrt` itself, another name, or several that move
    together.  The result has the indices of `wrt` free.
    """
    (variable,) = _entries(loss, wrt, ())
    moved = _entries(loss, _name(variable) if along is None else along, variable.indices)
    value = loss.value.entry
    loss, directions = _declared(loss, moved, "direction")
    inner, lemmas = _slopes(Weighted(loss, value), moved, directions)
    found = inner.slope(variable)
    title = f"Hessian-vector product of {_name(value)} with respect to {_name(variable)}"
    title += f" {_moves(moved, directions)}"
    start = Add(*(_sum(v * Partial(g, variable), g) for v, g in inner.pairs))
    twice = (v * Diff(Diff(value, variable), a) for v, a in zip(directions, moved, strict=True))
    shown = Add(*(_sum(term, a) for term, a in zip(twice, moved, strict=True)))
    return _product(found, title, value, (*moved, variable), shown, start, lemmas)


def directional(loss: Loss, along: Names) -> Weighted:
    """The change of the loss along a direction, sum_k v[k] dL/da[k], as a loss of its own.

    Several names move together; the pairs are each direction with the gradient that it weights.
    The gradient of this loss is the Hessian-vector product.
    """
    moved = _entries(loss, along, ())
    value = loss.value.entry
    loss, directions = _declared(loss, moved, "direction")
    return _slopes(Weighted(loss, value), moved, directions)[0]


def _product(
    found: Derivation,
    title: str,
    of: Entry,
    wrt: tuple[Entry, ...],
    shown: Expr,
    start: Expr,
    lemmas: tuple[Derivation, ...] = (),
) -> Derivation:
    """The gradient of a weighted sum as what it is: a weighted sum of derivatives."""
    recorder = Recorder(found.loss, start, Checker(found.loss))
    recorder.apply(ONE_DERIVATIVE, loss=found.loss, whole=found.start)
    begun = recorder.here == found.start
    return replace(
        found,
        title=title,
        of=of,
        wrt=wrt,
        start=start if begun else found.start,
        steps=(*recorder.steps, *found.steps),
        lemmas=(*lemmas, *found.lemmas),
        shown=shown,
    )


def _slopes(
    whole: Weighted, along: tuple[Entry, ...], directions: tuple[Entry, ...]
) -> tuple[Weighted, tuple[Derivation, ...]]:
    """The gradients by each name as definitions, and the sum of them weighted by directions."""
    slopes = [_before_hypotheses(whole.slope(entry)) for entry in along]
    lemmas = tuple(part for slope in slopes for part in (*slope.lemmas, slope))
    loss, made, parts = whole.loss, set(whole.made), []
    for slope, entry in zip(slopes, along, strict=True):
        name = loss.unused_name("g", "h", "G", "H", "slope")
        here = Tensor(name, tuple(axis_of(i) for i in entry.indices))[entry.indices]
        loss = replace(loss, definitions=(*loss.definitions, Definition(here, slope.result)))
        made.add(name)
        parts.append(here)
    pairs = tuple(zip(directions, parts, strict=True))
    return _weighted(loss, pairs, frozenset(made)), lemmas


def _before_hypotheses(slope: Derivation) -> Derivation:
    """The derivation up to where something is assumed: what is differentiated again."""
    steps = tuple(takewhile(lambda step: not step.hypotheses, slope.steps))
    result = slope.result if len(steps) == len(slope.steps) else slope.steps[len(steps)].before
    return replace(slope, steps=steps, result=result)


def _weighted(
    loss: Loss, pairs: tuple[tuple[Entry, Entry], ...], made: frozenset[str] = frozenset()
) -> Weighted:
    body = Add(*(_sum(weight * part, part) for weight, part in pairs))
    entry = Entry(Tensor(loss.unused_name("s", "q", "weighted")))
    whole = replace(loss, definitions=(*loss.definitions, Definition(entry, body)))
    return Weighted(whole, entry, pairs, made | {_name(entry)})


def _declared(loss: Loss, parts: tuple[Entry, ...], role: str) -> tuple[Loss, tuple[Entry, ...]]:
    """The loss with a fresh name in the shape of each part, at the part's indices."""
    found = []
    for part in parts:
        name = _fresh_name(loss, part.tensor, role)
        tensor = Tensor(name, part.tensor.axes)
        loss = replace(loss, declarations=(*loss.declarations, Declaration(tensor, role)))
        found.append(tensor[part.indices])
    return loss, tuple(found)


def _fresh_name(loss: Loss, like: Tensor, role: str) -> str:
    """u for a cotangent and v for a direction, capital for matrices; no index letter."""
    letters = "uwtc" if role == "cotangent" else "vwud"
    if len(like.axes) > 1:
        letters = letters.upper()
    taken = {letter for used in loss.letters.values() for letter in used}
    free = [letter for letter in letters if letter not in taken]
    return loss.unused_name(*free, role)


def _target(loss: Loss, of: str | Entry) -> Entry:
    entry = of if isinstance(of, Entry) else loss.free_entry(of)
    if _name(entry) not in loss.defined:
        raise DerivationError(f"'{_name(entry)}' is declared, not defined: nothing to derive")
    return entry


def _entries(loss: Loss, names: Names, taken: tuple[Expr, ...]) -> tuple[Entry, ...]:
    """An entry of each name, with letters that neither `taken` nor the others use."""
    found: list[Entry] = []
    for name in (names,) if isinstance(names, str | Entry) else names:
        letters = frozenset(str(i.name) for i in taken if isinstance(i, Index))
        axes = () if isinstance(name, Entry) else loss.tensor(name).axes
        own = variable_letters(loss, axes, letters)
        entry = name if isinstance(name, Entry) else loss.free_entry(name, own)
        if any(entry.tensor == other.tensor for other in found):
            raise DerivationError(f"'{_name(entry)}' is named twice")
        taken = (*taken, *entry.indices)
        found.append(entry)
    if not found:
        raise DerivationError("there is no name to move along")
    return tuple(found)


def _sum(term: Expr, over: Entry) -> Expr:
    """The sum of a term over all indices of an entry."""
    for index in reversed(over.indices):
        if isinstance(index, Index):
            free = fresh(index.axis)
            term = total(free, substitute(term, {index: free}))
    return term


def _name(entry: Entry) -> str:
    return str(entry.tensor.name)


def _moves(along: tuple[Entry, ...], directions: tuple[Entry, ...]) -> str:
    pairs = zip(directions, along, strict=True)
    return " and ".join(f"along {_name(v)} in {_name(a)}" for v, a in pairs)


def _one_derivative(expr: Expr, loss: Loss, whole: Expr) -> Expr:
    """One derivative of a weighted sum, where it is confirmed to be this sum."""
    try:
        return expr if Checker(loss).method(expr, whole, ()) == "unknown" else whole
    except PminusyError:  # the balls exclude it
        return expr


ONE_DERIVATIVE = register(
    Rule(
        "one derivative",
        "a weighted sum of derivatives is one derivative of a weighted sum",
        _one_derivative,
        "the weights do not vary",
        "linearity",
    )
)
