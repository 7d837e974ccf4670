"""What can be said of an expression's value from its form: its sign, and whether it is bounded."""

from __future__ import annotations

from sympy import Expr, Integer, Pow, atan, cos, erf, exp, log, sin, tanh

from derive.functions import (
    absolute,
    erfc,
    erfcx,
    expm1,
    largest,
    relu,
    sigmoid,
    signum,
    softplus,
    step,
)
from derive.index import (
    Axis,
    Choice,
    Delta,
    Entry,
    Index,
    Maximum,
    Minimum,
    Product,
    Share,
    Tensor,
    Total,
    free_indices,
    substitute,
    tensors,
)
from derive.loss import Domain, Loss

POSITIVE = (exp, sigmoid, softplus, erfc, erfcx, Axis)
NONNEGATIVE = (*POSITIVE, relu, step, absolute, Delta, Share)
BOUNDED = (sigmoid, tanh, sin, cos, atan, erf, erfc, signum, step, Delta, Share)


def positive(expr: Expr, loss: Loss) -> bool:
    """Whether the form of `expr` shows it to be > 0 on the domain of the loss."""
    return _sign(expr, loss, strict=True)


def nonnegative(expr: Expr, loss: Loss) -> bool:
    """Whether the form of `expr` shows it to be >= 0 on the domain of the loss."""
    return _sign(expr, loss, strict=False)


def _sign(expr: Expr, loss: Loss, strict: bool) -> bool:
    if isinstance(expr, POSITIVE if strict else NONNEGATIVE):
        return True
    if expr.is_number:
        return bool(expr.is_positive if strict else expr.is_nonnegative)
    if isinstance(expr, Entry):
        return _sign_of_entry(expr, loss, strict)
    if expr.is_Mul:
        return _sign_of_product(expr, loss, strict)
    if expr.is_Add:
        if _is_rest_of_power(expr, loss):
            return not strict
        signs = [_sign(arg, loss, strict=False) for arg in expr.args]
        return all(signs) and (not strict or any(_sign(arg, loss, True) for arg in expr.args))
    if isinstance(expr, Pow):
        even = isinstance(expr.exp, Integer) and expr.exp % 2 == 0
        return (even and not strict) or _sign(expr.base, loss, strict)
    if isinstance(expr, Total | Product | Maximum | Minimum):
        return _sign(expr.args[1], loss, strict)
    if isinstance(expr, Choice):
        return all(_sign(arg, loss, strict) for arg in expr.args[1:])
    if isinstance(expr, largest):
        return any(_sign(arg, loss, strict) for arg in expr.args)
    return False


def _is_rest_of_power(expr: Expr, loss: Loss) -> bool:
    """Whether it is 1 - u^n for a given number u from 0 to 1, and n > 0."""
    base, n = (1 - expr).as_base_exp()
    return is_unit(base, loss) and positive(n, loss)


def is_unit(expr: Expr, loss: Loss) -> bool:
    """Whether it is a given number from 0 to 1."""
    declared = loss.declared.get(expr.tensor.name) if isinstance(expr, Entry) else None
    return declared is not None and declared.domain.kind in ("unit", "binary", "simplex")


def _sign_of_product(expr: Expr, loss: Loss, strict: bool) -> bool:
    """Whether the product of what is above 0 and of an even number of exp(x) - 1, x below 0."""
    below = 0
    for factor in expr.args:
        if isinstance(factor, expm1):
            if not _sign(-factor.args[0], loss, strict):
                return False
            below += 1
        elif (factor.is_number and factor.is_negative) or (
            not strict and isinstance(factor, log) and is_unit(factor.args[0], loss)
        ):
            below += 1
        elif not _sign(factor, loss, strict):
            return False
    return below % 2 == 0


def _sign_of_entry(entry: Entry, loss: Loss, strict: bool) -> bool:
    name = entry.tensor.name
    if name in loss.defined:
        return _sign(loss.defined[name].body, loss, strict)
    declaration = loss.declared.get(name)
    if declaration is None:
        return False
    domain: Domain = declaration.domain
    if domain.kind in ("simplex", "unit", "binary") and not strict:
        return True
    if domain.lower is None:
        return False
    above = domain.lower > 0 or (domain.lower == 0 and domain.lower_open)
    return bool(above if strict else domain.lower >= 0)


def is_weight(expr: Expr, loss: Loss) -> bool:
    """Whether `expr` is made of targets and consts only, and can be 0."""
    names = [t.name for t in _sorted_tensors(expr)]
    roles = [loss.declared[name].role if name in loss.declared else "" for name in names]
    if not roles or not all(role in ("target", "const") for role in roles):
        return False
    return not positive(expr, loss)


def is_fixed(expr: Expr, loss: Loss) -> bool:
    """Whether `expr` is made of numbers, sizes and consts only."""
    roles = [loss.declared[t.name].role if t.name in loss.declared else "" for t in tensors(expr)]
    return all(role == "const" for role in roles)


def bounded(expr: Expr, loss: Loss) -> bool:
    """Whether the form of `expr` shows it to be finite whatever the inputs are."""
    if expr.is_number or isinstance(expr, (*BOUNDED, Axis)):
        return True
    if isinstance(expr, Entry):
        name = expr.tensor.name
        if name in loss.defined:
            return bounded(loss.defined[name].body, loss)
        return name in loss.declared and loss.declared[name].role in ("target", "const")
    if is_fraction(expr):
        return True
    if expr.is_Add or expr.is_Mul:
        return all(bounded(arg, loss) for arg in expr.args)
    if isinstance(expr, exp):
        return _never_above_zero(expr.args[0])
    if isinstance(expr, Pow):
        if expr.exp == -1 and is_shifted_sum(expr.base):
            return True
        whole = isinstance(expr.exp, Integer) and expr.exp > 0
        return whole and bounded(expr.base, loss)
    if isinstance(expr, Choice):
        return all(bounded(arg, loss) for arg in expr.args[1:])
    if isinstance(expr, Total):
        return bounded(expr.args[1], loss)
    return False


def is_fraction(expr: Expr) -> bool:
    """Whether `expr` is one exponential over a sum of exponentials: between 0 and 1."""
    if not expr.is_Mul or len(expr.args) != 2:
        return False
    top = [arg for arg in expr.args if isinstance(arg, exp)]
    below = [arg for arg in expr.args if isinstance(arg, Pow) and arg.exp == -1]
    if len(top) != 1 or len(below) != 1 or not isinstance(below[0].base, Total):
        return False
    return isinstance(below[0].base.args[1], exp)


def is_probability(expr: Expr, loss: Loss) -> bool:
    """Whether `expr` is exp(x), or 1 - exp(x), of what its form shows to be below 0."""
    top = expr if isinstance(expr, exp) else -expr
    return isinstance(top, exp | expm1) and nonnegative(-top.args[0], loss)


def vanishes(expr: Expr, loss: Loss) -> bool:
    """Whether a zero of `expr` stands for no share at all: a weight, or a probability."""
    if isinstance(expr, Delta) or is_weight(expr, loss):
        return True
    if isinstance(expr, Entry) and expr.tensor.name in loss.defined:
        return vanishes(loss.defined[expr.tensor.name].body, loss)
    if isinstance(expr, Entry) and expr.tensor.name in loss.declared:
        return loss.declared[expr.tensor.name].domain.kind in ("simplex", "unit")
    return isinstance(expr, sigmoid) or is_fraction(expr)


def _sorted_tensors(expr: Expr) -> list[Tensor]:
    return sorted(tensors(expr), key=lambda tensor: tensor.name)


def is_shifted(exponent: Expr, index: Expr, sides: bool = False) -> bool:
    """Whether `exponent` is f(index) minus the maximum of f, so that its own maximum is 0.

    With `sides` also where f is a choice, and the exponent has one of its sides.
    """
    for arg in exponent.args if exponent.is_Add else ():
        peak = -arg
        if isinstance(peak, Maximum):
            inner, body, _ = peak.open()
            if inner.axis != _axis_of(index):
                continue
            bodies = body.args[1:] if sides and isinstance(body, Choice) else (body,)
            if exponent + peak in [substitute(f, {inner: index}) for f in bodies]:
                return True
    return False


def _axis_of(place: Expr) -> Axis | None:
    """The axis of an index or of a class label."""
    return place.axis if isinstance(place, Index) else getattr(place.tensor, "label", None)


def is_shifted_sum(expr: Expr) -> bool:
    """Whether `expr` is a sum of exponentials of which the largest is 1."""
    if not isinstance(expr, Total):
        return False
    index, body, _ = expr.open()
    return isinstance(body, exp) and is_shifted(body.args[0], index)


def _never_above_zero(exponent: Expr) -> bool:
    """Whether the exponent is f minus the maximum of f, at some index or label."""
    places = [*free_indices(exponent), *exponent.atoms(Index), *exponent.atoms(Entry)]
    return any(is_shifted(exponent, place) for place in places)
