"""Statements of the kernel IR as lines of whole-array code, each short enough for the formatter.

Straight-line and functional: nothing is changed in place, so that what traces array code (vmap,
compilers, automatic differentiation) can follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from sympy import Add, Basic, Expr, Mul

from codegen.kernel import Contract, Map, Reduce, Statement, defines
from codegen.targets.array_dialect import ArrayDialect
from codegen.targets.array_expressions import MUL, SIGN, Layout, halves, is_array, place, show
from codegen.targets.scattered import scattered, scattered_part
from derive.index import Choice, Condition, Entry, Index, free_indices, order, rebuild, walk

WIDTH = 100 - 12
SHORTEST = 12
Lines = Callable[[Statement, Mapping[str, str]], tuple[str, ...]]


def array_lines(
    statements: Sequence[Statement],
    names: dict[str, str],
    dialect: ArrayDialect,
    width: int = WIDTH,
) -> list[str]:
    """The statements in a dialect, after the ranges of axes that they use.

    `names` says what each array is called; names for parts of long lines are added to it.
    """

    def lines(statement: Statement, known: Mapping[str, str]) -> tuple[str, ...]:
        return lines_of(statement, Layout(dialect, dims_of(statement), known, ranges), width)

    ranges: set[str] = set()
    fit = fitted(statements, names, dialect, lines, width)
    ranges.clear()
    written = [line for statement in fit for line in lines(statement, names)]
    axes = {i.axis.name: i.axis for s in fit for i in (*s.indices, *s.over)}
    made = [
        f"index_{axis} = {dialect.hooks.ranged(axes[axis], dialect.range.format(axis))}"
        for axis in sorted(ranges)
    ]
    return made + written


def lines_of(statement: Statement, at: Layout, width: int = WIDTH) -> tuple[str, ...]:
    """A statement as one line, or as one factor a line where it is too long."""
    line = f"{at.names[statement.name]} = {value(statement, at)}"
    return (_factors(statement, at, width) if len(line) > width else None) or (line,)


def _factors(statement: Statement, at: Layout, width: int) -> tuple[str, ...] | None:
    """A product with a factor that cannot stand on a line of its own: a factor a line."""
    if not isinstance(statement, Map) or not statement.expr.is_Mul:
        return None
    above, below = halves(statement.expr)
    first, *rest = (show(factor, at, SIGN if k else MUL) for k, factor in enumerate(above))
    if below or not rest or len(first) <= width - 12 or len(first) > width - 4:
        return None
    start = f"{at.names[statement.name]} = ("
    return (start, f"    {first}", *(f"    * {text}" for text in rest), ")")


def value(statement: Statement, at: Layout) -> str:
    """What a statement computes."""
    hooks = at.dialect.hooks
    if isinstance(statement, Contract):
        return hooks.reduced(statement, _contraction(statement, at))
    if isinstance(statement, Reduce):
        axes = tuple(at.dims.index(i) for i in statement.over)
        axis = str(axes[0] if len(axes) == 1 else axes)
        expr = _whole(statement.expr, at)
        return hooks.reduced(statement, at.dialect.reductions[statement.op].format(expr, axis))
    return _changed(statement.expr, at) or _whole(statement.expr, at, copied=True)


def _whole(expr: Expr, at: Layout, copied: bool = False) -> str:
    """An expression in the whole shape of the statement; no bare entry where it is `copied`."""
    text = show(expr, at)
    if not at.dims and not is_array(expr):
        return at.dialect.scalar.format(text)
    plain = isinstance(expr, Entry) and all(isinstance(i, Index) for i in expr.indices)
    if free_indices(expr) == set(at.dims) and not (plain and copied):
        return text
    shape = tuple_of(at.dialect.hooks.size(i.axis, i.axis.name) for i in at.dims)
    template = at.dialect.broadcast if is_array(expr) else at.dialect.filled
    return template.format(shape if at.dims else "()", text)


def _changed(expr: Expr, at: Layout) -> str:
    """A copy of an array with one entry a row changed, where the library has a word for it."""
    found = scattered(expr, at.dims) if at.dialect.put and at.dims else None
    if found is None:
        return ""
    rest, sign, new, label = found
    rows = Layout(at.dialect, at.dims[:-1], at.names, at.ranges)
    template = at.dialect.put if sign == "=" else at.dialect.added
    return template.format(show(rest, at), place(label, rows), _whole(new, rows))


def tuple_of(items: Iterable[str]) -> str:
    """A tuple, as Python writes it."""
    texts = list(items)
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def dims_of(statement: Statement) -> tuple[Index, ...]:
    """The axes of a statement's arrays: the samples first, then its own, then what it sums over.

    Its own stay in their order, also where the second of them is all samples, of which the first
    is a part.
    """
    dims = (*statement.indices, *statement.over)
    if isinstance(statement, Reduce):
        first = tuple(sorted(dims, key=lambda index: index.axis.name != "N"))
        if tuple(i for i in first if i in statement.indices) == statement.indices:
            return first
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
    return at.dialect.einsum.format(f"{subscripts}->{output}", arrays)


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


def fitted(
    statements: Sequence[Statement],
    names: dict[str, str],
    dialect: ArrayDialect,
    lines: Lines,
    width: int = WIDTH,
) -> list[Statement]:
    """Statements that fit a line each: of a long one, the largest part is computed before."""
    done: list[Statement] = []
    for statement in statements:
        at = Layout(dialect, dims_of(statement), names)
        while isinstance(statement, Map | Reduce):
            part = scattered_part(statement)
            long = max(map(len, lines(statement, names))) > width
            if part is None and long:
                part = _largest_part(statement.expr, at, width)
            if part is None:
                nested = _nested(statement) if long else statement
                if nested == statement:
                    break
                statement = nested
                continue
            before, statement = _split(statement, part, names)
            done += fitted((before,), names, dialect, lines, width)
        done.append(statement)
    return done


def _nested(statement: Map | Reduce) -> Map | Reduce:
    """A choice under two conditions as a choice in a choice, which can be split."""

    def visit(node: Basic) -> Basic:
        node = rebuild(node, visit)
        if isinstance(node, Choice) and node.args[0].op == "and":
            both, value, otherwise = node.args
            first, *rest = both.operands
            inner = rest[0] if len(rest) == 1 else Condition("and", *rest)
            return Choice(first, Choice(inner, value, otherwise), otherwise)
        return node

    return replace(statement, expr=visit(statement.expr))


def _largest_part(expr: Expr, at: Layout, width: int) -> Expr | None:
    """The longest part that fits a line of its own; else half of the longest sum or product.

    `at` is the layout of the statement, whose texts are kept while it is being split.
    """
    nodes = [
        node
        for node in dict.fromkeys(walk(expr))
        if isinstance(node, Expr) and node.args and not isinstance(node, Entry | Index)
    ]
    lengths = {node: len(show(node, at)) for node in nodes}
    for node in sorted(nodes, key=lambda node: -lengths[node]):
        if lengths[node] >= SHORTEST and node is not expr and _fits(node, at, width):
            return node
    joined = [n for n in nodes if (n.is_Add or n.is_Mul) and len(n.args) > 2]
    longest = max(joined, key=lambda node: lengths[node], default=None)
    if longest is None:
        return None
    args = sorted(longest.args, key=order)
    return longest.func(*args[-(len(args) // 2 + len(args) % 2) :])


def _fits(part: Expr, at: Layout, width: int) -> bool:
    """Whether it could stand on a line of its own, with no axes but those it has."""
    free = free_indices(part)
    own = tuple(index for index in at.dims if index in free)
    alone = at if own == at.dims else Layout(at.dialect, own, at.names)
    return len(show(part, alone)) <= width - 12


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
