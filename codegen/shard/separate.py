"""Sums over a split axis that wait for another sum, taken apart so that both go in one message.

sum_k w[k] (u + v[k]) = u sum_k w[k] + sum_k w[k] v[k].  It is done where u takes a message to
know and the rest does not, and where u and v[k] have the same sign, so that nothing cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sympy import Add, Basic, Expr, Pow, exp

from codegen.kernel import (
    Contract,
    Map,
    Reduce,
    Statement,
    defines,
    exp_difference,
    reads,
    weighted,
)
from codegen.lower.names import unique
from derive.functions import absolute, log1p, relu, sigmoid, softplus, step
from derive.index import (
    Axis,
    Choice,
    Delta,
    Entry,
    Tensor,
    entries,
    free_indices,
    rebuild,
    substitute,
)

NEVER_NEGATIVE = (exp, exp_difference, sigmoid, softplus, absolute, relu, step, Delta, Axis)


def separated(
    statements: Sequence[Statement], axis: Axis, taken: set[str], kept: Sequence[str]
) -> list[Statement]:
    """The statements with such sums over the axis taken apart; `kept` are not renamed."""
    known = {s.name: s for s in statements}
    late: set[str] = set()
    done: list[Statement] = []
    for statement in statements:
        added = _is_sum_over(statement, axis)
        parts = _parts(statement, late, known) if added and isinstance(statement, Reduce) else None
        if parts is None:
            done.append(statement)
        else:
            assert isinstance(statement, Reduce)
            done += _apart(statement, parts, taken)
        if added or any(e.tensor.name in late for e in reads(statement)):
            late.add(statement.name)
    return _once(done, kept)


def _once(statements: Sequence[Statement], kept: Sequence[str]) -> list[Statement]:
    """The statements in which no two reduce the same."""
    found: dict[Statement, Statement] = {}
    new: dict[str, str] = {}
    done: list[Statement] = []

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor.name in new:
            return Entry(Tensor(new[node.tensor.name], node.tensor.axes), *node.indices)
        return rebuild(node, visit)

    for statement in statements:
        if isinstance(statement, Contract):
            operands = tuple(visit(x) for x in statement.operands)
            done.append(replace(statement, operands=operands))
            continue
        statement = replace(statement, expr=visit(statement.expr))
        same = found.setdefault(replace(statement, name=""), statement)
        plain = isinstance(statement, Map) or statement.op == "argmax"
        if same is statement or plain or statement.name in kept:
            done.append(statement)
        else:
            new[statement.name] = same.name
    return done


def _is_sum_over(statement: Statement, axis: Axis) -> bool:
    split = any(index.axis == axis for index in statement.over)
    return split and not (isinstance(statement, Reduce) and statement.op in ("max", "min"))


def _parts(
    statement: Reduce, late: set[str], known: Mapping[str, Statement]
) -> tuple[Expr, Expr, Expr] | None:
    """(w, u, v) of a sum of w (u + v) that is to be taken apart."""
    if statement.op != "sum" or not isinstance(statement.expr, weighted):
        return None
    weight, rest = statement.expr.args
    waits = {
        term: any(e.tensor.name in late for e in entries(term))
        for term in (weight, *Add.make_args(rest))
    }
    first = [term for term in Add.make_args(rest) if waits[term]]
    other = [term for term in Add.make_args(rest) if not waits[term]]
    over = set(statement.over)
    if waits[weight] or not first or not other or any(free_indices(t) & over for t in first):
        return None
    signs = {sign(term, known) for term in (*first, *other)}
    return (weight, Add(*first), Add(*other)) if signs in ({1}, {-1}) else None


def _apart(statement: Reduce, parts: tuple[Expr, Expr, Expr], taken: set[str]) -> list[Statement]:
    weight, first, other = parts
    whole = Reduce(
        unique(f"{statement.name}_weight", taken), statement.indices, "sum", statement.over, weight
    )
    rest = replace(
        statement, name=unique(f"{statement.name}_rest", taken), expr=weighted(weight, other)
    )
    sums = [Entry(defines(s), *s.indices) for s in (whole, rest)]
    total = Map(statement.name, statement.indices, weighted(sums[0], first) + sums[1])
    return [whole, rest, total]


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
