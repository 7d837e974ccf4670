"""Kernels that carry their rounding errors: each primitive and each operation alone, and losses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from sympy import Add, Expr, Integer, Mul, Rational, exp, log, sqrt

import codegen
import derive
from codegen.compensate import compensated
from codegen.compensate.carry import Carrier
from codegen.compensate.reduce import reduced
from codegen.kernel import (
    Input,
    Kernel,
    Map,
    Reduce,
    corrected,
    defines,
    exp_difference,
    leading,
    product_lost,
    sum_lost,
    validate,
    weighted,
)
from codegen.rounded import Rounded, cost
from codegen.targets import TARGETS
from codegen.targets.facts import Facts
from derive.errors import KernelError
from derive.functions import absolute, largest, log1p, sigmoid
from derive.index import Axis, Choice, Condition, Entry, Index, Tensor

N, K = Axis("N"), Axis("K")
ROW, CLASS = Index("n", N), Index("k", K)
U, V, W, H = (Entry(Tensor(name, (N,)), ROW) for name in "uvwh")
X, Y = (Entry(Tensor(name, (N, K)), ROW, CLASS) for name in "xy")
A, B = (Entry(Tensor(name, (N,)), ROW) for name in "ab")
INPUTS = tuple(Input(entry.tensor, "input") for entry in (U, V, W, H, A, B, X, Y))
ABLE = [name for name, target in TARGETS.items() if target.compensates]
SIZES = {"N": 40, "K": 7}


def entry_of(statement: Map | Reduce) -> Entry:
    return Entry(defines(statement), *statement.indices)


def kernel_of(*statements: Any, outputs: dict[str, Entry]) -> Kernel:
    loss = Map("L", (ROW,), U)
    named = (("", entry_of(loss)), *outputs.items())
    kernel = Kernel("case", INPUTS, (*statements, loss), named, N)
    validate(kernel)
    return kernel


def arrays(seed: int = 0) -> dict[str, Any]:
    """Numbers of several sizes; u and h are positive, and h is small."""
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return random.normal(size=shape) * 2.0 ** random.integers(-8, 8, shape)

    found = {name: draw(SIZES["N"]) for name in "uvwab"}
    found |= {name: draw(SIZES["N"], SIZES["K"]) for name in "xy"}
    return found | {"u": abs(found["u"]) + 0.1, "h": abs(draw(SIZES["N"])) % 1 + 0.01}


# -- the primitives, in every target that has them -------------------------------------------------


def primitives() -> Kernel:
    statements = (
        whole := Map("s", (ROW,), U + V),
        Map("ds", (ROW,), sum_lost(U, V, entry_of(whole))),
        product := Map("p", (ROW,), U * V),
        Map("dp", (ROW,), product_lost(U, V, entry_of(product))),
        Map("head", (ROW,), leading(V, 1024 * U)),
        Map("mended", (ROW,), corrected(U, V)),
    )
    outputs = {key: entry_of(s) for key, s in zip("uvwhab", statements, strict=True)}
    return kernel_of(*statements, outputs=outputs)


@pytest.mark.parametrize(
    ("target", "dtype"), [(name, dtype) for name in ABLE for dtype in TARGETS[name].dtypes]
)
def test_nothing_is_lost(target: str, dtype: str) -> None:
    """x + y = s + ds and x y = p + dp to the last bit, as fractions; special values give 0."""
    kernel = primitives()
    facts = Facts("case", "none", (), (), tuple(f"{g.name}: numbers" for g in INPUTS), ())
    files = TARGETS[target].emit(kernel, facts, TARGETS[target].dtypes)
    function = TARGETS[target].load(files, kernel)["case_value_and_gradient"]
    given = {name: array.astype(dtype) for name, array in arrays().items()}
    given["v"][:3] = [np.inf, -np.inf, np.nan]
    with np.errstate(all="ignore"):
        _, slopes = function(**given)
    found = {s.name: slopes[key] for key, s in zip("uvwhab", kernel.statements, strict=False)}
    assert found["ds"][:3].tolist() == found["dp"][:3].tolist() == [0, 0, 0]
    assert found["mended"][:3].tolist() == given["u"][:3].tolist()
    for n in range(3, SIZES["N"]):
        u, v = Fraction(float(given["u"][n])), Fraction(float(given["v"][n]))
        s, ds, p, dp, head = (Fraction(float(found[k][n])) for k in ("s", "ds", "p", "dp", "head"))
        assert u + v == s + ds
        assert u * v == p + dp
        unit = Fraction(float(np.spacing(given["u"][n] * dtype_of(dtype)(1024))))
        assert abs(v - head) <= unit
        assert (head / unit * 2).denominator == 1


def dtype_of(name: str) -> Any:
    return np.dtype(name).type


# -- every operation that the pass knows, in balls -------------------------------------------------

TEST = Condition(">", U, V)
OPERATIONS: dict[str, Expr] = {
    "sum": Add(U, V, -W, Integer(3)),
    "product": Mul(U, V, W),
    "multiple": Rational(3, 7) * U * V,
    "quotient": Mul(U, V) / (W * H),
    "inverse": 1 / (U + V),
    "square root": sqrt(U * H + Integer(1)),
    "cube": (U + V) ** 3,
    "inverse square": (U + V) ** -2,
    "choice": Choice(TEST, U * V, V / U),
    "weighted": weighted(U * V, W + V),
    "size": absolute(U * V - W),
    "larger": largest(U * V, V * W),
    "nested": (U * V + W / U) * (H - U * W),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_value_and_what_is_lost(name: str) -> None:
    """Their sum is the exact number to twice the digits: what is left is of the second order."""
    to = Carrier({given.name for given in INPUTS})
    value, lost = to.carry(OPERATIONS[name])
    statements = (*to.statements, Map("value", (ROW,), value), Map("lost", (ROW,), lost))
    kernel = kernel_of(*statements, outputs={s.name: entry_of(s) for s in statements[-2:]})
    given = arrays()
    _, found = Rounded(kernel)(**given)
    lossy = 0
    with ctx.workprec(400):
        for n in range(SIZES["N"]):
            names = {e: arb(float(given[e.tensor.name][n])) for e in (U, V, W, H)}
            exact, size = balls(OPERATIONS[name], names)
            rest = arb(float(found["value"][n])) + arb(float(found["lost"][n])) - exact
            assert abs(rest) <= size * arb(2) ** -95
            lossy += bool(abs(arb(float(found["value"][n])) - exact) > size * arb(2) ** -70)
    assert lossy


def balls(expr: Expr, names: dict[Expr, arb]) -> tuple[arb, arb]:
    """The exact value, and the size that the roundings of its terms are relative to."""
    if expr in names:
        return names[expr], abs(names[expr])
    if expr.is_Rational:
        value = arb(int(expr.p)) / int(expr.q)
        return value, abs(value)
    if isinstance(expr, Choice):
        holds = names[U] > names[V]
        return balls(expr.args[1] if holds else expr.args[2], names)
    parts = [balls(arg, names) for arg in expr.args]
    values, sizes = [value for value, _ in parts], [size for _, size in parts]
    if expr.is_Add:
        return sum(values, arb(0)), sum(sizes, arb(0))
    if isinstance(expr, largest):
        return values[0].max(values[1]), sizes[0] + sizes[1]
    if isinstance(expr, absolute):
        return abs(values[0]), sizes[0]
    if expr.is_Pow:
        value = values[0] ** values[1]
        return value, abs(value) * (sizes[0] / abs(values[0])) ** 2 * 8
    product, size = arb(1), arb(1)
    for value, other in zip(values, sizes, strict=True):
        product, size = product * value, size * other
    return product, size


REDUCED = {
    "sum of terms": ("sum", X),
    "sum of products": ("sum", X * Y),
    "maximum of products": ("max", X * Y),
    "minimum of sums": ("min", X + Y),
}


@pytest.mark.parametrize("name", REDUCED)
def test_reductions(name: str) -> None:
    op, expr = REDUCED[name]
    to, statement = Carrier({g.name for g in INPUTS}), Reduce("r", (ROW,), op, (CLASS,), expr)
    value, lost = reduced(statement, *to.carry(expr), to)
    statements = (*to.statements, Map("value", (ROW,), value), Map("lost", (ROW,), lost))
    kernel = kernel_of(*statements, outputs={s.name: entry_of(s) for s in statements[-2:]})
    given = arrays()
    _, found = Rounded(kernel)(**given)
    assert np.count_nonzero(found["lost"]) > SIZES["N"] // 2
    for n in range(SIZES["N"]):
        terms = [
            exact(expr, Fraction(float(x)), Fraction(float(y)))
            for x, y in zip(given["x"][n], given["y"][n], strict=True)
        ]
        true = sum(terms) if op == "sum" else {"max": max, "min": min}[op](terms)
        rest = Fraction(float(found["value"][n])) + Fraction(float(found["lost"][n])) - true
        assert abs(rest) <= sum(map(abs, terms)) * Fraction(2) ** -95


def exact(expr: Expr, x: Fraction, y: Fraction) -> Fraction:
    return x if expr == X else x * y if expr.is_Mul else x + y


# -- functions that make more of an error ----------------------------------------------------------

FUNCTIONS: dict[str, Expr] = {
    "exp": exp(64 * U * H),
    "exp of a quotient": exp(40 * U / (U + H)),
    "power": (U * H + 1 / U) ** (30 * H),
    "log near 1": log(U / (U + H * Rational(1, 2**20) * V)),
    "sigmoid": sigmoid(-50 * U * H),
    "difference": exp_difference(32 * U * H, 30 * U * V * V + 700),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_put_it_back(name: str) -> None:
    """Within a unit in the last place, where the same without it loses many."""
    statement = Map("f", (ROW,), FUNCTIONS[name])
    plain = kernel_of(statement, outputs={"f": entry_of(statement)})
    given = arrays(3)
    given["u"], given["v"] = given["u"] % 4 + 1, given["v"] % 3
    got, naive = (Rounded(k)(**given)[1]["f"] for k in (compensated(plain), plain))
    errors, before = [], []
    with ctx.workprec(400):
        for n in range(SIZES["N"]):
            names = {e: arb(float(given[e.tensor.name][n])) for e in (U, V, W, H)}
            true = function(FUNCTIONS[name], names)
            for mine, into in ((got, errors), (naive, before)):
                unit = arb(float(np.spacing(abs(float(true.mid())))))
                into.append(float(abs(arb(float(mine[n])) - true) / unit))
    assert max(errors) <= 1.1
    assert max(before) > 4


def function(expr: Expr, names: dict[Expr, arb]) -> arb:
    args = [balls(arg, names)[0] for arg in expr.args]
    if isinstance(expr, exp):
        return args[0].exp()
    if isinstance(expr, log):
        return args[0].log()
    if isinstance(expr, sigmoid):
        return 1 / (1 + (-args[0]).exp())
    return (args[0] - args[1]).exp() if isinstance(expr, exp_difference) else args[0] ** args[1]


def test_what_no_function_makes_more_of_is_left_alone() -> None:
    """A kernel without such a function is the same kernel, and costs no more."""
    statement = Map("f", (ROW,), log1p(absolute(U * V)) + W)
    plain = kernel_of(statement, outputs={"f": entry_of(statement)})
    assert compensated(plain) == plain
    for name in ("huber", "softmax_cross_entropy"):
        kernel = codegen.build(derive.load(name), compensate=False).kernel
        assert compensated(kernel) == kernel
    assert cost(primitives(), SIZES) > cost(plain, SIZES)


def test_special_values_stay() -> None:
    """Infinite logits, and weights of 0 on them, give what they give without it."""
    loss = derive.load("focal")
    z = np.array([[-np.inf, 0.0, 1.0], [0.0, 0.0, 0.0], [800.0, -800.0, 0.0], [np.nan, 0.0, 1.0]])
    for target in ("numpy", "c"):
        plain, mended = (codegen.build(loss, target, compensate=on) for on in (False, True))
        for label in range(3):
            given = {"z": z, "t": np.full(4, label), "gamma": 2.0}
            with np.errstate(all="ignore"):
                (one, slope), (other, mine) = plain(**given), mended(**given)
            np.testing.assert_allclose(one, other, rtol=1e-12)
            np.testing.assert_allclose(slope["z"], mine["z"], rtol=1e-12, atol=1e-300)


def test_targets_without_it_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(TARGETS, "numpy", replace(TARGETS["numpy"], compensates=False))  # type: ignore[attr-defined]
    with pytest.raises(KernelError, match="no compensated form"):
        codegen.build(derive.load("tweedie"), compensate=True)
    assert codegen.build(derive.load("tweedie")).source
