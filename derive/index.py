"""Index algebra: axes, indices, tensor entries, and the nodes that bind an index.

Every node is a SymPy expression, so sums and products of them collect and cancel as usual.
A binder keeps its bound index in a canonical form: the index is named by its level, one more
than the highest binder inside.  Equality up to renaming of bound indices is therefore plain
equality, and an index that the user picked can never be captured.  To look inside a binder,
`open` it: its bound index becomes a fresh free one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import count
from typing import Any

from sympy import Basic, Expr, Integer, S, Symbol
from sympy.core.expr import AtomicExpr

_fresh = count(1)
_depth: ContextVar[int] = ContextVar("_depth", default=0)
SCOPED = 1 << 60


class Axis(Symbol):
    """A named axis such as K; as a number it is the axis's size."""

    __slots__ = ()

    def __new__(cls, name: str) -> Axis:
        axis: Axis = Symbol.__xnew__(cls, name, integer=True, positive=True)
        return axis


class Index(AtomicExpr):
    """An index of one axis.  `uid` is its identity: 0 as written by the user, > 0 fresh, < 0 bound."""

    __slots__ = ("axis", "name", "uid")
    is_integer = True
    is_commutative = True

    def __new__(cls, name: str, axis: Axis, uid: int = 0) -> Index:
        index: Index = AtomicExpr.__new__(cls)
        index.name, index.axis, index.uid = name, axis, uid
        return index

    def __getnewargs__(self) -> tuple[str, Axis, int]:
        return self.name, self.axis, self.uid

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.name, self.axis.name, self.uid

    @property
    def is_bound(self) -> bool:
        """Whether this is the canonical index of some binder."""
        return self.uid < 0

    def _sympystr(self, printer: Any) -> str:
        return f"{self.name}{self.axis.name}{self.uid}"


class Tensor(AtomicExpr):
    """A name with axes.  `label` is the axis that a class-label tensor points into."""

    __slots__ = ("axes", "label", "name")
    is_commutative = True

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
    raise TypeError(f"{index} is neither an index nor a class label")


class Delta(Expr):
    """The Kronecker delta of two indices (or class labels) of one axis."""

    is_commutative = True
    is_integer = True
    is_real = True
    is_nonnegative = True

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
    """A truth value that is never evaluated numerically.

    `op` is one of == != < <= > >= (two numbers or indices), and, or, not (conditions), true.
    """

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


TRUE = Condition("true")


class Choice(Expr):
    """`value if condition else otherwise`."""

    is_commutative = True
    is_real = True

    def __new__(cls, condition: Condition, value: Expr, otherwise: Expr) -> Expr:
        if value == otherwise or condition.op == "true":
            return value
        choice: Choice = Expr.__new__(cls, condition, value, otherwise)
        return choice


class Binder(Expr):
    """An operation over every index of an axis for which the guard holds.

    `args` are the canonical bound index, the body and the guard.  Build one with `bind`.
    """

    is_commutative = True
    is_real = True
    word = ""

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
        return index, body.xreplace(here), guard.xreplace(here)


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


class Share(Expr):
    """The subgradient weight of one index in a maximum or minimum over an axis.

    Zero where the body does not attain the extremum; all shares of one extremum are >= 0 and
    sum to 1.  Kernels split them equally among ties, a member of the Clarke subdifferential.
    """

    is_commutative = True
    is_real = True
    is_nonnegative = True

    def __new__(cls, extremum: Expr, index: Expr) -> Share:
        share: Share = Expr.__new__(cls, extremum, index)
        return share


class Diff(Expr):
    """A derivative still to be taken: of an expression, with respect to a tensor entry."""

    is_commutative = True
    is_real = True

    def __new__(cls, body: Expr, variable: Entry) -> Diff:
        diff: Diff = Expr.__new__(cls, body, variable)
        return diff


class Partial(Expr):
    """A derivative that has a name of its own, such as dp[i]/da[j]: the value is in a lemma.

    `direct` is 1 for the partial that sees only the definition itself, 0 for the total one.
    """

    is_commutative = True
    is_real = True

    def __new__(cls, of: Entry, variable: Entry, direct: Expr = S.Zero) -> Partial:
        partial: Partial = Expr.__new__(cls, of, variable, direct)
        return partial


def fresh(axis: Axis) -> Index:
    """An index that occurs nowhere else."""
    return Index("", axis, next(_fresh))


@contextmanager
def scoped(binder: Binder) -> Iterator[tuple[Index, Expr, Condition]]:
    """Open a binder for the length of a `with` block.

    The index is unique among those of enclosing blocks, and the same for the same binder at
    the same depth, so that what is remembered of its body is found again.  It must not leave
    the block: close over it with `bind`.
    """
    depth = _depth.get()
    token = _depth.set(depth + 1)
    try:
        yield _opened(binder, depth)
    finally:
        _depth.reset(token)


@lru_cache(maxsize=1 << 16)
def _opened(binder: Binder, depth: int) -> tuple[Index, Expr, Condition]:
    bound, body, guard = binder.args
    index = Index("", bound.axis, SCOPED + depth)
    here = {bound: index}
    return index, body.xreplace(here), guard.xreplace(here)


@lru_cache(maxsize=1 << 16)
def height(expr: Basic) -> int:
    """The highest level of any binder in `expr`; 0 where there is none."""
    if isinstance(expr, Index | Tensor) or not expr.args:
        return 0
    inside = max(height(arg) for arg in expr.args)
    return max(inside, -expr.args[0].uid) if isinstance(expr, Binder) else inside


def bind(kind: type[Binder], index: Index, body: Expr, guard: Condition = TRUE) -> Expr:
    """Close `body` over `index`, in canonical form."""
    if kind is Total and body == 0:
        return S.Zero
    if kind is Product and body == 1:
        return S.One
    level = max(height(body), height(guard)) + 1
    bound = Index("", index.axis, -level)
    here = {index: bound}
    binder: Expr = kind(bound, body.xreplace(here), guard.xreplace(here))
    return binder


def total(index: Index, body: Expr, guard: Condition = TRUE) -> Expr:
    """The sum of `body` over `index`."""
    return bind(Total, index, body, guard)


def rebuild(expr: Basic, function: Callable[[Basic], Basic]) -> Basic:
    """Apply `function` to each argument; a binder is opened before and closed after."""
    if isinstance(expr, Binder):
        with scoped(expr) as (index, body, guard):
            new_body, new_guard = function(body), function(guard)
            if new_body is body and new_guard is guard:
                return expr
            return bind(type(expr), index, new_body, new_guard)
    if isinstance(expr, Condition):
        return Condition(expr.op, *(function(arg) for arg in expr.operands))
    if isinstance(expr, Entry):
        indices = [function(arg) for arg in expr.indices]
        return expr if tuple(indices) == expr.indices else Entry(expr.tensor, *indices)
    if not expr.args:
        return expr
    args = [function(arg) for arg in expr.args]
    if all(new is old for new, old in zip(args, expr.args, strict=True)):
        return expr
    return expr.func(*args)


def substitute(expr: Any, mapping: Mapping[Any, Any]) -> Any:
    """Replace whole nodes, binders opened on the way, so that nothing is captured."""
    present = {key: value for key, value in mapping.items() if key != value and occurs(key, expr)}
    if not present:
        return expr
    if all(isinstance(key, Index) for key in present):
        return _level(expr.xreplace(present))

    def replace(node: Basic) -> Basic:
        found = present.get(node)
        return found if found is not None else rebuild(node, replace)

    return replace(expr)


def occurs(node: Basic, expr: Basic) -> bool:
    """Whether `node` may occur in `expr`; never a false "no"."""
    if isinstance(node, Index):
        return node in free_indices(expr)
    return bool(free_indices(node) or height(node)) or node in nodes(expr)


def _level(expr: Any) -> Any:
    """Give binders their canonical level again where a simplification has lowered it."""
    if not height(expr):
        return expr
    expr = rebuild(expr, _level) if any(map(_too_high, walk(expr))) else expr
    return expr


def _too_high(node: Basic) -> bool:
    if not isinstance(node, Binder):
        return False
    bound, body, guard = node.args
    return bool(-bound.uid != max(height(body), height(guard)) + 1)


@lru_cache(maxsize=1 << 16)
def nodes(expr: Basic) -> frozenset[Basic]:
    """Every node of `expr`, bound indices in canonical form."""
    found = frozenset((expr,))
    if not isinstance(expr, Index | Tensor):
        for arg in expr.args:
            found |= nodes(arg)
    return found


@lru_cache(maxsize=1 << 16)
def kinds(expr: Basic) -> frozenset[type]:
    """The types of all nodes of `expr`, to see at once whether a rule has anything to do."""
    found = frozenset((type(expr),))
    if not isinstance(expr, Index | Tensor):
        for arg in expr.args:
            found |= kinds(arg)
    return found


def walk(expr: Basic) -> Iterator[Basic]:
    """Every node, parents first; binders are walked in their canonical form."""
    yield expr
    if not isinstance(expr, Index | Tensor):
        for arg in expr.args:
            yield from walk(arg)


@lru_cache(maxsize=1 << 16)
def free_indices(expr: Basic) -> frozenset[Index]:
    """The indices that no binder of `expr` owns."""
    if isinstance(expr, Index):
        return frozenset() if expr.is_bound else frozenset((expr,))
    found: frozenset[Index] = frozenset()
    for arg in expr.args:
        found |= free_indices(arg)
    return found


@lru_cache(maxsize=1 << 16)
def entries(expr: Basic) -> frozenset[Entry]:
    """Every tensor entry in `expr`, bound indices in canonical form."""
    found = frozenset((expr,)) if isinstance(expr, Entry) else frozenset()
    for arg in expr.args:
        found |= entries(arg)
    return found


@lru_cache(maxsize=1 << 16)
def tensors(expr: Basic) -> frozenset[Tensor]:
    """Every tensor named in `expr`."""
    return frozenset(entry.tensor for entry in entries(expr))


def size(axis: Axis, index: Index, guard: Condition) -> Expr:
    """How many indices of the axis pass the guard."""
    return axis if guard == TRUE else total(index, Integer(1), guard)


def order(expr: Basic) -> tuple[Any, ...]:
    """A total order on expressions that depends on their structure only, never on a hash."""
    return _key(expr)


@lru_cache(maxsize=1 << 16)
def _key(expr: Basic) -> tuple[Any, ...]:
    if isinstance(expr, Index):
        return (0, expr.axis.name, expr.name, expr.uid)
    if isinstance(expr, Tensor):
        return (1, expr.name)
    if isinstance(expr, Symbol):
        return (2, expr.name)
    if expr.is_Number:
        return (3, str(expr))
    args = expr.args
    if expr.is_Add or expr.is_Mul:
        args = tuple(sorted(args, key=_key))
    return (4, type(expr).__name__, len(args), tuple(_key(arg) for arg in args))
