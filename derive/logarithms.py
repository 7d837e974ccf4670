"""A loss as a sum of weighted logarithms, over axes or not, and a rest without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from sympy import Expr, Integer, Mul, log

from derive.index import TRUE, Index, Total, fresh, kinds, substitute, total
from derive.loss import Loss
from derive.normal import NormalForm, Undecided
from derive.normal.poly import Poly, mono_expr, number
from derive.ranges import Ranges
from derive.rules.fold import shallow
from derive.rules.shorten import factored

Path = tuple[Index, ...]  # the indices that are summed over, outermost first
Weighted = tuple[Expr, Expr]  # what the logarithm is of, and what it is multiplied by


@dataclass(frozen=True)
class Logs:
    """For every path, sum over it of the weighted logarithms; and what is left of the loss."""

    weights: dict[Path, tuple[Weighted, ...]] = field(default_factory=dict)
    rest: tuple[Expr, ...] = ()


@lru_cache(maxsize=1 << 6)
def logarithms(loss: Loss) -> Logs | None:
    """The loss as logarithms of what is not below 0; None where it is something else.

    Definitions stay names, but those of one number with a logarithm inside are written out.
    """
    form, ranges = shallow(loss), Ranges(loss)
    kept = frozenset(d.name for d in loss.definitions if not _is_part(loss, d.name))
    found: dict[Path, dict[Expr, Expr]] = {}
    rest: list[Expr] = []

    def collect(poly: Poly, front: Expr, path: Path) -> bool:
        for mono, value in poly.items():
            inside = [(base, power) for base, power in mono if log in kinds(base)]
            others = front * number(value) * mono_expr(mono - frozenset(inside))
            if not inside:
                rest.append(_summed(path, others))
            elif len(inside) > 1 or inside[0][1] != 1:
                return False
            elif isinstance(inside[0][0], log):
                own = found.setdefault(path, {})
                for a, power in _apart(inside[0][0].args[0], form, ranges):
                    own[a] = form.expr(own.get(a, Integer(0)) + power * others)
            elif not deeper(inside[0][0], others, path):
                return False
        return True

    def deeper(base: Expr, front: Expr, path: Path) -> bool:
        """What a sum is of, at the index that all sums over this axis here share."""
        if not isinstance(base, Total) or base.args[2] != TRUE:
            return False
        known = (p[len(path)] for p in found if p[: len(path)] == path and len(p) > len(path))
        index = next((i for i in known if i.axis == base.axis), None) or fresh(base.axis)
        opened, body, _ = base.opened()
        return collect(form(substitute(body, {opened: index})), front, (*path, index))

    try:
        whole = collect(form(loss.unfold(loss.value.body, kept)), Integer(1), ())
    except Undecided:
        return None
    nonzero = {path: tuple((a, w) for a, w in own.items() if w != 0) for path, own in found.items()}
    return Logs(nonzero, tuple(rest)) if whole else None


def _is_part(loss: Loss, name: str) -> bool:
    """Whether this is one number with a logarithm inside, as the divergence in a weighted sum."""
    definition = loss.defined[name]
    return not definition.entry.tensor.axes and log in kinds(definition.body)


def _apart(inside: Expr, form: NormalForm, ranges: Ranges) -> Iterator[tuple[Expr, Expr]]:
    """The factors of what a logarithm is of, with their powers; it alone if one may be < 0."""
    factors = []
    for factor in Mul.make_args(factored(form(inside))):
        base, power = factor.as_base_exp() if factor.is_Pow else (factor, Integer(1))
        negated = form.expr(-base)
        if ranges.nonnegative(base):
            factors.append((base, power))
        elif power.is_Integer and ranges.nonnegative(negated):
            factors += [(negated, power)] + [(Integer(-1), Integer(1))] * (int(power) % 2)
        else:
            yield inside, Integer(1)
            return
    if sum(base == -1 for base, _ in factors) % 2:
        yield inside, Integer(1)
        return
    yield from ((base, power) for base, power in factors if base != -1)


def _summed(path: Path, body: Expr) -> Expr:
    for index in reversed(path):
        body = total(index, body)
    return body
