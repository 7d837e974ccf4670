"""What an automatic differentiator wants of a loss: products with its Jacobian and its Hessian.

Backward, the gradients are weighted by a cotangent u, one number a sample: u dL/da, and summed
over the samples for what they share.  Backward through that, the directions v come in, one for
each gradient: the directional derivative S = sum_k v[k] dL/da[k] is a loss like any other, which
is made stable and lowered like any other, and its gradients are the Hessian-vector products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sympy import Mul

from codegen.kernel import Kernel
from codegen.lower import lower_loss
from codegen.stabilize import Gradient, Stable, Unchecked, stabilize
from codegen.stabilize.fractions import with_divisors
from codegen.targets.autograd import Autograd
from derive.agree import agree_numerically
from derive.engine import gradient
from derive.errors import PminusyError
from derive.index import Entry, Tensor, tensors
from derive.labels import as_labels, with_labels
from derive.loss import Declaration, Definition, Domain, Loss
from derive.printing import language
from derive.products import Weighted, directional


def assuming_nothing(loss: Loss) -> Loss:
    """The loss with targets in simplex free: what is derived of it is true for every target."""
    free = tuple(
        replace(d, domain=Domain()) if d.role == "target" and d.domain.kind == "simplex" else d
        for d in loss.declarations
    )
    return replace(loss, declarations=free)


def autograd(
    loss: Loss, stable: Stable, names: Sequence[str], label: str | None = None
) -> Autograd:
    """The kernels for a loss, cut at `names`, and its stable gradients by them.

    `label` is the dense target that is given as class labels.
    """
    cotangent = loss.unused_name("cotangent", "weight_of_sample")
    kernel = weighted_by(stable, cotangent)
    try:
        return _with_second(Autograd(kernel, cotangent), loss, names, label)
    except PminusyError as error:
        return Autograd(kernel, cotangent, reason=str(error))


def weighted_by(stable: Stable, cotangent: str) -> Kernel:
    """The kernel with every gradient weighted by the cotangent of the loss."""
    weight = Tensor(cotangent)
    declared = (*stable.loss.declarations, Declaration(weight, "target"))
    pairs = [(g.wrt, Mul(Entry(weight), g.result)) for g in stable.gradients]
    return lower_loss(replace(stable.loss, declarations=declared), pairs)


def _with_second(found: Autograd, loss: Loss, names: Sequence[str], label: str | None) -> Autograd:
    free = assuming_nothing(loss)
    inner = directional(free, names)
    directions = tuple(str(v.tensor.name) for v, _ in inner.pairs)
    slopes = []
    for name in names:
        derivation = gradient(inner.loss, name, inner.entry, inner.made)
        slopes.append(Gradient(derivation.wrt[0], derivation.result, order=2))
    whole = _as_loss(inner, loss, dict(zip(directions, names, strict=True)))
    printed = tuple(_printed(g, inner.loss) for g in slopes)
    slopes = [
        replace(g, result=with_divisors(g.result, inner.loss, loss.value.name)) for g in slopes
    ]
    if label is not None:
        dense = loss.tensor(label)
        slopes = [replace(g, result=as_labels(g.result, dense, loss)) for g in slopes]
        whole = with_labels(whole, label)
    # Each step would take seconds to check: what all of them lead to is held against balls.
    stable = stabilize(whole, tuple(slopes), kind=Unchecked)
    for derivation in stable.derivations:
        if derivation.steps:
            agree_numerically(whole, derivation.start, derivation.result)
    second = weighted_by(stable, found.cotangent)
    return replace(found, second=second, directions=directions, results=printed)


def _as_loss(inner: Weighted, loss: Loss, like: dict[str, str]) -> Loss:
    """The directional derivative as a loss: a direction has the role of what moves along it."""
    declared = []
    for d in inner.loss.declarations:
        if d.name in like:
            role = "input" if loss.declared[like[d.name]].role == "input" else "param"
            d = Declaration(d.tensor, role)
        declared.append(d)
    whole = replace(inner.loss, declarations=tuple(declared), definitions=_needed(inner))
    return replace(whole, weight=None)


def _needed(inner: Weighted) -> tuple[Definition, ...]:
    live = {str(inner.entry.tensor.name)}
    kept: list[Definition] = []
    for definition in reversed(inner.loss.definitions):
        if definition.name in live:
            kept.append(definition)
            live |= {tensor.name for tensor in tensors(definition.body)}
    return tuple(reversed(kept))


def _printed(slope: Gradient, loss: Loss) -> str:
    return f"(H v) by {language(slope.wrt, loss)} = {language(slope.result, loss)}"
