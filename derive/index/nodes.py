"""The nodes: axes, indices, tensor entries, deltas, choices, and what binds an index.

Every node is a SymPy expression, so sums and products of them collect and cancel as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Any

from sympy import Basic, Expr, S, Symbol
from sympy.core.assumptions import _assume_defined
from sympy.core.expr import AtomicExpr

from derive.index.names import Axis, Index, interned, renamed

_fresh = count(1)


class Tensor(AtomicExpr):
    """A name with axes.  `label` is the axis that a class-label tensor points into."""

    __slots__ = ("axes", "label", "name")
    is_commutative = True

    @interned
    def __new__(cls, name: str, axes: tuple[Axis, ...] = (), label: Axis | None = None) -> Tensor:
        tensor: Tensor = AtomicExpr.__new__(cls)
        tensor.name, tensor.axes, tensor.label = name, axes, label
        return tensor

    def __getnewargs__(self) -> tuple[str, tuple[Axis, ...], Axis | None]:
        return self.name, self.axes, self.label

    def _hashable_content(self) -> tuple[Any, ...]:
        label = self.label.name if self.label else ""
        return self.name, ",".join(axis.name for axis in self.axes), label

    def _sympystr(self, printer: Any) -> str:
        return self.name

    __iter__ = None  # or SymPy takes a tensor, which has __getitem__, for a sequence

    def __getitem__(self, indices: Any) -> Entry:
        return Entry(self, *(indices if isinstance(indices, tuple) else (indices,)))


class Entry(Expr):
    """One element of a tensor, such as W[i, j]; a tensor without axes is its own only entry."""

    is_commutative = True
    is_real = True

    @interned
    def __new__(cls, tensor: Tensor, *indices: Expr) -> Entry:
        entry: Entry = Expr.__new__(cls, tensor, *indices)
        return entry

    @property
    def tensor(self) -> Tensor:
        tensor: Tensor = self.args[0]
        return tensor

    @property
    def indices(self) -> tuple[Expr, ...]:
        return self.args[1:]

    def _sympystr(self, printer: Any) -> str:
        return f"{self.tensor.name}[{','.join(map(str, self.indices))}]"


def axis_of(index: Expr) -> Axis:
    """The axis that an index, or a class label used as one, ranges over."""
    if isinstance(index, Index):
        return index.axis
    if isinstance(index, Entry) and index.tensor.label is not None:
        return index.tensor.label
    if isinstance(index, Argmax):
        return index.axis
    raise TypeError(f"{index} is neither an index nor a class label")


class Delta(Expr):
    """The Kronecker delta of two indices (or class labels) of one axis."""

    is_commutative = True
    is_integer = True
    is_real = True
    is_nonnegative = True

    @interned
    def __new__(cls, i: Expr, j: Expr) -> Expr:
        if i == j:
            return S.One
        if axis_of(i) != axis_of(j):
            raise TypeError(f"a delta over two axes, {axis_of(i)} and {axis_of(j)}")
        if i.compare(j) > 0:
            i, j = j, i
        delta: Delta = Expr.__new__(cls, i, j)
        return delta

    def _eval_power(self, exponent: Expr) -> Expr | None:
        return self if exponent.is_positive else None

    def other(self, index: Expr) -> Expr:
        """The side that is not `index`."""
        i, j = self.args
        other: Expr = j if i == index else i
        return other


class Condition(Basic):
    """A truth value that is never evaluated numerically: == != < <= > >= and or not true."""

    @interned
    def __new__(cls, op: str, *args: Basic) -> Condition:
        condition: Condition = Basic.__new__(cls, Symbol(op), *args)
        return condition

    @classmethod
    def _rebuild(cls, op: Symbol, *args: Basic) -> Condition:
        return cls(op.name, *args)

    @property
    def func(self) -> Callable[..., Condition]:
        return self._rebuild

    @property
    def op(self) -> str:
        name: str = self.args[0].name
        return name

    @property
    def operands(self) -> tuple[Basic, ...]:
        return self.args[1:]

    @property
    def trivial(self) -> bool | None:
        """Whether it holds, or fails, whatever the values: k == k, k != k."""
        op, operands = self.op, self.operands
        if op == "true":
            return True
        if op in ("==", "!=", "<", "<=", ">", ">=") and operands[0] == operands[1]:
            return op in ("==", "<=", ">=")
        if op == "and" and any(part.trivial is False for part in operands):
            return False
        return None


TRUE = Condition("true")


class Choice(Expr):
    """`value if condition else otherwise`."""

    is_commutative = True
    is_real = True

    @interned
    def __new__(cls, condition: Condition, value: Expr, otherwise: Expr) -> Expr:
        settled = condition.trivial
        if value == otherwise or settled:
            return value
        if settled is False:
            return otherwise
        choice: Choice = Expr.__new__(cls, condition, value, otherwise)
        return choice


class Binder(Expr):
    """An operation over an axis: a canonical bound index, body and guard.  Built by `bind`."""

    is_commutative = True
    is_real = True
    word = ""

    @interned
    def __new__(cls, bound: Index, body: Expr, guard: Condition = TRUE) -> Expr:
        binder: Expr = Expr.__new__(cls, bound, body, guard)
        return binder

    @property
    def axis(self) -> Axis:
        axis: Axis = self.args[0].axis
        return axis

    def open(self) -> tuple[Index, Expr, Condition]:
        """A fresh index, and the body and guard written with it."""
        bound, body, guard = self.args
        index = fresh(bound.axis)
        here = {bound: index}
        return index, renamed(body, here), renamed(guard, here)

    def opened(self) -> tuple[Index, Expr, Condition]:
        """As `open`, with the same index each time: where no copy of this is open beside it."""
        return _opened(self)


@lru_cache(maxsize=1 << 14)
def _opened(binder: Binder) -> tuple[Index, Expr, Condition]:
    return binder.open()


class Total(Binder):
    """The sum of the body over an axis."""

    word = "sum"


class Product(Binder):
    """The product of the body over an axis."""

    word = "prod"


class Maximum(Binder):
    """The largest value of the body over an axis."""

    word = "max"


class Minimum(Binder):
    """The smallest value of the body over an axis."""

    word = "min"


class Argmax(Binder):
    """The first index at which the body is largest: a class label."""

    word = "argmax"


class Share(Expr):
    """The subgradient weight of one index in a maximum or minimum over an axis.

    Zero where the body does not attain the extremum; the shares of one extremum sum to 1.
    Kernels split them equally among ties, a member of the Clarke subdifferential.
    """

    is_commutative = True
    is_real = True
    is_nonnegative = True

    @interned
    def __new__(cls, extremum: Expr, index: Expr) -> Share:
        share: Share = Expr.__new__(cls, extremum, index)
        return share


class Diff(Expr):
    """A derivative still to be taken: of an expression, with respect to a tensor entry."""

    is_commutative = True
    is_real = True

    @interned
    def __new__(cls, body: Expr, variable: Entry) -> Diff:
        diff: Diff = Expr.__new__(cls, body, variable)
        return diff


class Partial(Expr):
    """A derivative that has a name of its own, such as dp[i]/da[j]: the value is in a lemma.

    `direct` is 1 for the partial that sees only the definition itself, 0 for the total one.
    """

    is_commutative = True
    is_real = True

    @interned
    def __new__(cls, of: Entry, variable: Entry, direct: Expr = S.Zero) -> Partial:
        partial: Partial = Expr.__new__(cls, of, variable, direct)
        return partial


def fresh(axis: Axis) -> Index:
    """An index that occurs nowhere else."""
    return Index("", axis, next(_fresh))


# What SymPy would find out to be unknown of every such node, it is told once.
for _kind in (Tensor, Entry, Delta, Choice, *Binder.__subclasses__(), Share, Diff, Partial, Index):
    for _fact in _assume_defined:
        _kind.default_assumptions.setdefault(_fact, None)
