"""The kernel IR: named statements over axes, and what makes a list of them legal.

A kernel is straight-line: each statement defines one array from arrays defined before it.

    Map(name, indices, expr)                name[indices] = expr
    Reduce(name, indices, op, over, expr)   name[indices] = op of expr over the indices `over`
    Contract(name, indices, over, operands) name[indices] = sum over `over` of a product of entries

`expr` is a SymPy tree over entries of named arrays, with no binder inside.  The ops are sum,
prod, max, min and argmax; argmax gives a class label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from sympy import Basic, Expr, Function, Rational

from derive.errors import KernelError
from derive.index import (
    Axis,
    Binder,
    Diff,
    Entry,
    Index,
    Partial,
    Share,
    Tensor,
    entries,
    free_indices,
    walk,
)

OPS = ("sum", "prod", "max", "min", "argmax")


class weighted(Function):
    """w * x, and 0 where w = 0 even if x is infinite: a zero weight asks for nothing."""

    nargs = 2
    is_real = True


class exp_difference(Function):
    """exp(x - y), with the rounding error of x - y put back."""

    nargs = 2
    is_real = True
    is_positive = True


class sum_lost(Function):
    """x + y - s, without rounding, for the rounded sum s; 0 where it is not finite."""

    nargs = 3
    is_real = True


class product_lost(Function):
    """x y - p, without rounding, for the rounded product p; 0 where it is not finite."""

    nargs = 3
    is_real = True


class leading(Function):
    """x to the last place of s, for |x| <= |s|: (s + x) - s as it is computed."""

    nargs = 2
    is_real = True


class corrected(Function):
    """x + e, and x itself where e is not finite."""

    nargs = 2
    is_real = True


@dataclass(frozen=True)
class Input:
    """An array the caller gives: its tensor, its role, and the default of each entry of a const.

    Labels that may be ignored are in range or equal to the scalar label `ignored`; what is looked
    up at an ignored one is not used, and may be anything that is there.
    """

    tensor: Tensor
    role: str
    default: Rational | None = None
    ignored: Tensor | None = None

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def is_mark(self) -> bool:
        """Whether this is the label that others are ignored at: any integer."""
        return self.role == "const" and self.tensor.label is not None


@dataclass(frozen=True)
class Map:
    """`name[indices] = expr`."""

    name: str
    indices: tuple[Index, ...]
    expr: Expr

    @property
    def over(self) -> tuple[Index, ...]:
        return ()


@dataclass(frozen=True)
class Reduce:
    """`name[indices] = op of expr over the indices in over`."""

    name: str
    indices: tuple[Index, ...]
    op: str
    over: tuple[Index, ...]
    expr: Expr


@dataclass(frozen=True)
class Contract:
    """`name[indices] = sum over the indices in over of the product of the operands`."""

    name: str
    indices: tuple[Index, ...]
    over: tuple[Index, ...]
    operands: tuple[Entry, ...]


Statement = Map | Reduce | Contract


@dataclass(frozen=True)
class Kernel:
    """Inputs, statements in order, and the outputs: what is returned under which name.

    `batch` is the axis that was added for the samples, None where the loss names its own.
    An output (key, entry) gives the array entry.tensor under the key; "" is the loss's.
    `weight` is what each sample weighs in the mean, an array over the batch; None where a mean
    divides by the number of samples.
    """

    name: str
    inputs: tuple[Input, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[tuple[str, Entry], ...]
    batch: Axis | None = None
    weight: Entry | None = None

    @property
    def weights(self) -> Kernel | None:
        """The kernel that computes, in the place of the loss, what each sample weighs."""
        if self.weight is None:
            return None
        return replace(self, outputs=(("", self.weight),)).needed("")

    def needed(self, *keys: str) -> Kernel:
        """The kernel that computes these outputs only, without the weights of a mean."""
        outputs = tuple((key, entry) for key, entry in self.outputs if key in keys)
        return replace(self, outputs=outputs, weight=None).pruned()

    def pruned(self) -> Kernel:
        """The kernel without statements that nothing needs."""
        live = {entry.tensor.name for _, entry in self.outputs}
        live |= set() if self.weight is None else {self.weight.tensor.name}
        kept: list[Statement] = []
        for statement in reversed(self.statements):
            if statement.name in live:
                kept.append(statement)
                live |= {entry.tensor.name for entry in reads(statement)}
        return replace(self, statements=tuple(reversed(kept)))


def trees(statement: Statement) -> tuple[Expr, ...]:
    """The expressions of a statement."""
    return statement.operands if isinstance(statement, Contract) else (statement.expr,)


def reads(statement: Statement) -> Iterator[Entry]:
    """Every entry a statement reads."""
    for tree in trees(statement):
        yield from _entries_in_order(tree)


@lru_cache(maxsize=1 << 14)
def _entries_in_order(tree: Expr) -> tuple[Entry, ...]:
    return tuple(sorted(entries(tree), key=str))


def defines(statement: Statement) -> Tensor:
    """The array a statement defines."""
    axes = tuple(index.axis for index in statement.indices)
    label = None
    if isinstance(statement, Reduce) and statement.op == "argmax":
        label = statement.over[0].axis
    return Tensor(statement.name, axes, label)


def validate(kernel: Kernel) -> None:
    """Raise KernelError, naming the statement, where the IR is not legal."""
    known = {given.name: given.tensor for given in kernel.inputs}
    if len(known) != len(kernel.inputs):
        raise KernelError(f"{kernel.name}: two inputs share a name")
    for statement in kernel.statements:
        try:
            _check_statement(statement, known)
        except KernelError as error:
            raise KernelError(f"{kernel.name}: {statement.name}: {error}") from None
        known[statement.name] = defines(statement)
    weight = () if kernel.weight is None else (("weight", kernel.weight),)
    for _, entry in (*kernel.outputs, *weight):
        if known.get(entry.tensor.name) != entry.tensor:
            raise KernelError(f"{kernel.name}: the output {entry.tensor.name} is not defined")


def _check_statement(statement: Statement, known: dict[str, Tensor]) -> None:
    if statement.name in known:
        raise KernelError("the name is already taken")
    allowed = (*statement.indices, *statement.over)
    if len(set(allowed)) != len(allowed):
        raise KernelError("an index occurs twice")
    if isinstance(statement, Reduce) and statement.op not in OPS:
        raise KernelError(f"no op {statement.op}")
    if not isinstance(statement, Map) and not statement.over:
        raise KernelError("nothing to reduce over")
    for tree in trees(statement):
        _check_tree(tree, frozenset(allowed), known)
    if isinstance(statement, Contract):
        _check_operands(statement)


def _check_operands(statement: Contract) -> None:
    used = frozenset[Index]().union(*(free_indices(x) for x in statement.operands))
    if used != frozenset((*statement.indices, *statement.over)):
        raise KernelError("its operands do not carry exactly its indices")
    for operand in statement.operands:
        if not isinstance(operand, Entry) or not all(isinstance(i, Index) for i in operand.indices):
            raise KernelError(f"the operand {operand} is not a plain entry")


def _check_tree(tree: Basic, allowed: frozenset[Index], known: dict[str, Tensor]) -> None:
    loose = free_indices(tree) - allowed
    if loose:
        raise KernelError(f"the index {sorted(map(str, loose))[0]} is free")
    for node in walk(tree):
        if isinstance(node, Binder | Share | Diff | Partial):
            raise KernelError(f"{type(node).__name__} inside an expression")
        if isinstance(node, Entry):
            found = known.get(node.tensor.name)
            if found is None:
                raise KernelError(f"reads {node.tensor.name} before it is defined")
            if found != node.tensor or len(node.indices) != len(found.axes):
                raise KernelError(f"{node} does not fit the array {found.name}")
