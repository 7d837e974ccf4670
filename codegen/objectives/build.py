"""From a loss to the source of an objective."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

from sympy import Expr

from codegen.builder import identifier
from codegen.chosen import selection_for
from codegen.kernel import Kernel, trees
from codegen.lower import lower_loss
from codegen.objectives.curvature import Curvature, curvature
from codegen.objectives.emit import Said, emit
from codegen.objectives.fit import fitting
from codegen.objectives.link import link
from codegen.objectives.objective import Library, ObjectiveFunction
from codegen.objectives.policies import Chosen, available, choose, default
from codegen.stabilize import Gradient, stabilize
from codegen.stabilize.fractions import with_divisors
from codegen.targets.facts import facts
from derive.index import Entry, Tensor
from derive.loss import Loss
from derive.printing import language


def objective_for(
    loss: Loss, library: Library, score: str | None, hessian: str | None
) -> ObjectiveFunction:
    """The objective of a loss for a library, with the policy `hessian` or the default one."""
    found = curvature(fitting(replace(loss, name=identifier(loss.name)), score))
    name = hessian or default(found, library.preferred)
    policy = choose(found, name, library.matrix)
    predicted = link(found)
    outputs, keys = _outputs(found, policy, predicted)
    whole = found.fit.loss
    stable = stabilize(whole, outputs, selection_for(whole, (found.fit.score,)))
    pairs = [(g.wrt, g.result) for g in stable.gradients]
    kernel = _arranged(lower_loss(stable.loss, pairs, keys), found)
    written = facts(whole, [], kernel)
    possible = available(found)
    said = Said(written, _derived(found, predicted), policy, possible, found.fit, keys)
    files = emit(kernel, library, said)
    return ObjectiveFunction(
        whole,
        kernel,
        library.name,
        policy,
        possible,
        next(iter(files.values())),
        files,
        stable.derivations,
    )


def _outputs(
    found: Curvature, policy: Chosen, predicted: Expr | None
) -> tuple[tuple[Gradient, ...], tuple[str, ...]]:
    """The slope, the second derivatives and the prediction, and the names of these outputs."""
    first = found.first
    square = Tensor(first.tensor.name, (*first.tensor.axes, *found.second.tensor.axes))
    second = Entry(square, *found.indices) if policy.whole else first
    dense = found.fit.dense
    opened = with_divisors(policy.expr, dense, dense.value.name)
    outputs = [
        Gradient(first, found.labelled(found.slope)),
        Gradient(second, found.labelled(opened), order=2),
    ]
    if predicted is not None:
        outputs.append(Gradient(first, found.labelled(_opened(predicted, found))))
    names = ("slope", "curvature", "prediction")
    keys = [found.fit.dense.unused_name(name) for name in names]
    return tuple(outputs), tuple(keys[: len(outputs)])


def _opened(predicted: Expr, found: Curvature) -> Expr:
    """A prediction that has a name as what the name stands for."""
    definition = found.fit.dense.defined.get(str(getattr(predicted, "tensor", "")))
    return predicted if definition is None else definition.at(predicted)


def _arranged(kernel: Kernel, found: Curvature) -> Kernel:
    """The kernel with its arguments in the order scores, target, consts, and without an output
    that is nothing but a copy of an array."""
    order = (found.fit.score, found.fit.target)
    first = [next(g for g in kernel.inputs if g.name == name) for name in order]
    rest = [g for g in kernel.inputs if g.name not in order]
    computed = {s.name: s for s in kernel.statements}
    outputs = []
    for key, entry in kernel.outputs:
        body = trees(computed[entry.tensor.name])[0]
        copied = isinstance(body, Entry) and body.tensor.name in computed
        same = copied and body.indices == computed[entry.tensor.name].indices
        outputs.append((key, body if same else entry))
    kept = replace(kernel, inputs=(*first, *rest), outputs=tuple(outputs))
    return kept.needed(*(key for key, _ in outputs))


def _derived(found: Curvature, predicted: Expr | None) -> dict[str, tuple[str, ...]]:
    """The derived results by heading, in the language of the loss file."""
    fit = found.fit
    value, i = fit.loss.value.name, language(found.first, fit.loss)
    rows = [(f"d{value}/d{i}", found.slope)]
    if found.indices:
        rows.append((f"d2{value}/d{i} d{language(found.second, fit.loss)}", found.whole))
    else:
        rows.append((f"d2{value}/d{i}2", found.whole))
    table = {"Derivatives, as derived": _lines(rows, found)}
    if predicted is not None:
        table["Link: what the raw scores predict"] = _lines([("prediction", predicted)], found)
    return table


def _lines(rows: Sequence[tuple[str, Expr]], found: Curvature) -> tuple[str, ...]:
    return tuple(
        line
        for name, expr in rows
        for line in textwrap.wrap(
            f"{name} = {language(found.labelled(expr), found.fit.loss)}",
            92,
            subsequent_indent=" " * 8,
            break_long_words=False,
        )
    )
