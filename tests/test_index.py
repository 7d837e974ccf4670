"""Indices, sums and deltas: equality up to renaming, substitution that cannot capture."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Expr, Integer, S, Symbol, exp, log

from derive.evaluate import Point, evaluate
from derive.index import (
    TRUE,
    Axis,
    Choice,
    Condition,
    Delta,
    Entry,
    Index,
    Maximum,
    Product,
    Tensor,
    Total,
    axis_of,
    bind,
    free_indices,
    fresh,
    height,
    order,
    scoped,
    substitute,
    total,
)
from derive.loss import Declaration, Definition, Domain, Loss

K, D = Axis("K"), Axis("D")
a, b, y = Tensor("a", (K,)), Tensor("b", (D,)), Tensor("y", (K,))
W, V = Tensor("W", (K, K)), Tensor("V", (K, D))
c, t = Tensor("c", (K,), K), Entry(Tensor("t", (), K))
i, j, k, m, n = (Index(letter, K) for letter in "ijkmn")
d, e = (Index(letter, D) for letter in "de")

LOSS = Loss(
    "index",
    "",
    tuple(
        Declaration(tensor, "input", Domain("label" if tensor.label else "real"))
        for tensor in (a, b, y, W, V, c, t.tensor)
    ),
    (Definition(Entry(Tensor("L")), Integer(0)),),
)


def point(size: int = 3, columns: int = 2) -> Point:
    """No two entries equal; class labels that are not the identity."""
    values: dict[str, dict[tuple[int, ...], Fraction]] = {}
    sizes = {"K": size, "D": columns}
    seed = 7
    for declaration in LOSS.declarations:
        tensor = declaration.tensor
        places = list(product(*(range(sizes[axis.name]) for axis in tensor.axes)))
        values[tensor.name] = {}
        for place in places:
            seed = (seed * 48271) % 2147483647
            values[tensor.name][place] = (
                Fraction(seed % size) if tensor.label else Fraction(seed % 1999 - 999, 500)
            )
    return Point(sizes, values)


POINT = point()


def number(expr: Expr, env: dict[Index, int]) -> Any:
    return evaluate(LOSS, expr, POINT, env)


# -- equality -------------------------------------------------------------------------------


def test_bound_letters_do_not_matter() -> None:
    for index in (i, k, fresh(K)):
        renamed = total(index, exp(a[index]) * y[index])
        assert renamed == total(m, exp(a[m]) * y[m])
        assert hash(renamed) == hash(total(m, exp(a[m]) * y[m]))


def test_free_letters_do() -> None:
    assert a[i] != a[k]
    assert total(i, W[i, j]) != total(i, W[i, k])
    assert total(i, W[i, j]) != total(i, W[j, i])
    assert total(i, W[i, i]) != total(i, W[i, j])


def test_one_letter_on_two_axes_is_two_indices() -> None:
    assert Index("i", K) != Index("i", D)
    assert total(Index("i", K), Integer(2)) != total(Index("i", D), Integer(2))
    both = total(Index("i", K), total(Index("i", D), V[Index("i", K), Index("i", D)]))
    assert both == total(m, total(e, V[m, e]))


def test_nested_sums_are_equal_up_to_renaming() -> None:
    one = total(i, total(j, W[i, j] * a[j]))
    assert one == total(j, total(i, W[j, i] * a[i])) == total(k, total(n, W[k, n] * a[n]))
    assert one != total(i, total(j, W[j, i] * a[j]))
    assert total(i, a[i] * total(i, y[i])) == total(i, a[i] * total(j, y[j]))


def test_the_kind_and_the_guard_belong_to_a_binder() -> None:
    assert bind(Product, i, a[i]) != bind(Total, i, a[i]) != bind(Maximum, i, a[i])
    guard = Condition("!=", i, t)
    assert total(i, a[i], guard) != total(i, a[i])
    assert total(i, a[i], guard) == total(k, a[k], Condition("!=", k, t))
    assert total(i, a[i], guard) != total(k, a[k], Condition("==", k, t))


def test_equal_sums_collect_and_cancel() -> None:
    assert total(i, a[i]) + total(k, a[k]) == 2 * total(m, a[m])
    assert total(i, a[i]) - total(k, a[k]) == 0
    assert total(i, a[i]) / total(k, a[k]) == 1


def test_free_indices_are_those_no_binder_owns() -> None:
    expr = total(i, W[i, j] * total(k, W[k, i] * V[m, d])) + a[n]
    assert free_indices(expr) == {j, m, n, d}
    assert free_indices(total(i, a[i], Condition("!=", i, j))) == {j}
    assert free_indices(a[Entry(c, i)]) == {i}
    assert free_indices(Integer(3)) == frozenset()


def test_empty_sums_and_products() -> None:
    assert total(i, S.Zero) == 0
    assert bind(Product, i, S.One) == 1
    assert total(i, S.One) != 1


# -- substitution ---------------------------------------------------------------------------


def test_substitution_into_a_sum_does_not_capture() -> None:
    """SymPy: Sum(W[i,k],(k,1,K)).subs(i,k) gives Sum(W[k,k],...)."""
    row = total(k, W[i, k])
    assert substitute(row, {i: k}) == total(m, W[k, m])
    assert substitute(row, {i: k}) != total(k, W[k, k])
    assert free_indices(substitute(row, {i: k})) == {k}


def test_bound_letters_are_not_substituted() -> None:
    assert substitute(total(k, a[k]), {k: j}) == total(k, a[k])
    assert substitute(a[k] + total(k, a[k]), {k: j}) == a[j] + total(k, a[k])


def test_swapping_two_letters_is_simultaneous() -> None:
    assert substitute(W[i, j], {i: j, j: i}) == W[j, i]
    assert substitute(total(k, W[i, k] * W[k, j]), {i: j, j: i}) == total(k, W[j, k] * W[k, i])


def test_expressions_put_into_sums_keep_their_free_letters() -> None:
    value = total(k, W[i, k])
    inside = substitute(total(i, a[i] * Symbol("x")), {Symbol("x"): value})
    assert inside == total(m, a[m] * total(k, W[i, k]))
    assert free_indices(inside) == {i}


def test_sums_are_replaced_whatever_their_letters() -> None:
    whole = total(i, exp(a[i]))
    expr = log(total(k, exp(a[k]))) + total(j, a[j] / total(n, exp(a[n])))
    replaced = substitute(expr, {whole: Symbol("S")})
    assert replaced == log(Symbol("S")) + total(j, a[j] / Symbol("S"))


def test_nodes_that_mention_a_bound_index_are_not_free() -> None:
    assert substitute(total(i, a[i]), {a[i]: S.One}) == total(i, a[i])


def test_a_label_may_stand_for_an_index() -> None:
    assert substitute(total(k, W[i, k]), {i: t}) == total(k, W[t, k])
    assert substitute(a[i] * Delta(i, j), {i: Entry(c, j)}) == a[Entry(c, j)] * Delta(
        Entry(c, j), j
    )


# -- heights --------------------------------------------------------------------------------


def test_height_is_canonical_once_an_inner_sum_is_gone() -> None:
    inner = total(j, W[i, j])
    outer = total(i, a[i] * inner)
    assert height(outer) == 2
    flat = substitute(outer, {Symbol("unused"): S.One})
    assert flat == outer
    cancelled = substitute(total(i, a[i] * total(j, W[i, j] * Symbol("x"))), {Symbol("x"): S.Zero})
    assert cancelled == 0
    lowered = substitute(total(i, a[i] + total(j, W[i, j] * Symbol("x"))), {Symbol("x"): S.Zero})
    assert lowered == total(i, a[i]) and height(lowered) == 1


def test_height_is_canonical_where_a_renaming_makes_terms_cancel() -> None:
    """sum_i (a_i + sum_j W_ij (d_km - d_nm)): with k -> n the inner sum is 0."""
    zero = Delta(k, m) - Delta(n, m)
    expr = total(i, a[i] + zero * total(j, W[i, j]))
    assert height(expr) == 2
    lowered = substitute(expr, {k: n})
    assert lowered == total(i, a[i]) and height(lowered) == 1
    assert hash(lowered) == hash(total(i, a[i]))


def test_a_sum_that_a_renaming_empties_is_zero() -> None:
    zero = Delta(k, m) - Delta(n, m)
    assert substitute(total(i, zero * a[i]), {k: n}) == 0
    assert substitute(bind(Product, i, 1 + zero * a[i]), {k: n}) == 1
    assert substitute(total(j, y[j] + total(i, zero * W[i, j])), {k: n}) == total(j, y[j])


def test_opened_sums_close_again() -> None:
    expr = total(i, a[i] * total(j, W[i, j] * total(d, V[j, d])), Condition("!=", i, t))
    assert isinstance(expr, Total)
    index, body, guard = expr.open()
    assert index not in free_indices(expr) and index.axis == K
    assert free_indices(body) == {index}
    assert total(index, body, guard) == expr
    other, *_ = expr.open()
    assert other != index


def test_scoped_sums_close_again_at_any_depth() -> None:
    inner = total(j, W[i, j] * total(k, W[j, k]))
    outer = total(i, a[i] * inner)
    assert isinstance(outer, Total)
    with scoped(outer) as (first, body, guard):
        assert guard == TRUE
        (nested,) = (node for node in body.args if isinstance(node, Total))
        with scoped(nested) as (second, inside, _):
            assert second != first
            assert first in free_indices(inside)
            closed = total(second, inside)
        assert closed == nested
        assert total(first, a[first] * closed) == outer
    with scoped(outer) as (again, _, _guard):
        assert again == first


def test_two_sums_in_one_scope_may_be_open_in_turn() -> None:
    left, right = total(i, a[i]), total(i, y[i])
    with scoped(left) as (one, body, _), scoped(right) as (two, other, _guard):
        assert one != two
        assert total(one, total(two, body * other)) == total(i, total(j, a[i] * y[j]))


# -- deltas, labels, guards -----------------------------------------------------------------


def test_delta() -> None:
    assert Delta(i, i) == 1
    assert Delta(i, j) == Delta(j, i)
    assert Delta(i, j) != Delta(i, k)
    assert Delta(i, j) ** 2 == Delta(i, j) == Delta(i, j) ** Integer(7)
    assert Delta(i, j) ** 0 == 1
    assert Delta(i, j).other(i) == j and Delta(i, j).other(j) == i
    assert substitute(Delta(i, j), {i: j}) == 1
    assert total(i, Delta(i, j)) == total(k, Delta(j, k))
    with pytest.raises(TypeError, match="two axes"):
        Delta(i, d)
    with pytest.raises(TypeError, match="neither an index nor a class label"):
        Delta(i, a[j])


def test_deltas_of_labels() -> None:
    assert axis_of(t) == K and axis_of(Entry(c, i)) == K
    assert Delta(t, i) == Delta(i, t)
    assert Delta(Entry(c, i), Entry(c, i)) == 1
    assert substitute(Delta(Entry(c, i), Entry(c, j)), {i: j}) == 1
    assert number(Delta(Entry(c, i), j), {i: 0, j: int(POINT.values["c"][(0,)])}) == 1


def test_guards_hold_when_evaluated() -> None:
    rest = total(i, a[i], Condition("!=", i, j))
    for where in range(3):
        whole = sum(POINT.values["a"].values()) - POINT.values["a"][(where,)]
        assert number(rest - Fraction(1) * Integer(0), {j: where}).overlaps(
            number(Integer(0) + total(i, a[i]) - a[j], {j: where})
        )
        assert abs(float(number(rest, {j: where}).mid()) - float(whole)) < 1e-15


def test_choices_of_equals_are_no_choice() -> None:
    condition = Condition(">", a[i], S.Zero)
    assert Choice(condition, a[i], a[i]) == a[i]
    assert Choice(TRUE, a[i], S.Zero) == a[i]
    assert Choice(condition, S.One, S.Zero) != Choice(condition, S.Zero, S.One)


# -- random expressions ---------------------------------------------------------------------

LETTERS = (i, j, k, m)


@st.composite
def expressions(draw: st.DrawFn, scope: Sequence[Index] = LETTERS, depth: int = 3) -> Expr:
    """An expression over `scope`, whose sums bind letters that are free elsewhere too."""
    pick = st.sampled_from(list(scope))
    kind = draw(st.sampled_from(["leaf", "leaf", "add", "mul", "sum", "guard", "choice", "exp"]))
    if depth == 0 or kind == "leaf":
        one, two = draw(pick), draw(pick)
        leaves = [a[one], W[one, two], Delta(one, two), a[Entry(c, one)], Delta(one, t), y[one] + 2]
        return draw(st.sampled_from(leaves))
    below = expressions(scope, depth - 1)
    if kind in ("add", "mul"):
        left, right = draw(below), draw(below)
        return left + right if kind == "add" else left * right
    if kind == "exp":
        return exp(draw(below) / 8)
    if kind == "choice":
        return Choice(Condition("==", draw(pick), draw(pick)), draw(below), draw(below))
    index = draw(st.sampled_from(LETTERS))
    inner = expressions((*scope, index), depth - 1)
    guard = Condition("!=", index, draw(pick)) if kind == "guard" else TRUE
    return total(index, draw(inner), guard)


@given(expressions(), st.permutations(LETTERS))
@settings(max_examples=150)
def test_renaming_free_letters_renames_their_values(expr: Expr, renamed: Sequence[Index]) -> None:
    """The value of e[i -> r(i)] where r(i) = v is the value of e where i = v."""
    after = substitute(expr, dict(zip(LETTERS, renamed, strict=True)))
    for values in ((0, 1, 2, 0), (2, 2, 1, 0)):
        before_env = dict(zip(LETTERS, values, strict=True))
        after_env = dict(zip(renamed, values, strict=True))
        assert number(expr, before_env).overlaps(number(after, after_env))


@given(expressions(), st.permutations(LETTERS), st.permutations(LETTERS))
@settings(max_examples=100)
def test_substitutions_compose(expr: Expr, first: Sequence[Index], second: Sequence[Index]) -> None:
    one = dict(zip(LETTERS, first, strict=True))
    two = dict(zip(LETTERS, second, strict=True))
    both = {letter: two[one[letter]] for letter in LETTERS}
    assert substitute(substitute(expr, one), two) == substitute(expr, both)
    back = {new: old for old, new in one.items()}
    assert substitute(substitute(expr, one), back) == expr


@given(expressions(), st.sampled_from(LETTERS), st.sampled_from(LETTERS))
@settings(max_examples=150)
def test_identifying_two_letters_is_their_diagonal(expr: Expr, one: Index, two: Index) -> None:
    """The value of e[i -> j] where j = v is the value of e where i = j = v."""
    after = substitute(expr, {one: two})
    for value in range(3):
        env = dict.fromkeys(LETTERS, (value + 1) % 3)
        env[two] = value
        assert number(after, env).overlaps(number(expr, {**env, one: value}))
    if one != two:
        assert one not in free_indices(after)


@given(expressions((i, j, k, m, n)), st.permutations(LETTERS))
@settings(max_examples=100)
def test_bound_letters_never_matter(expr: Expr, letters: Sequence[Index]) -> None:
    """Closing over n and over a fresh index gives one sum, with one hash and one order."""
    unused = fresh(K)
    one = total(n, expr)
    two = total(unused, substitute(expr, {n: unused}))
    assert one == two and hash(one) == hash(two) and order(one) == order(two)
    assert n not in free_indices(one)
    for node in (one, two):
        if isinstance(node, Total):
            assert node.args[0].uid == -height(node)
            index, body, guard = node.open()
            assert total(index, body, guard) == node


@given(expressions(), expressions())
@settings(max_examples=100)
def test_replacing_a_marker_puts_the_value_there(expr: Expr, value: Expr) -> None:
    """x -> value under sums that bind the value's own letters: nothing is captured."""
    marker = Symbol("marker")
    for index in (i, k):
        context = total(index, a[index] * marker + W[index, j])
        after = substitute(context, {marker: value * expr})
        env = {letter: at for at, letter in zip((0, 1, 2, 1), LETTERS, strict=True)}
        inside, weight = number(value * expr, env), number(total(i, a[i]), env)
        expected = weight * inside + number(total(i, W[i, j]), env)
        assert number(after, env).overlaps(expected)


def test_equal_nodes_are_one_node() -> None:
    """Opening and closing a sum gives the very node again, so comparisons are by identity."""
    axis = Axis("K")
    a, i, j = Tensor("a", (axis,)), Index("i", axis), Index("j", axis)
    whole = bind(Total, i, exp(a[i]) * Choice(Condition(">", a[i], a[j]), a[i], a[j]))
    index, body, guard = whole.open()
    assert bind(Total, index, body, guard) is whole
    assert Index("i", axis) is i
