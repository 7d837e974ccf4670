"""Sigmoids and softpluses of one array and of its negative share an exponential and a logarithm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from sympy import Basic, Expr

from codegen.kernel import Kernel, Map, Reduce, Statement
from codegen.targets.numpy_exponentials import Call
from derive.functions import sigmoid, softplus
from derive.index import Entry, Index, Tensor, rebuild, walk

# Of x and of -x together, from e = exp(-|x|).
PAIRS = {sigmoid: "_sigmoids", softplus: "_softpluses"}
Key = tuple[Tensor, type, int]


def shared_logistic(
    statements: Sequence[Statement | Call], kernel: Kernel, fresh: Callable[[str], str]
) -> list[Statement | Call]:
    """The statements with the logistic functions of an array made once, before their first use."""
    found: dict[Tensor, set[Key]] = {}
    for statement in statements:
        for key in _keys(statement):
            found.setdefault(key[0], set()).add(key)
    shared = {t for t, keys in found.items() if len(keys) > 1 and _is_ours(t, kernel)}
    made: dict[Key, Tensor] = {}
    copies: dict[str, Tensor] = {}
    results = {entry.tensor.name for _, entry in kernel.outputs}
    done: list[Statement | Call] = []
    for statement in statements:
        for tensor in sorted({key[0] for key in _keys(statement)} & shared, key=str):
            if not any(key[0] == tensor for key in made):
                done += _calls(tensor, {key[1] for key in found[tensor]}, made, fresh)
        changed = _with_made(statement, made, copies)
        copied = _copied(changed, made, results)
        if copied is None:
            done.append(changed)
        else:
            copies[copied[0]] = copied[1]
    return done


def _copied(
    statement: Statement | Call, made: dict[Key, Tensor], results: set[str]
) -> tuple[str, Tensor] | None:
    """(name, array) where the statement only gives the array another name."""
    if not isinstance(statement, Map) or not isinstance(statement.expr, Entry):
        return None
    entry = statement.expr
    same = entry.indices == statement.indices and entry.tensor in made.values()
    return (statement.name, entry.tensor) if same and statement.name not in results else None


def _is_ours(tensor: Tensor, kernel: Kernel) -> bool:
    """Whether it is computed with for each block of samples, where there are blocks."""
    return bool(tensor.axes) and (kernel.batch is None or tensor.axes[0] == kernel.batch)


def _keys(statement: Statement | Call) -> Iterator[Key]:
    if isinstance(statement, Map | Reduce):
        for node in walk(statement.expr):
            key = _key(node)
            if key is not None:
                yield key


def _key(node: Basic) -> Key | None:
    """(array, function, sign) of a logistic function of an entry, or of its negative."""
    kind = next((kind for kind in PAIRS if isinstance(node, kind)), None)
    if kind is None:
        return None
    sign, rest = node.args[0].as_coeff_Mul()
    return (rest.tensor, kind, int(sign)) if isinstance(rest, Entry) and sign in (1, -1) else None


def _calls(
    tensor: Tensor, kinds: set[type], made: dict[Key, Tensor], fresh: Callable[[str], str]
) -> Iterator[Call]:
    """The exponential, then each function with its mirror."""
    indices = [Index(f"at{k}", axis) for k, axis in enumerate(tensor.axes)]
    small = Tensor(fresh(f"{tensor.name}_decay"), tensor.axes)
    x, decay = Entry(tensor, *indices), Entry(small, *indices)
    yield Call((small.name,), "_decay", (x,))
    for kind in (kind for kind in PAIRS if kind in kinds):
        word = kind.__name__
        for sign, name in ((1, f"{word}_{tensor.name}"), (-1, f"{word}_minus_{tensor.name}")):
            made[tensor, kind, sign] = Tensor(fresh(name), tensor.axes)
        names = tuple(made[tensor, kind, sign].name for sign in (1, -1))
        yield Call(names, PAIRS[kind], (x, decay))


def _with_made(
    statement: Statement | Call, made: dict[Key, Tensor], copies: dict[str, Tensor]
) -> Statement | Call:
    def visit(node: Expr) -> Expr:
        key = _key(node)
        if key in made:
            entry = node.args[0].as_coeff_Mul()[1]
            return Entry(made[key], *entry.indices)
        if isinstance(node, Entry) and node.tensor.name in copies:
            return Entry(copies[node.tensor.name], *node.indices)
        return rebuild(node, visit)

    if isinstance(statement, Map | Reduce) and made:
        return replace(statement, expr=visit(statement.expr))
    return statement
