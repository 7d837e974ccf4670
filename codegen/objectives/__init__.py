"""Objectives for gradient boosting: one small file and one template a library."""

from codegen.objectives import catboost, hist_gradient_boosting, lightgbm, xgboost
from codegen.objectives.build import objective_for
from codegen.objectives.fit import fits
from codegen.objectives.objective import Library, ObjectiveFunction
from codegen.objectives.policies import policy_lines
from derive.errors import KernelError
from derive.loss import Loss

OBJECTIVES: dict[str, Library] = {
    module.LIBRARY.name: module.LIBRARY
    for module in (xgboost, lightgbm, catboost, hist_gradient_boosting)
}

__all__ = ["OBJECTIVES", "Library", "ObjectiveFunction", "fits", "objective", "policy_lines"]


def objective(
    loss: Loss, target: str = "xgboost", wrt: str | None = None, hessian: str | None = None
) -> ObjectiveFunction:
    """An objective for a boosting library, from a loss of one row's raw scores.

    `wrt` names the scores, by default the loss's only input; a definition is cut there.
    `hessian` names the policy for the second derivatives; by default the library's own where
    the loss can have it.  Raises KernelError for a loss that does not fit, or cannot have the
    policy.
    """
    if target not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise KernelError(f"target: expected one of {known}, found '{target}'")
    return objective_for(loss, OBJECTIVES[target], wrt, hessian)
