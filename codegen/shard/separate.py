"""Sums over a split axis that wait for another sum, taken apart so that both go in one message.

sum_k w[k] (u + v[k]) = u sum_k w[k] + sum_k w[k] v[k].  It is done where u takes a message to
know and the rest does not, and where u and v[k] have the same sign, so that nothing cancels.
What normalises w is taken out of the sum before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sympy import Add, Basic, Expr

from codegen.kernel import Contract, Map, Reduce, Statement, defines, reads, weighted
from codegen.lower.names import unique
from codegen.shard.factors import without_factor
from codegen.shard.signs import sign
from derive.index import Axis, Entry, Tensor, entries, free_indices, rebuild


def separated(
    statements: Sequence[Statement], axis: Axis, taken: set[str], kept: Sequence[str]
) -> list[Statement]:
    """The statements with such sums over the axis taken apart; `kept` are not renamed."""
    known = {s.name: s for s in statements}
    late: set[str] = set()
    done: list[Statement] = []
    for statement in statements:
        added = _is_sum_over(statement, axis)
        done += _sooner(statement, late, known, taken) if added else [statement]
        if added or any(e.tensor.name in late for e in reads(statement)):
            late.add(statement.name)
    return _once(done, kept)


def _sooner(
    statement: Statement, late: set[str], known: Mapping[str, Statement], taken: set[str]
) -> list[Statement]:
    """A sum over the axis by sums that do not wait for another one, if that can be done."""
    scaled = without_factor(statement, late, known, taken)
    rest = statement if scaled is None else scaled[0]
    made = [] if scaled is None else [scaled[1]]
    parts = _parts(rest, late, known) if isinstance(rest, Reduce) else None
    if parts is not None:
        assert isinstance(rest, Reduce)
        return [*_apart(rest, parts, taken), *made]
    waits = any(e.tensor.name in late for e in reads(rest))
    return [statement] if waits else [rest, *made]


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
