"""What the names in a .loss text mean at one place, and how index slots are read."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from sympy import Basic, Expr

from derive.errors import InputError
from derive.index import Axis, Entry, Index, Tensor, axis_of
from derive.loss import ROLES
from derive.magnitude import Size
from derive.text import Text

DOMAINS = ("simplex", "binary", "unit", "sign")
REDUCTIONS = ("sum", "prod", "mean", "max", "min")
FUNCTIONS = (
    *("exp", "log", "log1p", "expm1", "sqrt", "abs", "sign", "sin", "cos", "tan"),
    *("asin", "acos", "atan", "sinh", "cosh", "tanh", "sigmoid", "softplus", "relu"),
    *("lgamma", "digamma", "trigamma", "erf", "erfc", "delta", "share"),
)
WORDS = frozenset((*ROLES, *DOMAINS, *REDUCTIONS, *FUNCTIONS, "pi")) - {"delta"}

_DESCRIPTIONS: dict[type[ast.AST], str] = {
    ast.Attribute: "an attribute",
    ast.Lambda: "a lambda",
    ast.JoinedStr: "a string",
    ast.ListComp: "a list",
    ast.List: "a list",
    ast.Tuple: "a tuple",
    ast.Dict: "a dictionary",
    ast.Set: "a set",
    ast.GeneratorExp: "a generator outside of sum, prod, mean, max or min",
    ast.NamedExpr: "an assignment inside an expression",
    ast.Starred: "a star",
    ast.Slice: "a slice",
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.FunctionDef: "a function definition",
    ast.ClassDef: "a class definition",
    ast.AugAssign: "an assignment that changes a name",
    ast.Expr: "an expression that defines nothing",
    ast.Compare: "a comparison",
    ast.BoolOp: "a condition",
}


@dataclass(frozen=True)
class Scope:
    """Tensors, axes and index letters in scope; `sizes` bounds what the defined names hold."""

    text: Text
    tensors: Mapping[str, Tensor]
    axes: Mapping[str, Axis]
    indices: Mapping[str, Index] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)
    counted: dict[Basic, int] = field(default_factory=dict)

    def with_index(self, letter: str, index: Index) -> Scope:
        """The scope in which `letter` stands for `index`."""
        return replace(self, indices={**self.indices, letter: index})

    def nearest(self, name: str, *groups: Sequence[str] | Mapping[str, object]) -> str | None:
        """The name of the groups that is spelt most like `name`."""
        return nearest(name, [known for group in groups for known in group])


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that is spelt most like `name`, if one is near."""
    found = get_close_matches(name[:100], known, 1)
    return found[0] if found else None


def describe(node: ast.AST, text: Text) -> str:
    """A node, in the words of an error."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str | bytes):
            return "a string"
        return f"'{text.written(node)[:40]}'"
    if isinstance(node, ast.Name):
        return f"'{node.id}'"
    if isinstance(node, ast.expr) and isinstance(node, ast.Call | ast.Subscript | ast.BinOp):
        written = text.written(node)
        return f"'{written}'" if len(written) <= 40 else "an expression"
    if type(node) in _DESCRIPTIONS:
        return _DESCRIPTIONS[type(node)]
    return f"the Python construct '{type(node).__name__}'"


def check_new_name(name: str, node: ast.AST, scope: Scope) -> None:
    """Refuse a name for a declaration, a definition or an index that is taken or reserved."""
    if name.startswith("_"):
        raise scope.text.error(node, f"the name '{name}'", "a name that begins with a letter")
    if name in WORDS:
        expected = "a name that is not one of the language's own words"
        raise scope.text.error(node, f"the name '{name}'", expected)
    if name in scope.axes:
        expected = "a name that is not an axis"
        raise scope.text.error(node, f"'{name}', which is already an axis", expected)
    if name in scope.tensors:
        raise scope.text.error(node, f"'{name}', which already has a meaning", "a new name")


def subscripts(node: ast.Subscript) -> list[ast.expr]:
    """The nodes between the brackets."""
    inside = node.slice
    return list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]


def read_entry(node: ast.expr, scope: Scope) -> Entry:
    """A tensor entry such as 'z', 'a[t]' or 'W[i, j]'."""
    name, slots = _head(node, scope)
    tensor = scope.tensors[name]
    if len(slots) != len(tensor.axes):
        inside = ", ".join(_written_indices(tensor.axes, scope))
        shape = f"{_count(len(tensor.axes))}: {name}[{inside}]" if inside else "none"
        found = f"{_count(len(slots))} on '{name}'"
        raise scope.text.error(node, found, shape)
    indices = [read_index(slot, axis, scope) for slot, axis in zip(slots, tensor.axes, strict=True)]
    return tensor[tuple(indices)]


def _written_indices(axes: Sequence[Axis], scope: Scope) -> Iterator[str]:
    """An index in scope for each axis, each once; the axis's name where there is none left."""
    left = list(scope.indices.items())
    for axis in axes:
        here = next((item for item in left if axis_of(item[1]) == axis), None)
        if here is not None:
            left.remove(here)
        yield axis.name if here is None else here[0]


def _head(node: ast.expr, scope: Scope) -> tuple[str, list[ast.expr]]:
    """The tensor's name and the nodes in its brackets."""
    head, slots = (node.value, subscripts(node)) if isinstance(node, ast.Subscript) else (node, [])
    if not isinstance(head, ast.Name):
        raise scope.text.error(head, describe(head, scope.text), "the name of a tensor")
    if head.id not in scope.tensors:
        raise unknown_name(head, scope)
    return head.id, slots


def unknown_name(node: ast.Name, scope: Scope) -> InputError:
    """The error of a name that has no meaning here."""
    near = scope.nearest(node.id, scope.tensors, scope.indices, scope.axes, ("pi",))
    if node.id in scope.indices:
        return scope.text.error(node, f"the index '{node.id}' with brackets", "a tensor's name")
    if node.id in scope.axes:
        return scope.text.error(node, f"the axis '{node.id}' with brackets", "a tensor's name")
    if node.id in WORDS or node.id == "delta":
        expected = "a declared or defined name"
        return scope.text.error(node, f"'{node.id}', a word of the language", expected)
    expected = "a declared or defined name, or an index in scope"
    return scope.text.error(node, f"the unknown name '{node.id}'", expected, near)


def read_index(node: ast.expr, axis: Axis | None, scope: Scope) -> Expr:
    """An index letter, or a class label such as 't' or 'c[n]', that ranges over `axis`."""
    wanted = f"an index over axis {axis}" if axis else "an index or a class label"
    found: Expr
    if isinstance(node, ast.Name) and node.id in scope.indices:
        found = scope.indices[node.id]
    elif isinstance(node, ast.Name | ast.Subscript):
        if isinstance(node, ast.Name) and node.id not in scope.tensors:
            known = [*scope.indices, *(n for n, t in scope.tensors.items() if t.label)]
            near = scope.nearest(node.id, known)
            here = [name for name, index in scope.indices.items() if axis_of(index) == axis]
            wanted += f", here {' or '.join(here)} or" if here else ","
            wanted += " bound by a sum or on the left"
            raise scope.text.error(node, f"the free index '{node.id}'", wanted, near)
        entry = read_entry(node, scope)
        if entry.tensor.label is None:
            name = entry.tensor.name
            raise scope.text.error(node, f"'{name}', which is not a class label", wanted)
        found = entry
    else:
        raise scope.text.error(node, describe(node, scope.text), wanted)
    if axis is not None and axis_of(found) != axis:
        name = scope.text.written(node)
        raise scope.text.error(node, f"'{name}', an index over axis {axis_of(found)}", wanted)
    return found


def is_index(node: ast.expr, scope: Scope) -> bool:
    """Whether a node is an index letter in scope or a class label."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if not isinstance(node, ast.Name):
        return False
    tensor = scope.tensors.get(node.id)
    return node.id in scope.indices if tensor is None else tensor.label is not None


def infer_axes(letters: Sequence[str], body: ast.expr, scope: Scope) -> dict[str, Axis]:
    """The axis of each free index of a definition, from the first slot in which it stands.

    Where it stands in no slot, a comparison with an index of a known axis tells it.
    """
    found: dict[str, Axis] = {}
    pairs: list[tuple[ast.expr, ast.expr, dict[str, Axis]]] = []
    for node, bound in _inner_scopes(body, scope):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            tensor = scope.tensors.get(node.value.id)
            for slot, axis in zip(subscripts(node), tensor.axes if tensor else (), strict=False):
                if isinstance(slot, ast.Name) and slot.id in letters and slot.id not in bound:
                    found.setdefault(slot.id, axis)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            pairs.append((node.left, node.comparators[0], bound))
        elif isinstance(node, ast.Call) and len(node.args) == 2:
            pairs.append((node.args[0], node.args[1], bound))
    for _ in letters:
        for one, two, bound in pairs:
            for left, right in ((one, two), (two, one)):
                if isinstance(left, ast.Name) and left.id in letters and left.id not in bound:
                    axis_there = _axis_of_node(right, {**found, **bound}, scope)
                    if axis_there is not None:
                        found.setdefault(left.id, axis_there)
    return found


def _inner_scopes(body: ast.expr, scope: Scope) -> Iterator[tuple[ast.AST, dict[str, Axis]]]:
    """Every node in text order, with the letters that the sums around it bind."""
    waiting: list[tuple[ast.AST, dict[str, Axis]]] = [(body, {})]
    while waiting:
        node, bound = waiting.pop()
        yield node, bound
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.GeneratorExp):
            children = [node.elt, *(guard for part in node.generators for guard in part.ifs)]
            for part in node.generators:
                if isinstance(part.target, ast.Name) and isinstance(part.iter, ast.Name):
                    axis = scope.axes.get(part.iter.id)
                    bound = {**bound, part.target.id: axis} if axis else bound
        waiting.extend((child, bound) for child in reversed(children))


def _axis_of_node(node: ast.expr, letters: Mapping[str, Axis], scope: Scope) -> Axis | None:
    if isinstance(node, ast.Subscript):
        node = node.value
    elif isinstance(node, ast.Name) and node.id in letters:
        return letters[node.id]
    tensor = scope.tensors.get(node.id) if isinstance(node, ast.Name) else None
    return tensor.label if tensor else None


def _count(number: int) -> str:
    return "no index" if number == 0 else "1 index" if number == 1 else f"{number} indices"


def index_pair(left: ast.expr, right: ast.expr, scope: Scope) -> tuple[Expr, Expr]:
    """Two indices of one axis."""
    if not is_index(left, scope):
        second = read_index(right, None, scope)
        return read_index(left, axis_of(second), scope), second
    first = read_index(left, None, scope)
    return first, read_index(right, axis_of(first), scope)
