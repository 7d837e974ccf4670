"""Statements as lines of NumPy, each short enough for the formatter to leave it alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from sympy import Add, Basic, Expr, Mul

from codegen.kernel import Contract, Map, Reduce, Statement, defines
from codegen.targets.numpy_exponentials import Call
from codegen.targets.numpy_expressions import MUL, SIGN, Layout, halves, show
from codegen.targets.numpy_scatter import scatter_lines, scattered_part
from derive.index import Entry, Index, free_indices, order, rebuild, walk

WIDTH = 100 - 12
SHORTEST = 12
OPS = {"sum": "np.sum", "prod": "np.prod", "max": "np.max", "min": "np.min", "argmax": "np.argmax"}


def lines_of(
    statement: Statement | Call,
    names: Mapping[str, str],
    ranges: set[str],
    kept: Collection[str] | None = None,
) -> tuple[str, ...]:
    """A statement as NumPy: one line, or two where one entry a row differs.

    `kept` are the arrays that are still needed; None means any may be.
    """
    if isinstance(statement, Call):
        read = statement.names if kept is None else kept
        left = ", ".join(names[name] if name in read else "_" for name in statement.names)
        right = ", ".join(names[entry.tensor.name] for entry in statement.arguments)
        return (f"{left} = {statement.function}({right})",)
    at = Layout(dims_of(statement), names, ranges)
    found = scatter_lines(statement, at, kept) if isinstance(statement, Map) else None
    if found:
        return found
    line = f"{names[statement.name]} = {_value(statement, at)}"
    return (_factors(statement, at) if len(line) > WIDTH else None) or (line,)


def _factors(statement: Statement, at: Layout) -> tuple[str, ...] | None:
    """A product with a factor that cannot stand on a line of its own: a factor a line."""
    if not isinstance(statement, Map) or not statement.expr.is_Mul:
        return None
    above, below = halves(statement.expr)
    first, *rest = (show(factor, at, SIGN if k else MUL) for k, factor in enumerate(above))
    if below or not rest or len(first) <= WIDTH - 12 or len(first) > WIDTH - 4:
        return None
    start = f"{at.names[statement.name]} = ("
    return (start, f"    {first}", *(f"    * {text}" for text in rest), ")")


def _value(statement: Statement, at: Layout) -> str:
    if isinstance(statement, Contract):
        return _contraction(statement, at)
    if isinstance(statement, Reduce):
        axes = tuple(at.dims.index(i) for i in statement.over)
        axis = str(axes[0] if len(axes) == 1 else axes)
        text = f"{OPS[statement.op]}({show(statement.expr, at)}, axis={axis})"
    else:
        text = show(statement.expr, at)
        plain = isinstance(statement.expr, Entry) and all(
            isinstance(i, Index) for i in statement.expr.indices
        )
        if plain or free_indices(statement.expr) != set(at.dims):
            shape = tuple_of(i.axis.name for i in at.dims) if at.dims else "()"
            text = f"np.full({shape}, {text}, dtype=dtype)"
    return text


def tuple_of(items: Iterable[str]) -> str:
    """A tuple, as Python writes it."""
    texts = list(items)
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def dims_of(statement: Statement) -> tuple[Index, ...]:
    """The axes of a statement's arrays: the samples first, then its own, then what it sums over."""
    dims = (*statement.indices, *statement.over)
    if isinstance(statement, Reduce):
        return tuple(sorted(dims, key=lambda index: index.axis.name != "N"))
    return dims


def _contraction(statement: Contract, at: Layout) -> str:
    """A matrix product where it is one, else an einsum."""
    first, *others = statement.operands
    if len(others) == 1 and len(statement.over) == 1:
        for left, right in ((first, others[0]), (others[0], first)):
            text = _matmul(left, right, statement, at)
            if text:
                return text
    letters = {index: chr(ord("a") + k) for k, index in enumerate(at.dims)}
    subscripts = ",".join("".join(letters[i] for i in x.indices) for x in statement.operands)
    output = "".join(letters[i] for i in statement.indices)
    arrays = ", ".join(at.names[x.tensor.name] for x in statement.operands)
    return f'np.einsum("{subscripts}->{output}", {arrays}, optimize=True)'


def _matmul(left: Entry, right: Entry, statement: Contract, at: Layout) -> str:
    (inner,) = statement.over
    rows = tuple(i for i in left.indices if i != inner)
    columns = tuple(i for i in right.indices if i != inner)
    if rows + columns != statement.indices or len(rows) > 1 or len(columns) > 1:
        return ""
    texts = []
    for operand, wanted in ((left, (*rows, inner)), (right, (inner, *columns))):
        name = at.names[operand.tensor.name]
        texts.append(name if operand.indices == wanted else f"{name}.T")
    return " @ ".join(texts)


def fitted(statements: Sequence[Statement | Call], names: dict[str, str]) -> list[Statement | Call]:
    """Statements that fit a line each: of a long one, the largest part is computed before."""
    done: list[Statement | Call] = []
    for statement in statements:
        while isinstance(statement, Map | Reduce):
            part = scattered_part(statement)
            if part is None and _width(statement, names) > WIDTH:
                part = _largest_part(statement.expr, statement, names)
            if part is None:
                break
            before, statement = _split(statement, part, names)
            done += fitted((before,), names)
        done.append(statement)
    return done


def _width(statement: Statement, names: Mapping[str, str]) -> int:
    return max(len(line) for line in lines_of(statement, names, set()))


def _largest_part(expr: Expr, statement: Map | Reduce, names: Mapping[str, str]) -> Expr | None:
    """The longest part that fits a line of its own; else half of the longest sum or product."""
    best: tuple[int, Expr] | None = None
    halves: tuple[int, Expr] | None = None
    dims = dims_of(statement)
    for node in walk(expr):
        if isinstance(node, Entry | Index) or not isinstance(node, Expr) or not node.args:
            continue
        length = len(show(node, Layout(dims, names)))
        own = tuple(index for index in dims if index in free_indices(node))
        fits = node is not expr and len(show(node, Layout(own, names))) <= WIDTH - 12
        if fits and length >= SHORTEST and (best is None or length > best[0]):
            best = (length, node)
        if (node.is_Add or node.is_Mul) and (halves is None or length > halves[0]):
            halves = (length, node)
    if best is not None or halves is None or len(halves[1].args) < 3:
        return None if best is None else best[1]
    args = sorted(halves[1].args, key=order)
    return halves[1].func(*args[-(len(args) // 2 + len(args) % 2) :])


def _split(statement: Map | Reduce, part: Expr, names: dict[str, str]) -> tuple[Map, Map | Reduce]:
    """The part as a statement of its own, and the statement that uses it."""
    name = next(f"part_{k}" for k in range(1, 1000) if f"part_{k}" not in names.values())
    names[name] = name
    dims = tuple(i for i in dims_of(statement) if i in free_indices(part))
    before = Map(name, dims, part)
    here = Entry(defines(before), *dims)

    def visit(node: Basic) -> Basic:
        if node == part:
            return here
        if isinstance(node, Add | Mul) and node.func == part.func:
            rest = [arg for arg in node.args if arg not in part.args]
            if len(rest) + len(part.args) == len(node.args):
                return node.func(*rest, here)
        return rebuild(node, visit)

    return before, replace(statement, expr=visit(statement.expr))
