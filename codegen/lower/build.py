"""From an expression with sums to statements: every binder becomes an array of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from sympy import Add, Basic, Expr, Function, Integer, Mul, S, exp, log, oo

from codegen.bounds import bounded, is_shifted, vanishes
from codegen.kernel import Contract, Map, Reduce, Statement, exp_difference, weighted
from codegen.lower.names import canonical, suggest, unique
from codegen.lower.series import SERIES
from derive.errors import KernelError
from derive.functions import grouped, log1p
from derive.index import (
    TRUE,
    Argmax,
    Binder,
    Choice,
    Condition,
    Diff,
    Entry,
    Index,
    Maximum,
    Minimum,
    Partial,
    Product,
    Share,
    Tensor,
    Total,
    free_indices,
    rebuild,
    substitute,
    tensors,
    total,
)
from derive.loss import Loss

OPS: dict[type, tuple[str, Expr]] = {
    Total: ("sum", S.Zero),
    Product: ("prod", S.One),
    Maximum: ("max", -oo),
    Minimum: ("min", oo),
    Argmax: ("argmax", -oo),
}


@dataclass
class Builder:
    """The statements so far; `memo` finds an equal expression again."""

    loss: Loss
    taken: set[str]
    statements: list[Statement] = field(default_factory=list)
    memo: dict[Basic, Tensor] = field(default_factory=dict)


def lower(expr: Basic, to: Builder) -> Basic:
    """`expr` without binders; what they compute is added to the statements."""
    if isinstance(expr, Diff | Partial):
        raise KernelError(f"{to.loss.name}: a derivative is still to be taken: {expr}")
    if isinstance(expr, Share):
        return lower(_share(expr), to)
    if isinstance(expr, Total):
        return _lower_total(expr, to)
    if isinstance(expr, Binder):
        return _reduce(expr, to)
    if isinstance(expr, Function) and type(expr) in SERIES:
        return lower(SERIES[type(expr)](_named(expr.args[0], to)), to)
    if isinstance(expr, grouped):
        return hoist(expr.args[0], suggest(expr, expr.args[0]), to)
    if isinstance(expr, log) and expr.args[0].is_Add and 1 in expr.args[0].args:
        return log1p(lower(expr.args[0] - 1, to))  # as one: 1 + x may have an array of its own
    if isinstance(expr, exp):
        return _exp_of_shift(expr, to) or exp(lower(expr.args[0], to))
    if isinstance(expr, Expr) and expr.is_Add:
        return _lower_add(expr, to)
    if isinstance(expr, Expr) and expr.is_Mul:
        return _lower_product(expr.args, to)
    return rebuild(expr, lambda arg: lower(arg, to))


def _named(argument: Expr, to: Builder) -> Expr:
    """An argument that is used many times: an entry, of an array of its own if need be."""
    if isinstance(argument, Entry) or argument.is_number:
        return argument
    return hoist(argument, suggest(argument, argument), to)


def _share(share: Share) -> Expr:
    """1 over the number of ties where the body attains the extremum, else 0."""
    extremum, index = share.args
    inner, body, guard = extremum.open()

    def attained(at: Expr) -> Expr:
        here = substitute(body, {inner: at})
        allowed = substitute(guard, {inner: at})
        test = Condition("==", here, extremum)
        both = test if guard == TRUE else Condition("and", allowed, test)
        return Choice(both, S.One, S.Zero)

    return attained(index) / total(inner, attained(inner))


def _lower_add(expr: Expr, to: Builder) -> Expr:
    """A sum of terms; a term minus its own maximum is computed first, as one array."""
    for arg in expr.args:
        scale, peak = arg.as_coeff_Mul()
        if isinstance(peak, Maximum):
            found = _shift(expr, -scale, peak, to)
            if found is not None:
                return found
    return Add(*(lower(arg, to) for arg in expr.args))


def _shift(expr: Expr, scale: Expr, peak: Maximum, to: Builder) -> Expr | None:
    """`expr` where it contains scale * (f(i) - max f): that part by name, the rest lowered."""
    inner, body, _ = peak.open()
    labels = [x for x in expr.atoms(Entry) if x.tensor.label == peak.axis]
    places = [x for x in free_indices(expr) if x.axis == peak.axis]
    for place in sorted([*places, *labels], key=str):
        wanted = Add.make_args(scale * substitute(body, {inner: place}))
        if all(term in expr.args for term in wanted):
            name = suggest(peak, body).replace("max", "shifted")
            shifted = hoist(body - peak, name, to)
            others = [x for x in expr.args if x not in (*wanted, -scale * peak)]
            rest = lower(Add(*others), to)
            return Add(scale * substitute(shifted, {inner: lower(place, to)}), rest)
    return None


def _exp_of_shift(expr: Expr, to: Builder) -> Expr | None:
    """exp(f(i) - max f) by its two sides, so that no digit of the difference is lost."""
    exponent = expr.args[0]
    for arg in Add.make_args(exponent):
        if isinstance(-arg, Maximum) and any(
            is_shifted(exponent, place, sides=True)
            for place in (*free_indices(exponent), *exponent.atoms(Entry))
        ):
            return exp_difference(lower(exponent - arg, to), lower(-arg, to))
    return None


def hoist(expr: Expr, name: str, to: Builder) -> Expr:
    """An entry of an array that holds `expr`."""
    key, indices = canonical(expr)
    if key not in to.memo:
        lowered = Add(*(lower(arg, to) for arg in Add.make_args(expr)))
        _add(Map(unique(name, to.taken), indices, lowered), key, to)
    return Entry(to.memo[key], *indices)


def _add(statement: Statement, key: Basic, to: Builder) -> None:
    to.statements.append(statement)
    axes = tuple(index.axis for index in statement.indices)
    is_argmax = isinstance(statement, Reduce) and statement.op == "argmax"
    to.memo[key] = Tensor(statement.name, axes, statement.over[0].axis if is_argmax else None)


def _masks(weights: list[Expr], rest: list[Expr]) -> bool:
    """Whether a weight says which entries a maximum is over: beyond those it is no bound."""
    guards = [peak.args[2] for factor in rest for peak in factor.atoms(Maximum)]
    named = {tensor for guard in guards for tensor in tensors(guard)}
    return any(tensor in named for weight in weights for tensor in tensors(weight))


def _lower_product(factors: tuple[Expr, ...], to: Builder) -> Expr:
    """A product; where a weight may be 0 and the rest infinite, a zero weight wins."""
    weights = [f for f in factors if not f.is_number and vanishes(f, to.loss)]
    numbers = [f for f in factors if f.is_number]
    rest = [f for f in factors if f not in weights and not f.is_number]
    if not weights or (all(bounded(f, to.loss) for f in rest) and not _masks(weights, rest)):
        return Mul(*(lower(f, to) for f in factors))
    weight = Mul(*(lower(f, to) for f in weights))
    if weight.is_number:
        return Mul(weight, *numbers, *(lower(f, to) for f in rest))
    return Mul(*numbers, weighted(weight, Mul(*(lower(f, to) for f in rest))))


def _reduce(expr: Binder, to: Builder) -> Expr:
    key, indices = canonical(expr)
    if key not in to.memo:
        index, body, guard = expr.open()
        op, identity = OPS[type(expr)]
        if not body.has(index) and guard == TRUE and op in ("max", "min"):
            return lower(body, to)
        if not body.has(index) and guard == TRUE and op == "prod":
            return lower(body, to) ** index.axis
        guarded = body if guard == TRUE else Choice(guard, body, identity)
        lowered = lower(guarded, to)
        name = unique(suggest(expr, lowered), to.taken)
        _add(Reduce(name, indices, op, (index,), lowered), key, to)
    return Entry(to.memo[key], *indices)


def _lower_total(expr: Total, to: Builder) -> Expr:
    index, body, guard = expr.open()
    if not body.has(index):
        return lower(body * index.axis, to) if guard == TRUE else _count(expr, to)
    if guard != TRUE:
        return _reduce(expr, to)
    body = _common_factor(body)
    if body.is_Add and _worth_splitting(body, index):
        return Add(*(lower(total(index, term), to) for term in body.args))
    outside = [f for f in Mul.make_args(body) if not f.has(index)]
    if outside:
        inside = Mul(*(f for f in Mul.make_args(body) if f.has(index)))
        return _lower_product((*outside, total(index, inside)), to)
    factored = total(index, body)
    if isinstance(body, Choice):
        return _chosen_rows(factored, index, body, to) or _reduce(factored, to)
    return _contract(factored, index, Mul.make_args(body), to) or _reduce(factored, to)


def _count(expr: Total, to: Builder) -> Expr:
    index, body, guard = expr.open()
    if body == 1:
        return _reduce(expr, to)
    return _lower_product((body, total(index, Integer(1), guard)), to)


def _common_factor(body: Expr) -> Expr:
    """x (u + v) for x u + x v."""
    if not body.is_Add:
        return body
    shared = [f for f in Mul.make_args(body.args[0]) if not f.is_number]
    for term in body.args[1:]:
        shared = [f for f in shared if f in Mul.make_args(term)]
    if not shared:
        return body
    rest = [Mul(*(f for f in Mul.make_args(term) if f not in shared)) for term in body.args]
    return Mul(*shared, Add(*rest))


def _worth_splitting(body: Expr, index: Index) -> bool:
    """Whether a term does not know the index, or no term carries all the indices."""
    everything = free_indices(body)
    sets = [free_indices(term) for term in body.args]
    return any(index not in s for s in sets) or all(s != everything for s in sets)


def _contract(expr: Expr, index: Index, factors: tuple[Expr, ...], to: Builder) -> Expr | None:
    """A matrix product, where the factors carry different indices."""
    everything = free_indices(expr) | {index}
    full = [f for f in factors if free_indices(f) == everything]
    weights = [f for f in factors if vanishes(f, to.loss)]
    if len(factors) < 2 or len(full) == len(factors) or (full and weights):
        return None
    key, indices = canonical(expr)
    if key not in to.memo:
        operands = tuple(_as_entry(f, to) for f in factors)
        name = unique("product", to.taken)
        _add(Contract(name, indices, (index,), operands), key, to)
    return Entry(to.memo[key], *indices)


def _chosen_rows(expr: Expr, index: Index, body: Choice, to: Builder) -> Expr | None:
    """sum_n (0 if c_n else u_nk v_nd) as a matrix product, both of its matrices 0 in the rows
    that are left out: these may hold NaN."""
    condition, *branches = body.args
    if 0 not in branches or free_indices(condition) != {index}:
        return None
    kept = branches[0] + branches[1]
    groups: dict[frozenset[Index], list[Expr]] = {}
    for factor in Mul.make_args(kept):
        groups.setdefault(frozenset(free_indices(factor) - {index}), []).append(factor)
    shared = groups.pop(frozenset(), [])
    if len(groups) != 2 or frozenset.intersection(*groups):
        return None
    first, second = sorted(groups.values(), key=lambda group: len(group) < 2)
    products = (Mul(*shared, *first), Mul(*second))
    chosen = (tuple(S.Zero if b == 0 else product for b in branches) for product in products)
    return _contract(expr, index, tuple(Choice(condition, *each) for each in chosen), to)


def _as_entry(factor: Expr, to: Builder) -> Entry:
    lowered = lower(factor, to)
    if isinstance(lowered, Entry):
        distinct = len(set(lowered.indices)) == len(lowered.indices)
        if distinct and all(isinstance(i, Index) for i in lowered.indices):
            return lowered
    entry = hoist(factor, suggest(factor, factor), to)
    if not isinstance(entry, Entry):
        raise KernelError(f"{to.loss.name}: {factor} has no array of its own")
    return entry
