"""Derivation -> kernel IR: batching, and one statement for each array that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sympy import Expr

from codegen.kernel import Contract, Input, Kernel, Map, Statement, validate
from codegen.lower.batch import SAMPLE, batch, batched_names, names_batch, widen, with_samples
from codegen.lower.build import Builder, lower
from codegen.lower.cut import cut
from codegen.lower.names import settle, unique
from codegen.lower.share import fold_copies, share
from derive.index import Entry, Index, Tensor, substitute, total
from derive.loss import Loss

__all__ = ["cut", "lower_loss"]


def lower_loss(
    loss: Loss, gradients: Sequence[tuple[Entry, Expr]] = (), keys: Sequence[str] = ()
) -> Kernel:
    """The kernel of a loss and its gradients, each given as (entry, derivative by it).

    Unless the loss names the batch axis N itself, inputs, targets and what depends on them get
    a leading N; the gradient by what has no N is summed over the batch.  A pair is returned
    under the name of its entry, or under its key where `keys` has one: so a second derivative
    by a[i], or by (a[i], a[j]) as an entry over both indices, is one more output.
    """
    whole = names_batch(loss)
    names = frozenset[str]() if whole else batched_names(loss)
    weight = None if loss.weight is None else with_samples(loss.weight, names)
    if not whole:
        gradients = [_per_sample(entry, expr, names) for entry, expr in gradients]
        loss = batch(loss)
    to = Builder(loss, {*loss.declared, *loss.defined})
    for definition in loss.definitions:
        _define(definition.name, definition.entry, definition.body, to)
    outputs = [("", loss.value.entry)]
    unnamed = [""] * (len(gradients) - len(keys))
    for (entry, expr), key in zip(gradients, (*keys, *unnamed), strict=True):
        name = unique(key or f"grad_{entry.tensor.name}", to.taken)
        _define(name, entry, expr, to)
        outputs.append((key or entry.tensor.name, _named(name, entry)))
    weight = None if weight is None else _weight(weight, to)
    made = [*outputs, *([] if weight is None else [("weight", weight)])]
    keep = frozenset((*loss.declared, *loss.defined, *(e.tensor.name for _, e in made)))
    statements = fold_copies(share([_settled(s) for s in to.statements], to.taken), keep)
    inputs = tuple(Input(d.tensor, d.role, d.default, d.ignored) for d in loss.declarations)
    batch_axis = None if whole else SAMPLE.axis
    settled = tuple(_settled(s) for s in statements)
    kernel = Kernel(loss.name, inputs, settled, tuple(outputs), batch_axis, weight).pruned()
    validate(kernel)
    return kernel


def _weight(weight: Expr, to: Builder) -> Entry:
    """The array of what each sample weighs: computed, even where it is an argument as it stands."""
    computed = isinstance(weight, Entry) and weight.tensor.name in to.loss.defined
    if computed and weight.indices == (SAMPLE,):
        return weight
    entry = Entry(Tensor(unique("weight", to.taken), (SAMPLE.axis,)), SAMPLE)
    _define(entry.tensor.name, entry, weight, to)
    return entry


def _per_sample(entry: Entry, expr: Expr, names: frozenset[str]) -> tuple[Entry, Expr]:
    expr = with_samples(expr, names)
    if entry.tensor.name in names:
        return Entry(widen(entry.tensor), SAMPLE, *entry.indices), expr
    return entry, total(SAMPLE, expr)


def _named(name: str, entry: Entry) -> Entry:
    return Entry(type(entry.tensor)(name, entry.tensor.axes), *entry.indices)


def _define(name: str, entry: Entry, body: Expr, to: Builder) -> None:
    indices = tuple(i for i in entry.indices if isinstance(i, Index))
    to.statements.append(Map(name, indices, lower(body, to)))


def _settled(statement: Statement) -> Statement:
    """The statement with plain letters for its indices."""
    letters = settle((*statement.indices, *statement.over))
    indices = tuple(letters[i] for i in statement.indices)
    over = tuple(letters[i] for i in statement.over)
    if isinstance(statement, Map):
        return replace(statement, indices=indices, expr=substitute(statement.expr, letters))
    if isinstance(statement, Contract):
        operands = tuple(substitute(x, letters) for x in statement.operands)
        return replace(statement, indices=indices, over=over, operands=operands)
    return replace(statement, indices=indices, over=over, expr=substitute(statement.expr, letters))
