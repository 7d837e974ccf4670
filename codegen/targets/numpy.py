"""The NumPy target: one pure function for the loss, one for its gradient, one for both."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Expr

from codegen.emit import render
from codegen.kernel import Contract, Kernel, Map, Reduce, Statement, defines, trees
from codegen.targets.facts import Facts
from codegen.targets.numpy_expressions import Layout, show
from codegen.targets.numpy_scatter import scatter_lines, scattered_part
from derive.index import Entry, Index, free_indices, rebuild

WIDTH = 100 - 8
RESERVED = (
    "np",
    "math",
    "dtype",
    "reduction",
    "on_empty",
    "sizes",
    "divisor",
    "loss",
    "gradients",
    "_",
)
BUILTINS = ("dict", "float", "int", "isinstance", "len", "tuple", "zip", "gradients")
HELPERS = ("_sigmoid", "_softplus", "_weighted", "_erf", "_lgamma")
OPS = {"sum": "np.sum", "prod": "np.prod", "max": "np.max", "min": "np.min", "argmax": "np.argmax"}
SUMMARIES = {
    "": "The loss.",
    "_gradient": "The gradients, by name.",
    "_value_and_gradient": "The loss, and the gradients by name.",
}


@dataclass(frozen=True)
class Function:
    """A function as the template sees it: its name, signature, docstring, lines and results."""

    name: str
    signature: str
    summary: str
    unpack: tuple[str, ...]
    lines: tuple[str, ...]
    loss: str
    gradients: tuple[tuple[str, str], ...]


def emit(kernel: Kernel, facts: Facts, dtypes: tuple[str, ...]) -> str:
    """The module's text; `dtypes` are those it accepts."""
    names = safe_names(kernel)
    keys = tuple(key for key, _ in kernel.outputs if key)
    wanted = {"": ("",), "_gradient": keys, "_value_and_gradient": ("", *keys)}
    functions = tuple(
        _function(kernel, names, suffix, outputs)
        for suffix, outputs in wanted.items()
        if outputs and (keys or not suffix)
    )
    tensors = [given.tensor for given in kernel.inputs]
    body = "\n".join(line for function in functions for line in function.lines)
    return render(
        "numpy.py.j2",
        facts=facts,
        functions=functions,
        batched=kernel.batch is not None,
        helpers=[helper for helper in HELPERS if f"{helper}(" in body],
        shapes=_table({names[g.name]: tuple(x.name for x in g.tensor.axes) for g in kernel.inputs}),
        labels=_table(
            {names[g.name]: str(g.tensor.label) for g in kernel.inputs if g.tensor.label}
        ),
        dtypes=_tuple(f'"{dtype}"' for dtype in dtypes),
        has_labels=any(x.label for x in tensors),
        scales=kernel.batch is not None and bool(keys),
    )


def safe_names(kernel: Kernel) -> dict[str, str]:
    """For each array a Python identifier that clashes with nothing else in the module."""
    tensors = [given.tensor for given in kernel.inputs] + [defines(s) for s in kernel.statements]
    axes = {axis.name for tensor in tensors for axis in tensor.axes}
    taken = {*RESERVED, *BUILTINS, *HELPERS, *axes, *(f"index_{axis}" for axis in axes)}
    taken |= {kernel.name + suffix for suffix in ("", "_gradient", "_value_and_gradient")}
    names: dict[str, str] = {}
    for tensor in tensors:
        name = tensor.name
        while name in taken or keyword.iskeyword(name):
            name += "_"
        taken.add(name)
        names[tensor.name] = name
    return names


def _function(
    kernel: Kernel, names: dict[str, str], suffix: str, keys: tuple[str, ...]
) -> Function:
    part = kernel.needed(*keys)
    statements, names = _fitted(part.statements, dict(names))
    ranges: set[str] = set()
    lines = [text for statement in statements for text in lines_of(statement, names, ranges)]
    lines = [f"index_{axis} = np.arange({axis})" for axis in sorted(ranges)] + lines
    text = "\n".join(lines)
    used = {e.tensor.name for s in statements for tree in trees(s) for e in tree.atoms(Entry)}
    shown = {"": "_reduce({}, reduction, divisor)"} if kernel.batch is not None else {}
    results = {
        key: shown.get(key, "_scale({}, divisor)" if shown else "{}").format(names[e.tensor.name])
        for key, e in part.outputs
    }
    return Function(
        kernel.name + suffix,
        _signature(kernel.name + suffix, kernel, names),
        SUMMARIES[suffix],
        _unpacked(kernel, names, used, text),
        tuple(lines),
        results.get("", ""),
        tuple((key, text) for key, text in results.items() if key),
    )


def _signature(name: str, kernel: Kernel, names: Mapping[str, str]) -> str:
    first = [names[g.name] for g in kernel.inputs if g.role != "const"]
    consts = [g for g in kernel.inputs if g.role == "const"]
    named = [names[g.name] for g in consts if g.default is None]
    named += [f"{names[g.name]}={float(g.default)!r}" for g in consts if g.default is not None]
    if kernel.batch is not None:
        named += ['reduction="none"', 'on_empty="nan"']
    parameters = [*first, *(["*", *named] if named else [])]
    flat = f"def {name}({', '.join(parameters)}):"
    if len(flat) <= 100:
        return flat
    return _folded(f"def {name}(", parameters, "):", "    ")


def _folded(opening: str, items: Sequence[str], closing: str, margin: str) -> str:
    """A long list of arguments as the formatter would break it."""
    inner = f"{margin}{', '.join(items)}"
    if len(inner) > 100:
        inner = "\n".join(f"{margin}{item}," for item in items)
    return f"{opening}\n{inner}\n{margin[4:]}{closing}"


def _unpacked(
    kernel: Kernel, names: Mapping[str, str], used: set[str], text: str
) -> tuple[str, ...]:
    """The lines that check the arguments and give the arrays and sizes that are used."""
    given = [names[g.name] for g in kernel.inputs]
    arrays = [names[g.name] if g.name in used else "_" for g in kernel.inputs]
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
    axes = sorted({a.name for g in kernel.inputs for a in g.tensor.axes} & words)
    if kernel.batch is not None:
        axes = sorted({*axes, kernel.batch.name})
    dtype = "dtype" if "dtype" in words else "_"
    sizes = "sizes" if axes else "_"
    left = f"{_tuple(arrays)}, {dtype}, {sizes}"
    call = f"{left} = _prepare({', '.join(f'{name}={name}' for name in given)})"
    if len(call) > 96:
        given = [f"{name}={name}" for name in given]
        call = _folded(f"{left} = _prepare(", given, ")", " " * 8)
    return (call, *(f'{axis} = sizes["{axis}"]' for axis in axes))


def _tuple(items: Iterable[str]) -> str:
    texts = list(items)
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def _table(rows: Mapping[str, str | tuple[str, ...]]) -> tuple[str, ...]:
    """The rows of a dictionary, as the formatter would print them."""

    def value(item: str | tuple[str, ...]) -> str:
        if isinstance(item, str):
            return f'"{item}"'
        return _tuple(f'"{x}"' for x in item) if item else "()"

    return tuple(f'"{name}": {value(item)}' for name, item in rows.items())


def lines_of(statement: Statement, names: Mapping[str, str], ranges: set[str]) -> tuple[str, ...]:
    """A statement as NumPy: one line, or two where one entry a row differs."""
    at = Layout(_dims(statement), names, ranges)
    found = scatter_lines(statement, at) if isinstance(statement, Map) else None
    return found or (f"{names[statement.name]} = {_value(statement, at)}",)


def _value(statement: Statement, at: Layout) -> str:
    if isinstance(statement, Contract):
        return _contraction(statement, at)
    if isinstance(statement, Reduce):
        axes = tuple(at.dims.index(i) for i in statement.over)
        axis = str(axes[0] if len(axes) == 1 else axes)
        text = f"{OPS[statement.op]}({show(statement.expr, at)}, axis={axis})"
    else:
        text = show(statement.expr, at)
        if isinstance(statement.expr, Entry) or free_indices(statement.expr) != set(at.dims):
            shape = _tuple(i.axis.name for i in at.dims) if at.dims else "()"
            text = f"np.full({shape}, {text}, dtype=dtype)"
    return text


def _dims(statement: Statement) -> tuple[Index, ...]:
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


def _fitted(
    statements: tuple[Statement, ...], names: dict[str, str]
) -> tuple[list[Statement], dict[str, str]]:
    """Statements that fit a line each: of a long one, the largest part is computed before."""
    done: list[Statement] = []
    for statement in statements:
        while not isinstance(statement, Contract):
            part = scattered_part(statement)
            if part is None and _width(statement, names) > WIDTH:
                part = _largest_part(statement.expr, statement, names)
            if part is None:
                break
            before, statement = _split(statement, part, names)
            done += _fitted((before,), names)[0]
        done.append(statement)
    return done, names


def _width(statement: Statement, names: Mapping[str, str]) -> int:
    return max(len(line) for line in lines_of(statement, names, set()))


def _largest_part(expr: Expr, statement: Map | Reduce, names: Mapping[str, str]) -> Expr | None:
    best: tuple[int, Expr] | None = None
    dims = _dims(statement)
    stack = list(expr.args)
    while stack:
        node = stack.pop()
        if isinstance(node, Entry | Index) or not isinstance(node, Expr) or not node.args:
            continue
        length = len(show(node, Layout(dims, names)))
        if length <= WIDTH - 20 and (best is None or length > best[0]):
            best = (length, node)
        stack.extend(node.args)
    return None if best is None or best[0] < 12 else best[1]


def _split(statement: Map | Reduce, part: Expr, names: dict[str, str]) -> tuple[Map, Map | Reduce]:
    name = next(f"part_{k}" for k in range(1, 1000) if f"part_{k}" not in names.values())
    names[name] = name
    dims = tuple(i for i in _dims(statement) if i in free_indices(part))
    before = Map(name, dims, part)
    here = Entry(defines(before), *dims)

    def visit(node: Expr) -> Expr:
        return here if node == part else rebuild(node, visit)

    return before, replace(statement, expr=visit(statement.expr))
