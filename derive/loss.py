"""A loss as data: declarations, definitions in order, and what is known of the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import chain, count
from typing import Any

from sympy import Basic, Expr

from derive.errors import DerivationError
from derive.index import (
    Axis,
    Entry,
    Index,
    Tensor,
    comparisons,
    rebuild,
    substitute,
    tensor_names,
    tensors,
)

ROLES = ("input", "param", "target", "const")


@dataclass(frozen=True)
class Domain:
    """What values a declared tensor may take.

    `kind` is real, simplex, binary, unit, sign or label.  Bounds are exact numbers; an open
    bound excludes its end.  A unit domain is the closed interval from 0 to 1.
    """

    kind: str = "real"
    lower: Expr | None = None
    upper: Expr | None = None
    lower_open: bool = False
    upper_open: bool = False


@dataclass(frozen=True)
class Declaration:
    """A name the user declared: its tensor, role, domain and, for a const, its default.

    The default of a const with axes is that of each entry.  A class label may also be equal to
    the const `ignored`, which is then itself a label over the same axis, and in range or not.
    """

    tensor: Tensor
    role: str
    domain: Domain = Domain()
    default: Expr | None = None
    ignored: Tensor | None = None

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def is_mark(self) -> bool:
        """Whether this is the const that marks labels to ignore: an integer of any size."""
        return self.role == "const" and self.tensor.label is not None


@dataclass(frozen=True)
class Definition:
    """`entry = body`; the indices of the entry are free in the body.

    One that is coined stands in no loss text: a derivation gave the name.
    """

    entry: Entry
    body: Expr
    coined: bool = False

    @property
    def name(self) -> str:
        return self.entry.tensor.name

    def at(self, entry: Entry) -> Any:
        """The body at the indices of `entry`."""
        return substitute(self.body, dict(zip(self.entry.indices, entry.indices, strict=True)))


@dataclass(frozen=True)
class Loss:
    """A loss, as read from a .loss file.

    `letters` gives for each axis name the index letters the author used, in order of use.
    The last definition is the loss itself; its entry has no index.  `weight` is what its mean over
    samples is weighted by, in targets and consts; without it every sample counts the same.
    """

    name: str
    doc: str
    declarations: tuple[Declaration, ...]
    definitions: tuple[Definition, ...]
    letters: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    text: str = ""
    weight: Expr | None = None

    @property
    def value(self) -> Definition:
        """The definition of the loss itself."""
        return self.definitions[-1]

    @cached_property
    def declared(self) -> dict[str, Declaration]:
        return {declaration.name: declaration for declaration in self.declarations}

    @cached_property
    def defined(self) -> dict[str, Definition]:
        return {definition.name: definition for definition in self.definitions}

    @cached_property
    def compares(self) -> frozenset[str]:
        """How real numbers are compared in the definitions: "==", "<" and so on."""
        return frozenset(test.op for d in self.definitions for test in comparisons(d.body))

    @cached_property
    def marks(self) -> frozenset[Tensor]:
        """The consts that labels are ignored at."""
        return frozenset(d.tensor for d in self.declarations if d.is_mark)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """Every axis of the loss, in order of first appearance."""
        tensors = [d.tensor for d in self.declarations]
        tensors += [d.entry.tensor for d in self.definitions]
        found: dict[str, Axis] = {}
        for tensor in tensors:
            for axis in (*tensor.axes, *((tensor.label,) if tensor.label else ())):
                found.setdefault(axis.name, axis)
        return tuple(found.values())

    @property
    def source(self) -> str:
        """The 'Source:' line of the docstring, if there is one."""
        for line in self.doc.splitlines():
            if line.strip().lower().startswith("source:"):
                return line.strip()[len("source:") :].strip()
        return ""

    @property
    def title(self) -> str:
        """The first line of the docstring, or the name."""
        return self.doc.strip().splitlines()[0] if self.doc.strip() else self.name

    def below(self, name: str) -> frozenset[str]:
        """The declared names that a name depends on; a declared name is its own."""
        if name in self.declared:
            return frozenset((name,))
        found: set[str] = set()
        for tensor in tensors(self.defined[name].body):
            found |= self.below(tensor.name)
        return frozenset(found)

    def above(self, name: str) -> frozenset[str]:
        """The name, and every definition that depends on it."""
        found = {name}
        for definition in self.definitions:
            if definition.name != name and not found.isdisjoint(tensor_names(definition.body)):
                found.add(definition.name)
        return frozenset(found)

    def from_name(self, name: str) -> Loss:
        """The loss as a function of a defined name, which becomes an input, and of whatever
        else it still depends on."""
        needed, kept = {self.value.name}, []
        for definition in reversed(self.definitions):
            if definition.name in needed and definition.name != name:
                kept.append(definition)
                needed |= {tensor.name for tensor in tensors(definition.body)}
        declared = tuple(d for d in self.declarations if d.name in needed)
        image = Declaration(self.tensor(name), "input")
        definitions = tuple(reversed(kept))
        return replace(self, declarations=(image, *declared), definitions=definitions)

    def tensor(self, name: str) -> Tensor:
        """The tensor of a declared or defined name."""
        if name in self.declared:
            return self.declared[name].tensor
        if name in self.defined:
            return self.defined[name].entry.tensor
        raise DerivationError(
            f"{self.name} has no name '{name}'; it has "
            + ", ".join([*self.declared, *self.defined])
        )

    def unfold(self, expr: Any, stop: frozenset[str] = frozenset()) -> Any:
        """Replace defined names by their bodies, down to declared names or those in `stop`."""

        @cache
        def replace(node: Basic) -> Basic:
            if isinstance(node, Entry) and node.tensor.name in self.defined:
                if node.tensor.name in stop:
                    return rebuild(node, replace)
                return replace(self.defined[node.tensor.name].at(node))
            return rebuild(node, replace)

        return replace(expr)

    def unused_name(self, *preferred: str) -> str:
        """A name that the loss does not use: one of those preferred, else one with a number."""
        taken = {*self.declared, *self.defined, *(axis.name for axis in self.axes)}
        numbered = (f"{preferred[0]}{number}" for number in count(2))
        return next(name for name in chain(preferred, numbered) if name not in taken)

    def free_entry(self, name: str, indices: tuple[str, ...] = ()) -> Entry:
        """An entry of a name with free indices, lettered as given or as the author would."""
        tensor = self.tensor(name)
        letters = indices or self.pick_letters(tensor.axes)
        if len(letters) != len(tensor.axes):
            raise DerivationError(f"'{name}' has {len(tensor.axes)} indices, found {len(letters)}")
        return tensor[tuple(Index(s, x) for s, x in zip(letters, tensor.axes, strict=True))]

    def pick_letters(
        self, axes: tuple[Axis, ...], taken: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Letters for free indices: the author's for the axis first, then the alphabet."""
        names = set(taken) | set(self.declared) | set(self.defined)
        chosen: list[str] = []
        for axis in axes:
            for letter in letter_candidates(axis, self.letters):
                if letter not in names:
                    names.add(letter)
                    chosen.append(letter)
                    break
        return tuple(chosen)


def variable_letters(loss: Loss, axes: tuple[Axis, ...], taken: frozenset[str]) -> tuple[str, ...]:
    """Letters for the variable of a derivative: ones the author has not used, j first."""
    names = set(taken) | set(loss.declared) | set(loss.defined)
    for letters in loss.letters.values():
        names.update(letters)
    chosen: list[str] = []
    for axis in axes:
        usual = "nmrslquvhg" if axis.name == "N" else "jrsmlquvhg"
        letter = next(c for c in [*usual, *(f"i{k}" for k in range(1, 100))] if c not in names)
        names.add(letter)
        chosen.append(letter)
    return tuple(chosen)


def letter_candidates(axis: Axis, letters: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Index letters to try for an axis, best first; never runs out."""
    own = letters.get(axis.name, ())
    usual = ("n", "m") if axis.name == "N" else ()
    rest = "ijklmnrsuvqgh"
    numbered = [f"i{number}" for number in range(1, 100)]
    return [*own, *usual, *(c for c in rest if c not in own), *numbered]
