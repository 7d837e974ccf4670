"""From a loss to source, and from source to a callable."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from codegen.autograd import assuming_nothing, autograd
from codegen.chosen import selection_for
from codegen.compensate import compensated
from codegen.kernel import Kernel
from codegen.lower import cut, lower_loss
from codegen.stabilize import Gradient, Selection, Stable, as_written, stabilize
from codegen.targets import TARGETS
from codegen.targets.autograd import Autograd
from codegen.targets.facts import facts
from codegen.targets.numpy import safe_names
from codegen.wide import widened
from derive.derivation import Derivation
from derive.engine import gradient
from derive.errors import KernelError
from derive.index import tensors
from derive.labels import as_labels, with_labels
from derive.loss import Loss

LABELS = ("dense", "index")
LABEL_NOTE = "{} is given as class labels: the derivation contracts the delta that they stand for."
MODULES = frozenset(  # what generated files import, besides Python's own functions
    """
    codegen ctypes dataclass derive dist forward_ad importlib jax jnp math njit np
    once_differentiable os partial Path pickle prange sys tempfile tl torch triton triton_op
    warnings wrap_triton
    """.split()  # noqa: SIM905
)
COMPENSATED_NOTE = "Rounding errors are carried to the functions that would make more of them."


@dataclass(frozen=True)
class KernelFunction:
    """A generated kernel, ready to call.

    `kernel(a=a, y=y, reduction="mean")` gives the loss and a dictionary of gradients.
    Arrays are taken as they are; numbers and lists become arrays of `dtype`.
    With `accumulate` every float32 argument is computed with in float64, and each result
    rounded once to float32.
    Raises TypeError for a wrong dtype or argument, ValueError for a wrong shape or label.
    """

    loss: Loss
    kernel: Kernel
    target: str
    wrt: tuple[str, ...]
    dtype: str
    reduction: str
    source: str
    files: Mapping[str, str]
    explain: tuple[Derivation, ...]
    accumulate: str = ""

    def __call__(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        names = self._names
        whole = self.kernel.batch is None
        reduction = arguments.pop("reduction", self.reduction)
        options = {"on_empty": arguments.pop("on_empty", "nan"), "reduction": reduction}
        if whole and reduction != "none":
            raise KernelError(f"{self.loss.name} is written over the whole batch: no reduction")
        given = {names.get(k, k): self._array(k, v) for k, v in arguments.items() if k != "out"}
        if "out" in arguments:
            given["out"] = arguments["out"]
        function = self._function
        more = {} if whole else options
        if self.accumulate:
            return widened(function, given, more, self.accumulate)
        loss, gradients = function(**given, **more)
        return loss, gradients

    @cached_property
    def _function(self) -> Callable[..., tuple[Any, dict[str, Any]]]:
        """The loss and its gradients, of which there may be none."""
        name = self.kernel.name
        if any(key for key, _ in self.kernel.outputs):
            both: Callable[..., tuple[Any, dict[str, Any]]]
            both = self.functions[f"{name}_value_and_gradient"]
            return both
        return lambda **arguments: (self.functions[name](**arguments), {})

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """The generated module's names of the arguments."""
        return safe_names(self.kernel)

    @cached_property
    def functions(self) -> Mapping[str, Any]:
        """What the generated module defines; a compiled target is compiled at the first use."""
        return TARGETS[self.target].load(self.files, self.kernel)

    def _array(self, name: str, value: Any) -> Any:
        import numpy as np

        labels = any(g.name == name and g.tensor.label for g in self.kernel.inputs)
        plain = value is None or isinstance(value, int | float | np.generic)
        if plain or hasattr(value, "__array__"):
            return value
        return np.asarray(value, dtype=np.int64 if labels else self.dtype)


def build(
    loss: Loss,
    target: str = "numpy",
    wrt: Sequence[str] | None = None,
    dtype: str = "float64",
    reduction: str = "none",
    labels: str = "dense",
    stable: bool = True,
    selection: Selection | None = None,
    accumulate: str = "",
    compensate: bool | None = None,
) -> KernelFunction:
    """A callable kernel for the loss and its gradients by the names in `wrt`.

    A definition in `wrt` is cut: it becomes an input.  By default `wrt` is every input and param.
    labels="index" takes the dense simplex target as class labels.  stable=False leaves the
    formulas as written and derived: a naive kernel, to compare with, that also takes complex128.
    `selection` says by which rules it is made stable; by default the table of choices does.
    accumulate="float64" computes in float64 what comes and goes as float32.
    compensate=True carries the rounding errors that exp, powers and the like would make more of:
    within 4 ULP in fp64 where the fast form may lose hundreds.  By default where it is measured
    to cost little; False: nowhere.
    Raises KernelError for what cannot be built.
    """
    _one_of("target", target, tuple(TARGETS))
    known = TARGETS[target].dtypes
    _one_of("dtype", dtype, known)
    _one_of("labels", labels, LABELS)
    _one_of("accumulate", accumulate, ("", "float64"))
    loss = replace(loss, name=identifier(loss.name))
    names = default_wrt(loss) if wrt is None else tuple(dict.fromkeys(wrt))
    whole = loss
    loss, found, notes, stabilized, kernel = _made(
        loss, names, labels, stable, selection, _carries(target, compensate)
    )
    said = facts(loss, [(g.wrt, g.result) for g in found], kernel, notes, known)
    dtypes = known if stable else (*known, "complex128")
    more = (_autograd(whole, names, labels, stable, selection),) if TARGETS[target].autograd else ()
    files = TARGETS[target].emit(kernel, said, dtypes, *more)
    source, steps = next(iter(files.values())), stabilized.derivations
    made = (loss, kernel, target, names, dtype, reduction, source, files, steps, accumulate)
    return KernelFunction(*made)


@lru_cache(maxsize=128)
def _made(
    loss: Loss,
    names: tuple[str, ...],
    labels: str,
    stable: bool,
    selection: Selection | None,
    carries: bool | None,
) -> tuple[Loss, tuple[Gradient, ...], tuple[str, ...], Stable, Kernel]:
    """What the targets share: the loss cut, its gradients, notes, stable forms, and the kernel."""
    loss, found, notes = prepared(loss, names, labels)
    chosen = _carrying(selection or selection_for(loss, names), carries)
    stabilized = stabilize(loss, found, chosen) if stable else as_written(loss, found)
    kernel = lower_loss(stabilized.loss, [(g.wrt, g.result) for g in stabilized.gradients])
    if stable and chosen.compensated:
        kernel, notes = compensated(kernel), (*notes, COMPENSATED_NOTE)
    return loss, found, notes, stabilized, kernel


@lru_cache(maxsize=128)
def _autograd(
    loss: Loss, names: tuple[str, ...], labels: str, stable: bool, selection: Selection | None
) -> Autograd:
    """The kernels of the backward passes."""
    stabilized = _made(loss, names, labels, stable, selection, False)[3]
    label = dense_target(loss) if labels == "index" else None
    return autograd(cut(loss, names), stabilized, names, label)


def _carries(target: str, compensate: bool | None) -> bool | None:
    """Whether errors are carried; None where the form that was chosen decides."""
    if TARGETS[target].compensates:
        return compensate
    if compensate:
        those = ", ".join(name for name, other in TARGETS.items() if other.compensates)
        raise KernelError(f"the target {target} has no compensated form: leave it out, or {those}")
    return False


def _carrying(selection: Selection, carries: bool | None) -> Selection:
    return selection if carries is None else selection.carrying(carries)


def prepared(
    loss: Loss, names: Sequence[str], labels: str = "dense"
) -> tuple[Loss, tuple[Gradient, ...], tuple[str, ...]]:
    """The loss cut at `names`, its derived gradients by them, and what is to be noted."""
    _check_weight(loss, names)
    loss = cut(loss, names)
    found = gradients(loss, names)
    return _labelled(loss, found) if labels == "index" else (loss, found, ())


def default_wrt(loss: Loss) -> tuple[str, ...]:
    """Every input and every param."""
    return tuple(d.name for d in loss.declarations if d.role in ("input", "param"))


def dense_target(loss: Loss) -> str | None:
    """The name of the target that may be given as class labels, if there is one."""
    found = [d for d in loss.declarations if d.role == "target" and d.domain.kind == "simplex"]
    return found[0].name if len(found) == 1 else None


def gradients(loss: Loss, names: Sequence[str]) -> tuple[Gradient, ...]:
    """The derived gradients, true for every target: nothing is assumed of what it sums to."""
    free, found = assuming_nothing(loss), []
    for name in names:
        derivation = gradient(free, name)
        found.append(Gradient(derivation.wrt[0], derivation.result))
    return tuple(found)


def _check_weight(loss: Loss, names: Sequence[str]) -> None:
    """Refuse a gradient by what the weight of the mean depends on: it is held fixed."""
    varying = set() if loss.weight is None else {t.name for t in tensors(loss.weight)}
    for definition in reversed(loss.definitions):
        if definition.name in varying:
            varying |= {tensor.name for tensor in tensors(definition.body)}
    wrong = sorted(varying & set(names))
    if wrong:
        raise KernelError(
            f"{loss.name}: the mean is weighted by what depends on '{wrong[0]}', which is held "
            f"fixed: no gradient by '{wrong[0]}'"
        )


def _labelled(
    loss: Loss, found: tuple[Gradient, ...]
) -> tuple[Loss, tuple[Gradient, ...], tuple[str, ...]]:
    """The loss and its gradients with the dense target as labels.

    The gradients are true for every target, so the deltas can be put in after differentiation.
    """
    name = dense_target(loss)
    if name is None:
        raise KernelError(f"{loss.name} has no dense target in simplex to give as class labels")
    dense = loss.tensor(name)
    pairs = tuple(replace(g, result=as_labels(g.result, dense, loss)) for g in found)
    return with_labels(loss, name), pairs, (LABEL_NOTE.format(name),)


def identifier(name: str) -> str:
    cleaned = re.sub(r"\W", "_", name) or "loss"
    reserved = cleaned in MODULES or cleaned in dir(builtins) or keyword.iskeyword(cleaned)
    return f"loss_{cleaned}" if reserved or re.match(r"[\d_]", cleaned) else cleaned


def _one_of(what: str, found: str, allowed: tuple[str, ...]) -> None:
    if found not in allowed:
        raise KernelError(f"{what}: expected one of {', '.join(allowed)}, found '{found}'")
