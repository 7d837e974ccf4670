"""Rounding errors carried along, where a function would make more of them.

exp, powers, logarithms and their like multiply the relative error of their argument.  Here every
array that such an argument reads has beside it what rounding took from it, as error-free
transformations give it (Knuth's sum, Dekker's product), and the function has its first derivative
put it back.  What no such function reads is computed as before.

Source: Ogita, Rump and Oishi (2005), Langlois (2001).
"""

from __future__ import annotations

from dataclasses import replace

from sympy import Add, Basic, Expr, Mul, exp, log

from codegen.compensate.carry import Carrier
from codegen.compensate.demand import amplifies, carried_names
from codegen.compensate.reduce import reduced
from codegen.kernel import (
    Contract,
    Kernel,
    Map,
    Reduce,
    Statement,
    corrected,
    defines,
    sum_lost,
    trees,
    validate,
)
from codegen.lower.names import canonical
from codegen.lower.share import fold_copies
from derive.functions import expm1, log1p
from derive.index import Condition, Entry, rebuild

__all__ = ["compensated"]


def compensated(kernel: Kernel) -> Kernel:
    """The same kernel, with the errors carried that a function would make more of."""
    wanted = carried_names(kernel)
    to = Carrier({g.name for g in kernel.inputs} | {s.name for s in kernel.statements})
    for statement in map(_as_functions, kernel.statements):
        if isinstance(statement, Contract):
            to.statements.append(statement)
        elif statement.name in wanted:
            _carried(statement, to)
        else:
            to.statements.append(replace(statement, expr=_mended(statement.expr, to)))
    keep = {g.name for g in kernel.inputs} | {entry.tensor.name for _, entry in kernel.outputs}
    done = replace(kernel, statements=tuple(fold_copies(to.statements, frozenset(keep))))
    done = done.needed(*(key for key, _ in kernel.outputs))
    if not any(tree.has(corrected) for statement in done.statements for tree in trees(statement)):
        return kernel
    validate(done)
    return done


def _as_functions(statement: Statement) -> Statement:
    """log(1 + x) and exp(x) - 1, which targets write as one function, as one."""

    def visit(node: Basic) -> Basic:
        node = rebuild(node, visit)
        if isinstance(node, log) and node.args[0].is_Add and 1 in node.args[0].args:
            return log1p(node.args[0] - 1)
        grown = [x for x in node.args if isinstance(x, exp)] if isinstance(node, Add) else []
        if grown and -1 in node.args:
            return node - grown[0] + 1 + expm1(grown[0].args[0])
        return node

    if isinstance(statement, Contract):
        return statement
    return replace(statement, expr=visit(statement.expr))


def _carried(statement: Map | Reduce, to: Carrier) -> None:
    """The statement, and beside it an array of what is lost of it, unless nothing is."""
    if to.is_whole(statement.expr):
        to.whole.add(statement.name)
    value, lost = to.carry(statement.expr)
    if isinstance(statement, Reduce):
        value, lost = reduced(statement, value, lost, to)
    if lost == 0:
        to.statements.append(statement)
        return
    if isinstance(statement, Map):
        key, indices = canonical(statement.expr)
        to.known |= {key: defines(statement)} if indices == statement.indices else {}
    raw, rest = to.hoist(value), to.hoist(lost)
    whole, left = Entry(defines(statement), *statement.indices), f"{statement.name}_lost"
    to.statements.append(Map(statement.name, statement.indices, corrected(raw, rest)))
    to.keep(statement, Map(to.name(left), statement.indices, sum_lost(raw, rest, whole)))


def _mended(expr: Basic, to: Carrier) -> Basic:
    """The expression, with what its functions lose, and the terms of its sums, put back."""
    if isinstance(expr, Entry | Condition) or not expr.args:
        return expr
    if amplifies(expr):
        value, lost = to.carry(expr)
        return expr if lost == 0 else corrected(value, lost)
    if isinstance(expr, Mul) and (found := to.found(expr)) is not None:
        return found
    fixed = rebuild(expr, lambda arg: _mended(arg, to))
    if isinstance(expr, Expr) and expr.is_Add:
        lost = Add(*(to.lost_of(term) for term in expr.args))
        return fixed if lost == 0 else corrected(fixed, lost)
    return fixed
