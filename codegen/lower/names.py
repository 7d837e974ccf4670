"""Names for what is computed on the way, and keys under which equal expressions meet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sympy import Basic, exp, log

from codegen.kernel import exp_difference
from codegen.reserved import letter
from derive.functions import sigmoid, softplus
from derive.index import (
    Argmax,
    Entry,
    Index,
    Maximum,
    Minimum,
    Product,
    Tensor,
    Total,
    free_indices,
    order,
    substitute,
    walk,
)

WORDS: dict[type, str] = {
    Total: "sum",
    Product: "product",
    Maximum: "max",
    Minimum: "min",
    Argmax: "top",
    exp: "exp",
    exp_difference: "exp",
    log: "log",
    sigmoid: "sigmoid",
    softplus: "softplus",
}


@lru_cache(maxsize=1 << 14)
def canonical(expr: Basic) -> tuple[Basic, tuple[Index, ...]]:
    """`expr` with its free indices numbered by place, and those indices; the batch comes first."""
    found = dict.fromkeys(_appearances(expr))
    indices = sorted(found, key=lambda index: index.axis.name != "N")
    numbered = {index: Index(str(at), index.axis) for at, index in enumerate(indices)}
    return substitute(expr, numbered), tuple(indices)


def _appearances(expr: Basic) -> Iterator[Index]:
    if isinstance(expr, Index):
        if not expr.is_bound:
            yield expr
    elif not isinstance(expr, Tensor) and free_indices(expr):
        for arg in _ordered(expr):
            yield from _appearances(arg)


def _ordered(expr: Any) -> tuple[Basic, ...]:
    """The arguments in an order that does not depend on which letters the indices have."""
    if expr.is_Add or expr.is_Mul:
        return tuple(sorted(expr.args, key=_blind))
    args: tuple[Basic, ...] = expr.args
    return args


@lru_cache(maxsize=1 << 14)
def _blind(expr: Basic) -> tuple[Any, ...]:
    blank = {index: Index("", index.axis) for index in free_indices(expr)}
    return order(substitute(expr, blank))


def unique(base: str, taken: set[str]) -> str:
    """`base`, or `base` with the first number that makes it new; it is taken from then on."""
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    return name


def suggest(node: Basic, subject: Basic) -> str:
    """A name that tells what `node` does, and to what: exp_a, a_max, log_sum_exp_a."""
    word = WORDS.get(type(node), "term")
    names = [x.tensor.name for x in walk(subject) if isinstance(x, Entry)]
    names = [name.removesuffix("_shifted").removesuffix("_max") for name in names]
    if word == "sum" and isinstance(subject, exp | exp_difference):
        word = "sum_exp"
    if word == "term" or len(set(names)) != 1:
        return word if word != "sum" else "total"
    return f"{names[0]}_{word}" if word in ("max", "min", "top") else f"{word}_{names[0]}"


def settle(indices: tuple[Index, ...]) -> dict[Index, Index]:
    """Plain letters for the indices of one statement: n, k, k2, ...; what is printed is stable."""
    taken: set[str] = set()
    return {i: Index(unique(letter(i.axis), taken), i.axis) for i in indices}
