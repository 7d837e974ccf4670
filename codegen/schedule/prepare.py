"""Before scheduling: what every loop wants of the statements of a kernel.

Contractions of a row become sums, cheap elements are computed again rather than kept, and what is
the same for the whole row is computed once for it.
"""

from __future__ import annotations

from dataclasses import replace

from sympy import Add, Basic, Expr, Integer, Mul, Pow, Rational

from codegen.kernel import Contract, Kernel, Map, Reduce, Statement, defines, reads
from codegen.lower.names import unique
from codegen.reserved import letter
from codegen.schedule.chunks import is_product
from codegen.schedule.hoist import at_least_one, hoisted
from codegen.schedule.rest import from_parts
from derive import functions
from derive.index import (
    Axis,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Tensor,
    free_indices,
    rebuild,
    substitute,
    walk,
)

CHEAP = (
    Entry,
    Index,
    Tensor,
    Axis,
    Choice,
    Condition,
    Delta,
    functions.relu,
    functions.step,
    functions.absolute,
    functions.signum,
    functions.largest,
    functions.smallest,
)


def prepare(kernel: Kernel, products: bool = False) -> tuple[Kernel, frozenset[str]]:
    """The same kernel in the form that is scheduled; its indices are named by place.

    Also the names of the numbers that are elements of rows, to be rounded as elements are.
    """
    elements: set[str] = set()
    keep = frozenset(entry.tensor.name for _, entry in kernel.outputs)
    kernel = _apart(kernel)
    statements = [_switched(canonical(_as_sum(s, kernel, products))) for s in kernel.statements]
    taken = {given.name for given in kernel.inputs} | {s.name for s in statements}
    if kernel.batch is not None:
        statements = _for_each_row(statements, Index("row", kernel.batch), taken)
    statements = _picked(_inlined(statements, keep, taken), taken, elements)
    large = at_least_one(statements)
    statements = from_parts(statements, large)
    statements = [part for s in statements for part in hoisted(s, taken, large)]
    if kernel.batch is not None:
        statements = _shared_first(statements, kernel.batch)
    prepared = replace(kernel, statements=tuple(statements))
    return prepared.needed(*(key for key, _ in kernel.outputs)), frozenset(elements)


def _shared_first(statements: list[Statement], batch: Axis) -> list[Statement]:
    """What reads no row is computed before all rows: between two of their statements it would
    part them, and whole rows would have to be kept."""
    of_rows: set[str] = set()
    for statement in statements:
        read = list(reads(statement))
        axes = [defines(statement).axes, *(entry.tensor.axes for entry in read)]
        if any(batch in each for each in axes) or any(e.tensor.name in of_rows for e in read):
            of_rows.add(statement.name)
    return sorted(statements, key=lambda statement: statement.name in of_rows)


def canonical(statement: Statement) -> Statement:
    """The statement with its first index called row, and the others by axis and place."""
    dims = (*statement.indices, *statement.over)
    count = len(statement.indices)
    to: dict[Index, Index] = {}
    seen: dict[Axis, int] = {}
    for at, index in enumerate(dims):
        if at == 0 and count:
            to[index] = Index("row", index.axis)
            continue
        seen[index.axis] = seen.get(index.axis, 0) + 1
        number = "" if seen[index.axis] == 1 else str(seen[index.axis])
        to[index] = Index(letter(index.axis) + number, index.axis)
    own, over = tuple(to[i] for i in statement.indices), tuple(to[i] for i in statement.over)
    if isinstance(statement, Contract):
        operands = tuple(substitute(x, to) for x in statement.operands)
        return replace(statement, indices=own, over=over, operands=operands)
    expr = substitute(statement.expr, to)
    if isinstance(statement, Map):
        return replace(statement, indices=own, expr=expr)
    return replace(statement, indices=own, over=over, expr=expr)


def _apart(kernel: Kernel) -> Kernel:
    """A gradient that others read gets a copy for the caller: what he gets may be scaled."""
    read = {entry.tensor.name for statement in kernel.statements for entry in reads(statement)}
    taken = {given.name for given in kernel.inputs} | {s.name for s in kernel.statements}
    outputs, copies = [], []
    for key, entry in kernel.outputs:
        if key and entry.tensor.name in read:
            name = unique(f"{entry.tensor.name}_out", taken)
            made = next(s for s in kernel.statements if s.name == entry.tensor.name)
            copies.append(Map(name, made.indices, Entry(entry.tensor, *made.indices)))
            entry = Entry(Tensor(name, entry.tensor.axes), *entry.indices)
        outputs.append((key, entry))
    statements = (*kernel.statements, *copies)
    return replace(kernel, statements=statements, outputs=tuple(outputs))


def _as_sum(statement: Statement, kernel: Kernel, products: bool) -> Statement:
    """A contraction that gives each row its own as a sum of products; others are left, and
    matrix products where they are wanted."""
    if not isinstance(statement, Contract) or any(i.axis == kernel.batch for i in statement.over):
        return statement
    if products and is_product(statement):
        return statement
    product = Mul(*statement.operands)
    return Reduce(statement.name, statement.indices, "sum", statement.over, product)


def _switched(statement: Statement) -> Statement:
    """A factor that is 0 or 1 becomes a choice: nothing is multiplied, and no infinity by 0."""

    def visit(node: Basic) -> Basic:
        node = rebuild(node, visit)
        if not isinstance(node, Mul):
            return node
        for factor in node.args:
            test = _test_of(factor)
            if test is not None:
                rest = Mul(*(arg for arg in node.args if arg != factor))
                return node if rest.is_number else Choice(test, rest, Integer(0))
        return node

    if isinstance(statement, Contract):
        return statement
    return replace(statement, expr=visit(statement.expr))


def _test_of(factor: Expr) -> Condition | None:
    if isinstance(factor, Delta):
        return Condition("==", *factor.args)
    if isinstance(factor, Choice) and factor.args[1:] == (1, 0):
        return factor.args[0]
    return None


def _for_each_row(statements: list[Statement], row: Index, taken: set[str]) -> list[Statement]:
    """A number that does not differ from row to row is computed in each: rows share no phase."""
    copies: dict[str, Tensor] = {}
    done: list[Statement] = []

    def visit(node: Basic) -> Basic:
        if isinstance(node, Entry) and node.tensor.name in copies:
            return Entry(copies[node.tensor.name], row)
        return rebuild(node, visit)

    for statement in statements:
        if isinstance(statement, Map) and not statement.indices:
            done.append(statement)
            name = unique(statement.name, taken)
            done.append(Map(name, (row,), visit(statement.expr)))
            copies[statement.name] = Tensor(name, (row.axis,))
        elif isinstance(statement, Map | Reduce) and row in statement.indices:
            done.append(replace(statement, expr=visit(statement.expr)))
        else:
            done.append(statement)
    return done


def _inlined(statements: list[Statement], keep: frozenset[str], taken: set[str]) -> list[Statement]:
    """A cheap element is computed again wherever it is read, rather than kept."""
    maps: dict[str, Map] = {}
    done: list[Statement] = []

    def visit(node: Basic, above: Basic | None = None) -> Basic:
        node = rebuild(node, lambda arg: visit(arg, node))
        made = maps.get(node.tensor.name) if isinstance(node, Entry) else None
        if made is None or node.indices[0] != made.indices[0]:
            return node
        if made.expr.is_Add and isinstance(above, Add | Mul):
            return _copied(made, node)
        return substitute(made.expr, dict(zip(made.indices, node.indices, strict=True)))

    def _copied(made: Map, node: Entry) -> Basic:
        """A sum stays apart from other sums: which terms meet first decides what cancels."""
        if node.indices != made.indices:
            return node
        name = unique(made.name, taken)
        done.append(replace(made, name=name))
        return Entry(defines(replace(made, name=name)), *node.indices)

    for statement in statements:
        if not isinstance(statement, Contract):
            statement = replace(statement, expr=visit(statement.expr))
        done.append(statement)
        if not isinstance(statement, Map) or statement.name in keep:
            continue
        if len(statement.indices) > 1 and _is_cheap(statement.expr):
            maps[statement.name] = statement
    return done


def _picked(statements: list[Statement], taken: set[str], elements: set[str]) -> list[Statement]:
    """What is read at a label gets a number of its own a row, computed and not looked up."""
    maps: dict[str, Map] = {}
    found: dict[Basic, Entry] = {}
    done: list[Statement] = []

    def pick(node: Basic) -> Basic:
        if isinstance(node, Entry) and _is_picked(node):
            if node not in found:
                found[node] = _number(node)
            return found[node]
        return rebuild(node, pick)

    def _number(node: Entry) -> Entry:
        row = next(iter(free_indices(node)))
        name = unique(f"{node.tensor.name}_at_label", taken)
        made = maps.get(node.tensor.name)
        own = made is not None and node.indices[0] == made.indices[0]
        expr: Basic = node
        if made is not None and own:
            expr = pick(substitute(made.expr, dict(zip(made.indices, node.indices, strict=True))))
        done.append(Map(name, (row,), expr))
        elements.add(name)
        return Entry(Tensor(name, (row.axis,)), row)

    for statement in statements:
        found = {} if not statement.indices else found
        if not isinstance(statement, Contract) and statement.indices:
            statement = replace(statement, expr=pick(statement.expr))
        done.append(statement)
        if isinstance(statement, Map) and len(statement.indices) > 1:
            maps[statement.name] = statement
    return done


def _is_picked(entry: Entry) -> bool:
    """Whether an index of it is a label, and it depends on the row alone."""
    free = free_indices(entry)
    labels = any(isinstance(i, Entry) for i in entry.indices)
    return labels and len(free) == 1 and next(iter(free)).name == "row"


def _is_cheap(expr: Expr) -> bool:
    """Whether an element costs no more than the memory it would be kept in, and is the same
    whenever it is computed."""
    return all(_is_cheap_node(node) for node in walk(expr))


def _is_rounded_product(term: Expr) -> bool:
    """Whether a compiler may fuse the product with the sum that it stands in: computed twice, it
    could then differ from itself, and not equal its own maximum."""
    rest = term.as_coeff_Mul()[1]
    return isinstance(rest, Mul | Pow) or (isinstance(term, Mul) and abs(term.args[0]) != 1)


def _is_cheap_node(node: Basic) -> bool:
    if isinstance(node, Pow):
        return node.exp == Integer(2)
    if isinstance(node, Add):
        return not any(_is_rounded_product(arg) for arg in node.args)
    if isinstance(node, Mul | Rational):
        return True
    return isinstance(node, CHEAP) or not isinstance(node, Expr)
