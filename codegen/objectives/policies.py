"""What a boosting library is given for a second derivative: the Hessian policies.

A policy is one small function with a name, a reason and a source.  It gives an expression in
the names of the loss, over the entry i of the scores, or over (i, j) where it gives a whole
matrix; or it raises KernelError, saying why this loss cannot have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from textwrap import wrap

from sympy import Expr, Integer, Rational

from codegen.objectives.curvature import Curvature
from codegen.objectives.expected import expected
from codegen.objectives.majorizer import majorizer
from derive.errors import KernelError, PminusyError
from derive.functions import largest

FLOOR = "floor"
EPS = Rational(1, 1000)


@dataclass(frozen=True)
class Policy:
    """A Hessian policy: what it gives, why one would want it, and where it comes from.

    `bounds` says that the quadratic model with it lies above the loss, or above its
    second-order expansion.
    """

    name: str
    reason: str
    source: str
    expression: Callable[[Curvature], Expr]
    bounds: bool = False


@dataclass(frozen=True)
class Chosen:
    """A policy for one loss: its expression, over (i, j) if `whole`, else over i."""

    name: str
    reason: str
    source: str
    expr: Expr
    whole: bool
    bounds: bool


def _exact(found: Curvature) -> Expr:
    return found.diagonal


def _one(found: Curvature) -> Expr:
    return Integer(1)


def _bound(found: Curvature) -> Expr:
    if not found.indices:
        raise KernelError("a row has one score, whose Hessian is exact: it needs no bound")
    if not (found.shift_invariant and found.repelling):
        raise KernelError(
            "the rows of its Hessian are not known to sum to 0 with entries <= 0 off the diagonal"
        )
    return 2 * found.diagonal


def _friedman(found: Curvature) -> Expr:
    classes = found.fit.classes
    if classes is None or not found.shift_invariant:
        raise KernelError("its Hessian's rows are not known to sum to 0 over several classes")
    return classes / (classes - 1) * found.diagonal


POLICIES = (
    Policy("exact", "the second derivative itself, of each score", "calculus", _exact),
    Policy(
        "fisher",
        "the second derivative expected where the target follows the model: it is free of the "
        "target, and not negative where the model is right",
        "Fisher scoring; McCullagh and Nelder (1989), section 2.5",
        expected,
    ),
    Policy(
        "majorizer",
        "f'(r)/r of an even loss f of the error r: the parabola through r with this curvature "
        "lies above f wherever f'(r)/r does not grow with |r|",
        "half-quadratic majorization; de Leeuw and Lange (2009), theorem 4.5",
        majorizer,
        bounds=True,
    ),
    Policy(
        "diagonal-bound",
        "twice the diagonal, which bounds the Hessian H: its rows sum to 0 and it is <= 0 off the "
        "diagonal, so v'Hv = sum over i < j of -H_ij (v_i - v_j)^2 <= 2 sum of H_ii v_i^2",
        "(v_i - v_j)^2 <= 2 v_i^2 + 2 v_j^2; XGBoost's multi:softprob",
        _bound,
        bounds=True,
    ),
    Policy(
        "friedman",
        "K/(K - 1) times the diagonal: a Newton step for scores that are held to sum to 0",
        "Friedman, Hastie and Tibshirani (2000), algorithm 6; LightGBM's multiclass",
        _friedman,
    ),
    Policy(
        "one", "1: a step along the gradient, its length the learning rate", "Friedman (2001)", _one
    ),
)
BY_NAME = {policy.name: policy for policy in POLICIES}


def choose(found: Curvature, name: str, whole: bool = False) -> Chosen:
    """The policy of this name for a loss.

    `whole` allows a matrix, which `exact` then is; every other policy gives a diagonal.
    Raises KernelError, naming those that the loss can have, where it cannot have this one.
    """
    if name == FLOOR or name.startswith(FLOOR + ":"):
        return _floor(found, name)
    policy = BY_NAME.get(name)
    if policy is None:
        raise KernelError(f"--hessian: no policy '{name}': expected one of {', '.join(NAMES)}")
    try:
        expr = _expression(policy, found)
    except KernelError as error:
        possible = ", ".join(available(found))
        raise KernelError(
            f"{found.fit.dense.name} cannot have the Hessian policy {name}, since {error}; "
            f"it can have {possible}"
        ) from None
    if whole and name == "exact" and found.indices:
        reason = "the second derivatives themselves, of each pair of scores"
        return Chosen(name, reason, policy.source, found.whole, True, False)
    return Chosen(name, policy.reason, policy.source, expr, False, policy.bounds)


def _expression(policy: Policy, found: Curvature) -> Expr:
    expr = policy.expression(found)
    if expr == 0:
        raise KernelError("its second derivative is 0 everywhere, and no tree would grow")
    return expr


def _floor(found: Curvature, name: str) -> Chosen:
    """max(exact, EPS), EPS a positive number."""
    text = name.partition(":")[2]
    try:
        eps = Fraction(text) if text else Fraction(int(EPS.p), int(EPS.q))
    except (ValueError, ZeroDivisionError):
        eps = Fraction(0)
    if eps <= 0 or len(text) > 40:
        raise KernelError(f"--hessian: expected floor:EPS with a number EPS > 0, found '{name}'")
    shown = text or f"{float(eps):g}"
    reason = f"the second derivative itself, but at least {shown}: it may be 0 or negative"
    expr = largest(found.diagonal, Rational(eps.numerator, eps.denominator))
    source = "XGBoost's multi:softprob, with 1e-16"
    return Chosen(f"{FLOOR}:{shown}", reason, source, expr, False, False)


def available(found: Curvature) -> tuple[str, ...]:
    """The names of the policies that a loss can have."""
    names = []
    for policy in POLICIES:
        try:
            _expression(policy, found)
        except PminusyError:
            continue
        names.append(policy.name)
    return (*names, f"{FLOOR}:EPS")


def default(found: Curvature, preferred: tuple[str, ...]) -> str:
    """The policy that a loss has where none is named.

    The library's own choice, if the loss can have it and its exact diagonal is known to be
    >= 0; else one that cannot vanish or be negative, whatever the loss.
    """
    possible = available(found)
    if found.diagonal == 0:
        return "one"
    if "majorizer" in possible and not found.diagonal.is_number:
        return "majorizer"
    if found.nonnegative(found.diagonal):
        return next(name for name in (*preferred, "exact") if name in possible)
    return "fisher" if "fisher" in possible else FLOOR


NAMES = (*BY_NAME, f"{FLOOR}:EPS")


def policy_lines(chosen: Chosen, possible: tuple[str, ...]) -> list[str]:
    """The policy of an objective, and the others that its loss can have."""
    lines = wrap(f"{chosen.reason} ({chosen.source}).", 92, break_on_hyphens=False)
    rest = [f"  {line}" for line in (*lines, f"This loss can have: {', '.join(possible)}.")]
    return [f"Hessian policy: {chosen.name}", *rest]
