"""Reading a .loss text into a Loss: a subset of Python, parsed by `ast` and never run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sympy import Expr

from derive.building import Value
from derive.conventions import check_conventions, is_weighted, marked, read_weight
from derive.declarations import read_declaration
from derive.depth import check_depth
from derive.errors import InputError, PminusyError
from derive.expressions import read
from derive.index import Axis, Entry, Index, Tensor
from derive.loss import Declaration, Definition, Loss
from derive.magnitude import Size, measure
from derive.scope import (
    Scope,
    check_new_name,
    describe,
    infer_axes,
    nearest,
    read_entry,
    subscripts,
    unknown_name,
)
from derive.text import LIMIT_BYTES, STATEMENT, Text, check_expression, read_module, read_single

_UNKNOWN = Axis("?")
_LIBRARY = Path(__file__).with_name("losses")


def parse(text: str, name: str = "loss", source: str = "<text>") -> Loss:
    """The loss that a .loss text defines.

    Raises InputError with the place, what was found and what was expected.
    """
    page, statements = read_module(text, source)
    doc = ast.get_docstring(ast.Module(statements, [])) or ""
    if _is_string(statements[:1]):
        statements = statements[1:]
    scope = Scope(page, {}, {})
    declarations: list[Declaration] = []
    definitions: list[Definition] = []
    letters: dict[str, tuple[str, ...]] = {}
    depths: dict[str, int] = {}
    weight = None
    for statement in statements:
        if is_weighted(statement):
            weight, statement = read_weight(statement, statements[-1], scope)
        if isinstance(statement, ast.AnnAssign):
            declaration = read_declaration(statement, scope)
            if declaration.ignored is not None:
                marked(declaration.ignored, declarations, definitions, statement, scope)
            declarations.append(declaration)
            scope = _with_declaration(scope, declaration)
        elif isinstance(statement, ast.Assign):
            definition, value = _read_definition(statement, scope)
            check_depth(definition, depths, statement, page)
            definitions.append(definition)
            _add_letters(letters, definition, statement.value)
            scope = _with_definition(scope, definition, value.size)
        else:
            raise _not_a_statement(statement, page)
    _check_end(page, statements, definitions)
    loss = Loss(name, doc, tuple(declarations), tuple(definitions), letters, text, weight)
    check_conventions(loss, statements[-1], page)
    return loss


def parse_expression(
    loss: Loss, text: str, free: Mapping[str, Index] | None = None, source: str = "<claim>"
) -> Expr:
    """An expression in the names of a loss and the free indices given, such as a claim."""
    page, node = read_single(text, source)
    scope = _scope_of(loss, page)
    return read(node, replace(scope, indices=dict(free or {}))).expr


def parse_entry(loss: Loss, text: str, source: str = "<wrt>") -> Entry:
    """An entry with free indices: 'a[j]', 'W[u, v]', 'z', or a bare 'a', lettered for the user."""
    page, node = read_single(text, source)
    return _read_free_entry(node, loss, _scope_of(loss, page))


def parse_entries(loss: Loss, text: str, source: str = "<wrt>") -> tuple[Entry, ...]:
    """Entries separated by commas, such as 'a[i], W[u, v]'."""
    page, node = read_single(text, source)
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    if not nodes:
        raise page.error(node, "no entry", "entries such as 'a[i], W[u, v]'")
    scope = _scope_of(loss, page)
    return tuple(_read_free_entry(part, loss, scope) for part in nodes)


def load(name_or_path: str) -> Loss:
    """A loss of the library by its name, of a path that ends in .loss, or '-' for standard input.

    Raises PminusyError where there is no such loss or it cannot be read, and InputError for what
    is in it.
    """
    if name_or_path == "-":
        return parse(_decoded(sys.stdin.buffer.read(LIMIT_BYTES + 1), "<stdin>"), "loss", "<stdin>")
    if name_or_path.endswith(".loss"):
        try:
            with Path(name_or_path).open("rb") as file:
                content = file.read(LIMIT_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise PminusyError(f"cannot read {name_or_path}: {reason}") from None
        text = _decoded(content, name_or_path)
        return parse(text, Path(name_or_path).stem, name_or_path)
    known = library()
    if name_or_path not in known:
        near = nearest(name_or_path, known)
        hint = f"; did you mean '{near}'?" if near else ""
        expected = "the name of a library loss, a path that ends in .loss, or '-'"
        raise PminusyError(f"found '{name_or_path}', expected {expected}{hint}")
    file_name = f"{name_or_path}.loss"
    content = (_LIBRARY / file_name).read_bytes()
    return parse(_decoded(content, file_name), name_or_path, file_name)


def library() -> tuple[str, ...]:
    """The names of the library's losses, sorted."""
    names = (path.name for path in _LIBRARY.iterdir())
    return tuple(sorted(name[: -len(".loss")] for name in names if name.endswith(".loss")))


def _decoded(content: bytes, source: str) -> str:
    if len(content) > LIMIT_BYTES:
        raise PminusyError(
            f"{source}: found more than {LIMIT_BYTES} bytes, expected at most 64 KiB"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"a byte that is not UTF-8 at offset {error.start}"
        raise PminusyError(f"{source}: found {found}, expected UTF-8 text") from None


def _read_definition(statement: ast.Assign, scope: Scope) -> tuple[Definition, Value]:
    """`name[i, j] = body`."""
    if len(statement.targets) > 1:
        raise scope.text.error(statement.targets[1], "a second '='", "one name a definition")
    target = statement.targets[0]
    name = target.value if isinstance(target, ast.Subscript) else target
    if not isinstance(name, ast.Name):
        expected = "a name to define, such as 'L' or 'p[i]'"
        raise scope.text.error(target, describe(target, scope.text), expected)
    check_new_name(name.id, name, scope)
    check_expression(scope.text, target)
    check_expression(scope.text, statement.value)
    slots = subscripts(target) if isinstance(target, ast.Subscript) else []
    letters = _read_letters(slots, scope, (name.id,))
    axes = infer_axes(letters, statement.value, scope)
    inner, indices = scope, []
    for letter in letters:
        indices.append(Index(letter, axes.get(letter, _UNKNOWN)))
        inner = inner.with_index(letter, indices[-1])
    value = read(statement.value, inner)
    for letter, slot in zip(letters, slots, strict=True):
        if letter not in axes:
            found = f"the index '{letter}', which the right-hand side never uses"
            raise scope.text.error(slot, found, "an index that stands in brackets on the right")
    tensor = Tensor(name.id, tuple(axes[letter] for letter in letters))
    return Definition(tensor[tuple(indices)], value.expr), value


def _read_letters(
    slots: Sequence[ast.expr], scope: Scope, taken: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Distinct new index letters."""
    letters: list[str] = []
    for slot in slots:
        if not isinstance(slot, ast.Name):
            raise scope.text.error(slot, describe(slot, scope.text), "an index letter")
        check_new_name(slot.id, slot, scope)
        if slot.id in letters or slot.id in taken:
            raise scope.text.error(slot, f"'{slot.id}' a second time", "distinct index letters")
        letters.append(slot.id)
    return tuple(letters)


def _read_free_entry(node: ast.expr, loss: Loss, scope: Scope) -> Entry:
    head = node.value if isinstance(node, ast.Subscript) else node
    if not isinstance(head, ast.Name):
        expected = "an entry such as 'a[j]' or a name"
        raise scope.text.error(node, describe(node, scope.text), expected)
    if head.id not in scope.tensors:
        raise unknown_name(head, scope)
    if not isinstance(node, ast.Subscript):
        return loss.free_entry(head.id)
    letters = _read_letters(subscripts(node), scope)
    axes = scope.tensors[head.id].axes
    for letter, axis in zip(letters, axes, strict=False):
        scope = scope.with_index(letter, Index(letter, axis))
    extra = {letter: Index(letter, _UNKNOWN) for letter in letters[len(axes) :]}
    return read_entry(node, replace(scope, indices={**scope.indices, **extra}))


def _scope_of(loss: Loss, page: Text) -> Scope:
    """Every name of a loss."""
    scope = Scope(page, {}, {})
    for declaration in loss.declarations:
        scope = _with_declaration(scope, declaration)
    for definition in loss.definitions:
        scope = _with_definition(scope, definition, measure(definition.body, scope.sizes))
    return scope


def _with_declaration(scope: Scope, declaration: Declaration) -> Scope:
    tensor = declaration.tensor
    axes = dict(scope.axes)
    for axis in (*tensor.axes, *((tensor.label,) if tensor.label else ())):
        axes.setdefault(axis.name, axis)
    known = {**scope.tensors, tensor.name: tensor}
    if declaration.ignored is not None:
        known[declaration.ignored.name] = declaration.ignored
    return replace(scope, axes=axes, tensors=known)


def _with_definition(scope: Scope, definition: Definition, size: Size) -> Scope:
    tensors = {**scope.tensors, definition.name: definition.entry.tensor}
    return replace(scope, tensors=tensors, sizes={**scope.sizes, definition.name: size})


def _add_letters(
    letters: dict[str, tuple[str, ...]], definition: Definition, body: ast.expr
) -> None:
    """Add the index letters of a definition, in the order in which the text has them."""
    found: list[tuple[str, str]] = [
        (index.axis.name, index.name)
        for index in definition.entry.indices
        if isinstance(index, Index)
    ]
    bound: list[tuple[Any, str, str]] = [
        ((node.target.lineno, node.target.col_offset), node.iter.id, node.target.id)
        for node in ast.walk(body)
        if isinstance(node, ast.comprehension)
        and isinstance(node.target, ast.Name)
        and isinstance(node.iter, ast.Name)
    ]
    found += [(axis, letter) for _, axis, letter in sorted(bound)]
    for axis, letter in found:
        known = letters.get(axis, ())
        if letter not in known:
            letters[axis] = (*known, letter)


def _not_a_statement(statement: ast.stmt, page: Text) -> InputError:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Lambda):
        found = "the word 'lambda', which the language keeps"
        return page.error(statement, found, "a name of your own, such as 'λ'")
    return page.error(statement, describe(statement, page), STATEMENT)


def _is_string(statements: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
        for statement in statements
    )


def _check_end(
    page: Text, statements: Sequence[ast.stmt], definitions: Sequence[Definition]
) -> None:
    """The last statement must define the loss, without an index."""
    expected = "a definition of the loss, such as 'L = x**2', as the last statement"
    if not statements:
        raise InputError(page.at(len(page.content)), "the end of the text", expected)
    last = statements[-1]
    if not isinstance(last, ast.Assign) and not is_weighted(last):
        raise page.error(last, "a declaration at the end", expected)
    entry = definitions[-1].entry
    if entry.indices:
        count = len(entry.indices)
        found = (
            f"the loss '{entry.tensor.name}' with {count} {'index' if count == 1 else 'indices'}"
        )
        raise page.error(last, found, "a loss without an index")
