"""Results that are computed where the caller wants them, and entries that are picked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sympy import Add, Expr, Mul

from codegen.kernel import Kernel, Map, Reduce, Statement, trees
from codegen.targets.array_expressions import Layout, halves, show
from codegen.targets.numpy_exponentials import Call, with_entries
from codegen.targets.scattered import scattered
from derive.index import Entry, Tensor, entries, free_indices, order, walk


def picked_once(
    statements: Sequence[Statement | Call], kernel: Kernel, fresh: Callable[[str], str]
) -> list[Statement | Call]:
    """Each x[n, labels[n]] of an argument is an array over the rows, made before its first use."""
    given = {g.name for g in kernel.inputs}
    made: dict[Entry, Entry] = {}
    done: list[Statement | Call] = []
    for statement in statements:
        if isinstance(statement, Map | Reduce):
            for entry in _picks(statement, given):
                if entry not in made:
                    row, label = entry.indices
                    name = fresh(f"{entry.tensor.name}_{label.tensor.name}")
                    made[entry] = Entry(Tensor(name, (row.axis,)), row)
                    done.append(Map(name, (row,), entry))
            statement = with_entries(statement, made)
        done.append(statement)
    return done


def _picks(statement: Map | Reduce, given: set[str]) -> list[Entry]:
    """Its entries at one label a row, unless that is all it is."""
    if isinstance(statement.expr, Entry):
        return []
    found = [
        e
        for e in entries(statement.expr)
        if e.tensor.name in given
        and len(e.indices) == 2
        and isinstance(e.indices[1], Entry)
        and e.indices[1].tensor.name in given
        and e.indices[1].indices == e.indices[:1]
        and e.indices[0] in statement.indices
    ]
    return sorted(found, key=order)


def last_written(
    statements: Sequence[Statement | Call], kernel: Kernel
) -> tuple[list[Statement | Call], str | None, str]:
    """The statements with the one last that may be written into a result, its name, and the key.

    No argument is read after it, so that the result may be the memory of an argument.
    """
    arguments = {g.name for g in kernel.inputs if kernel.batch in g.tensor.axes}
    for key, output in reversed(kernel.outputs):
        if not key or len(output.tensor.axes) != 2 or kernel.batch not in output.tensor.axes:
            continue
        start = _start(output.tensor.name, statements)
        if start is None:
            continue
        late = {start.name}
        for s in statements:
            if not isinstance(s, Call) and {e.tensor.name for e in _reads(s)} & late:
                late.add(s.name)
        names = [s for s in statements if not isinstance(s, Call) and s.name in late]
        calls = any(
            {e.tensor.name for e in s.arguments} & late for s in statements if isinstance(s, Call)
        )
        rest = [s for s in names if s is not start]
        if calls or any(_reads_array(s, arguments) for s in rest):
            continue
        early = [s for s in statements if s not in names]
        return [*early, *names], start.name, key
    return list(statements), None, ""


def _start(name: str, statements: Sequence[Statement | Call]) -> Map | None:
    """The statement that computes the array, or the array of which it is a changed copy."""
    named = {s.name: s for s in statements if not isinstance(s, Call)}
    statement = named.get(name)
    if not isinstance(statement, Map) or len(statement.indices) != 2:
        return None
    found = scattered(statement.expr, statement.indices)
    if found is not None:
        rest = found[0]
        if not isinstance(rest, Entry) or rest.indices != statement.indices:
            return None
        readers = [s for s in statements if name_in(rest.tensor.name, s)]
        plain = all(
            e.indices == statement.indices for e in _reads(statement) if e.tensor == rest.tensor
        )
        return _start(rest.tensor.name, statements) if len(readers) == 1 and plain else None
    whole = free_indices(statement.expr) == set(statement.indices)
    return statement if whole and halved(statement.expr) is not None else None


def name_in(name: str, statement: Statement | Call) -> bool:
    """Whether the statement reads the array."""
    return any(e.tensor.name == name for e in _reads(statement))


def _reads(statement: Statement | Call) -> list[Entry]:
    if isinstance(statement, Call):
        return list(statement.arguments)
    return [e for tree in trees(statement) for e in walk(tree) if isinstance(e, Entry)]


def _reads_array(statement: Statement | Call, names: set[str]) -> bool:
    return any(e.tensor.name in names and len(e.indices) > 1 for e in _reads(statement))


def halved(expr: Expr) -> tuple[str, Expr, Expr] | None:
    """The expression as one operation of NumPy on two parts."""
    if expr.is_Add:
        terms = sorted(expr.args, key=order)
        negative = [t for t in terms if t.as_coeff_Mul()[0] < 0]
        last = (negative or terms)[-1]
        rest = Add(*(t for t in terms if t != last))
        return ("np.subtract", rest, -last) if negative else ("np.add", rest, last)
    if expr.is_Mul:
        above, below = halves(expr)
        if below:
            return "np.divide", Mul(*above), Mul(*below)
        return "np.multiply", Mul(*above[:-1]), above[-1]
    return None


def line_into(statement: Map, at: Layout, key: str) -> str:
    """The statement computed into a result."""
    found = halved(statement.expr)
    assert found is not None
    ufunc, left, right = found
    into = f'out=_room(results["{key}"], rows)'
    return f"{at.names[statement.name]} = {ufunc}({show(left, at)}, {show(right, at)}, {into})"
