"""Which losses a boosting library can be given: one number or one class a row, raw scores in.

A library adds trees up to raw scores, one a row or one a class, and asks for the derivatives
by them.  So a loss fits where it is a function of one row's scores, which may be any real
numbers, and of one target, which the library hands over as one number: a class counts from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.builder import dense_target, prepared
from codegen.lower import cut
from derive.batch import names_batch
from derive.errors import KernelError, PminusyError
from derive.index import Axis
from derive.loss import Declaration, Loss

REAL = ("real", "unit", "binary", "sign")


@dataclass(frozen=True)
class Fit:
    """A loss of one row's raw scores, as written (`dense`) and as a library uses it (`loss`).

    The two differ where the target is a distribution over the classes: a library gives labels.
    """

    dense: Loss
    loss: Loss
    score: str
    target: str

    @property
    def classes(self) -> Axis | None:
        """The axis of the raw scores, None where a row has one."""
        axes = self.loss.declared[self.score].tensor.axes
        return axes[0] if axes else None

    @property
    def kind(self) -> str:
        """What the target is: class, binary, sign, unit or real."""
        return "class" if self.label else self.loss.declared[self.target].domain.kind

    @property
    def label(self) -> Axis | None:
        """The axis that the target is a class of."""
        axis: Axis | None = self.loss.declared[self.target].tensor.label
        return axis


def fitting(loss: Loss, score: str | None = None) -> Fit:
    """The loss as a function of the raw scores `score`, by default of its only input.

    Raises KernelError, with the remedy, for a loss that no boosting library can be given.
    """
    if names_batch(loss):
        raise KernelError(
            f"{loss.name} is written over the whole batch, and a boosting library asks for one "
            "row's derivatives: write it for one row, without N"
        )
    ignoring = [d.name for d in loss.declarations if d.ignored is not None]
    if loss.weight is not None or ignoring:
        raise KernelError(
            f"{loss.name}: the weight of a mean and ignored labels are given to a boosting library "
            "as weights of rows, 0 for what is ignored: write the loss of one row without them"
        )
    whole = cut(loss, (score,)) if score else loss
    inputs = [d for d in whole.declarations if d.role in ("input", "param")]
    if len(inputs) != 1:
        raise KernelError(_several(loss, inputs, score))
    declared = inputs[0]
    if declared.role == "param" or len(declared.tensor.axes) > 1 or declared.tensor.label:
        raise KernelError(
            f"{loss.name}: '{declared.name}' is no row of raw scores: "
            "declare an input without axes, or with one axis, the classes"
        )
    _check_scores(loss, declared)
    _check_consts(whole)
    target = _target(whole, declared)
    labelled = prepared(whole, (), "index")[0] if dense_target(whole) else whole
    return Fit(whole, labelled, declared.name, target.name)


def _several(loss: Loss, inputs: list[Declaration], score: str | None) -> str:
    found = ", ".join(d.name for d in inputs) or "no input"
    better = [] if score else [d.name for d in loss.definitions[:-1] if fits(loss, d.name)]
    remedy = f"cut it at its raw scores: --wrt {better[0]}" if better else "rewrite it as one"
    return f"{loss.name} is no function of one row of raw scores (it has {found}): {remedy}"


def fits(loss: Loss, name: str | None = None) -> bool:
    """Whether a boosting library can be given the loss, as a function of the scores `name`."""
    try:
        fitting(loss, name)
    except PminusyError:
        return False
    return True


def _check_scores(loss: Loss, declared: Declaration) -> None:
    domain = declared.domain
    if domain.kind != "real" or domain.lower is not None or domain.upper is not None:
        raise KernelError(
            f"{loss.name}: raw scores are any real numbers, and '{declared.name}' has a domain: "
            "write it as a function of real scores, such as a softmax, a sigmoid or tanh of them"
        )


def _check_consts(loss: Loss) -> None:
    for d in loss.declarations:
        if d.role == "const" and (d.tensor.axes or d.default is None):
            what = "axes" if d.tensor.axes else "no default"
            raise KernelError(
                f"{loss.name}: the const '{d.name}' has {what}: an objective's consts are single "
                "numbers with a default; weights of classes are given as weights of rows"
            )


def _target(loss: Loss, score: Declaration) -> Declaration:
    targets = [d for d in loss.declarations if d.role == "target"]
    if len(targets) != 1:
        found = ", ".join(d.name for d in targets) or "none"
        raise KernelError(
            f"{loss.name}: a boosting library gives one target a row, and this loss has {found}"
        )
    target, axes = targets[0], score.tensor.axes
    if target.tensor.axes:
        if target.domain.kind != "simplex" or target.tensor.axes != axes:
            raise KernelError(
                f"{loss.name}: a boosting library gives one number a row, and '{target.name}' is "
                "a row of them: declare it in simplex over the classes of the scores, or a label"
            )
    elif target.tensor.label is not None:
        if axes != (target.tensor.label,):
            raise KernelError(
                f"{loss.name}: '{target.name}' is a class of {target.tensor.label}, which is not "
                f"the axis of the scores '{score.name}'"
            )
    elif axes:
        raise KernelError(
            f"{loss.name}: K scores a row need a class a row, and '{target.name}' is a number: "
            "declare it as a label, in K"
        )
    return target
