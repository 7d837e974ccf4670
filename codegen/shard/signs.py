"""The sign of what a kernel computes, and what its forms say of maxima and exponentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sympy import Add, Basic, Expr, Pow, exp

from codegen.kernel import Contract, Map, Reduce, Statement, exp_difference
from derive.functions import absolute, log1p, relu, sigmoid, softplus, step
from derive.index import Axis, Choice, Delta, Entry, free_indices, substitute

NEVER_NEGATIVE = (exp, exp_difference, sigmoid, softplus, absolute, relu, step, Delta, Axis)


def sign(expr: Expr, known: Mapping[str, Statement]) -> int:
    """1 where the form shows the value to be >= 0 (or NaN), -1 for <= 0, else 0."""
    if expr.is_number:
        return 1 if expr >= 0 else -1
    if isinstance(expr, NEVER_NEGATIVE):
        return 1
    if isinstance(expr, Entry):
        return _sign_of_entry(expr, known)
    if isinstance(expr, log1p):
        return 1 if sign(expr.args[0], known) == 1 else 0
    if isinstance(expr, Pow):
        return sign(expr.base, known) if expr.exp.is_integer else 0
    if isinstance(expr, Choice):
        return _common(expr.args[1:], known)
    if expr.is_Mul:
        product = 1
        for arg in expr.args:
            product *= sign(arg, known)
        return product
    return _common(expr.args, known) if expr.is_Add else 0


def _common(args: Sequence[Basic], known: Mapping[str, Statement]) -> int:
    signs = {sign(arg, known) for arg in args}
    return signs.pop() if len(signs) == 1 else 0


def _sign_of_entry(entry: Entry, known: Mapping[str, Statement]) -> int:
    made = known.get(entry.tensor.name)
    if isinstance(made, Contract) or made is None:
        return 0
    if isinstance(made, Map):
        if _is_shifted(made.expr, known):
            return -1
        return 1 if _is_ties_but_one(made.expr, known) else sign(made.expr, known)
    if _is_exponential_but_one(made.expr, known):
        return 1
    found = sign(made.expr, known)
    return found if made.op in ("sum", "max", "min") or found == 1 else 0


def _peak(entry: Basic, known: Mapping[str, Statement]) -> Reduce | None:
    made = known.get(entry.tensor.name) if isinstance(entry, Entry) else None
    return made if isinstance(made, Reduce) and made.op == "max" else None


def _is_shifted(expr: Expr, known: Mapping[str, Statement]) -> bool:
    """x - max x."""
    for arg in Add.make_args(expr):
        peak = _peak(-arg, known)
        if peak is not None and _is_among(expr - arg, -arg, peak):
            return True
    return False


def _is_among(x: Expr, at: Entry, peak: Reduce) -> bool:
    """Whether x is one of the numbers whose maximum `at` is."""
    here = dict(zip(peak.indices, at.indices, strict=True))
    body = substitute(peak.expr, here)
    (over,) = peak.over if len(peak.over) == 1 else (None,)
    if over is None:
        return False
    return any(substitute(body, {over: i}) == x for i in free_indices(x) if i.axis == over.axis)


def _is_ties_but_one(expr: Expr, known: Mapping[str, Statement]) -> bool:
    """The number of ties at the maximum, less one."""
    number, rest = expr.as_coeff_Add()
    made = known.get(rest.tensor.name) if isinstance(rest, Entry) else None
    return number == -1 and isinstance(made, Reduce) and _tie(made.expr, known) is not None


def _tie(expr: Basic, known: Mapping[str, Statement]) -> tuple[Expr, Entry] | None:
    """x and max x where the expression is 1 if they are equal, else 0."""
    if not isinstance(expr, Choice) or expr.args[1:] != (1, 0) or expr.args[0].op != "==":
        return None
    for x, at in (expr.args[0].operands, expr.args[0].operands[::-1]):
        peak = _peak(at, known)
        if peak is not None and _is_among(x, at, peak):
            return x, at
    return None


def _is_exponential_but_one(expr: Expr, known: Mapping[str, Statement]) -> bool:
    """exp(x - max x), less 1 where x is the maximum."""
    for arg in Add.make_args(expr):
        tie = _tie(-arg, known)
        rest = expr - arg
        made = known.get(rest.tensor.name) if isinstance(rest, Entry) else None
        if tie is None or not isinstance(made, Map) or not isinstance(made.expr, exp_difference):
            continue
        powers = substitute(made.expr, dict(zip(made.indices, rest.indices, strict=True)))
        if powers.args == tie:
            return True
    return False


def is_exponential(expr: Basic, known: Mapping[str, Statement]) -> bool:
    """Whether the expression is exp(x - max x): from 0 to 1."""
    made = known.get(expr.tensor.name) if isinstance(expr, Entry) else None
    if isinstance(made, Map):
        return is_exponential(made.expr, known)
    return isinstance(expr, exp_difference) and _peak(expr.args[1], known) is not None


def is_sum_of_exponentials(entry: Entry, known: Mapping[str, Statement]) -> bool:
    """Whether the entry is a sum of exp(x - max x), of which one at least is 1."""
    made = known.get(entry.tensor.name)
    if isinstance(made, Reduce):
        return made.op == "sum" and is_exponential(made.expr, known)
    if not isinstance(made, Map) or not made.expr.is_Add or len(made.expr.args) != 2:
        return False
    parts = [known.get(x.tensor.name) for x in made.expr.args if isinstance(x, Entry)]
    sums = [part.expr for part in parts if isinstance(part, Reduce) and part.op == "sum"]
    ties = [expr for expr in sums if _tie(expr, known) is not None]
    rest = [expr for expr in sums if _is_exponential_but_one(expr, known)]
    return len(ties) == len(rest) == 1
