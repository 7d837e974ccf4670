"""Where the numbers of a schedule stand in a Triton kernel: pointers, tiles and columns.

A number of a row has the shape (ROWS, 1), an element of it (ROWS, BLOCK): they broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sympy import Basic

from codegen.targets.scalar_expressions import ATOM, Elements, Writer
from codegen.targets.triton_dialect import DIALECT
from derive.index import Axis, Entry, Index


@dataclass(frozen=True)
class Names:
    """Names in Python: for each array, and for each axis.  `marks` has, by the name of labels that
    may be ignored, the label that these are ignored at."""

    arrays: Mapping[str, str]
    axes: Mapping[str, str]
    tensors: Mapping[str, tuple[Axis, ...]]
    marks: Mapping[str, Entry]


@dataclass
class Scope:
    """What has been loaded so far, and the lines that load more; a loop has a scope of its own,
    inside that of its row."""

    names: Names
    own: frozenset[str]
    outer: Scope | None = None
    loaded: dict[Basic, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def write(self, expr: Basic) -> str:
        """The expression; what it reads from memory is loaded in `lines` first."""
        return _Writer(self)(expr)

    def entry(self, entry: Entry) -> str:
        """A number at its place."""
        name = entry.tensor.name
        if name in self.own:
            return self.names.arrays[name]
        if entry.tensor.label is not None:
            return f"(one * {self.place(entry)})"
        return self._load(entry)

    def place(self, index: Basic) -> str:
        """An index or a label, to compare."""
        if isinstance(index, Index):
            return index.name
        assert isinstance(index, Entry)
        if index.tensor.name in self.own:
            return self.names.arrays[index.tensor.name]
        return self._label(index)

    def _at(self, index: Basic) -> str:
        """An index or a label, to look up with: 0 where the label is ignored."""
        text = self.place(index)
        if isinstance(index, Entry) and index.tensor.name in self.names.marks:
            return f"{self.names.arrays[index.tensor.name]}_at"
        return text

    def taken(self) -> list[str]:
        """The lines that were added since they were last taken."""
        lines, self.lines = self.lines, []
        return lines

    def _root(self, entry: Entry) -> Scope:
        """The scope in which an entry is loaded: what is the same for a row, once for it."""
        inner = any(isinstance(i, Index) and i.name != "row" for i in entry.indices)
        return self if inner or self.outer is None else self.outer._root(entry)

    def _known(self, entry: Entry) -> str | None:
        found = self.loaded.get(entry)
        return found if found or self.outer is None else self.outer._known(entry)

    def _load(self, entry: Entry) -> str:
        known = self._known(entry)
        if known:
            return known
        scope = self._root(entry)
        name = scope._new(entry)
        places = [self._at(i) for i in entry.indices]
        inner = [i.name for i in entry.indices if isinstance(i, Index) and i.name != "row"]
        rows = any(i not in inner for i in places)
        mask = f"in_{inner[0]}" if inner and rows else f"has_{inner[0]}" if inner else "in_rows"
        pointer, more = self.pointer(entry.tensor.name, places), ""
        if places:
            more = f", mask={mask}, other={_other(inner, rows)}"
        scope.lines.append(f"{name} = _real(tl.load({pointer}{more}))")
        return name

    def _label(self, entry: Entry) -> str:
        known = self._known(entry)
        if known:
            return known
        array, label = entry.tensor.name, entry.tensor.label
        assert label is not None
        mark = self.names.marks.get(array)
        other = None if mark is None else self._label(mark)
        scope = self._root(entry)
        name = scope._new(entry)
        if not entry.indices:
            scope.lines.append(f"{name} = tl.load({self.pointer(array, [])}).to(tl.int64)")
            return name
        pointer, size = self.pointer(array, ["row"]), self.names.axes[label.name]
        scope.lines.append(f"{name} = tl.load({pointer}, mask=in_rows, other=0).to(tl.int64)")
        outside = f"({name} < 0) | ({name} >= {size})"
        if other is None:
            scope.lines += [f"wrong = wrong | {outside}", f"{name} = tl.where(wrong, 0, {name})"]
            return name
        scope.lines += [
            f"wrong = wrong | (({outside}) & ({name} != {other}))",
            f"{name} = tl.where(wrong, 0, {name})",
            f"{self.names.arrays[array]}_at = tl.where({outside}, 0, {name})",
        ]
        return name

    def _new(self, entry: Entry) -> str:
        """A name for what is loaded of an array: nothing else ends in _here."""
        stem = f"{self.names.arrays[entry.tensor.name]}_here"
        count = sum(name.startswith(stem) for name in self._names())
        name = f"{stem}_{count + 1}" if count else stem
        self.loaded[entry] = name
        return name

    def _names(self) -> list[str]:
        outer = self.outer._names() if self.outer else []
        return [*outer, *self.loaded.values()]

    def pointer(self, name: str, places: Iterable[str]) -> str:
        """The address of an element: rows of the first axis lie one after the other."""
        axes, parts = self.names.tensors[name], list(places)
        text = parts[0] if parts else ""
        for axis, place in zip(axes[1:], parts[1:], strict=True):
            left = f"({text})" if " " in text else text
            text = f"{left} * {self.names.axes[axis.name]} + {place}"
        stem = f"{self.names.arrays[name]}_ptr"
        return f"{stem} + {text or 'lone'}"

    def inside(self) -> Scope:
        """The scope of a loop of this row."""
        return Scope(self.names, self.own, self)


class _Writer(Writer):
    """Axes have names of their own here."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(DIALECT, Elements(scope.entry, scope.place))
        self.axes = scope.names.axes

    def _piece(self, expr: Basic) -> tuple[str, int]:
        if isinstance(expr, Axis):
            return self.dialect.size.format(self.axes[expr.name]), ATOM
        return super()._piece(expr)


def _other(inner: list[str], rows: bool) -> str:
    return 'float("-inf")' if inner and rows else "0.0"


def indent(lines: Iterable[str], by: int = 1) -> Iterator[str]:
    """The lines, moved in."""
    for line in lines:
        yield "    " * by + line
