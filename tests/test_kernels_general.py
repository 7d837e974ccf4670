"""Kernels of losses that no library foresaw: by the same rules, held by the same differences."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import samples

import codegen
import derive
from codegen.builder import KernelFunction

SOFTMAX = "p[i] = exp(a[i]) / sum(exp(a[k]) for k in K)"
LOSSES = {
    "weight decay": f"""
x: input[D]
W: param[K, D]
lam: const >= 0 = 0.1
y: target[K] in simplex
a[i] = sum(W[i, j]*x[j] for j in D)
{SOFTMAX}
L = -sum(y[i]*log(p[i]) for i in K) + lam/2*sum(W[i, j]**2 for i in K for j in D)""",
    "native label": f"a: input[K]\nt: target in K\n{SOFTMAX}\nL = -log(p[t])",
    "class weights": f"""
a: input[K]
w: const[K] > 0
t: target in K
{SOFTMAX}
L = -w[t]*log(p[t])""",
    "label smoothing": f"""
a: input[K]
t: target in K
eps: const in unit = 0.1
{SOFTMAX}
L = -sum(((1 - eps)*(1 if i == t else 0) + eps/K)*log(p[i]) for i in K)""",
    "log-sum-exp": "a: input[K]\nt: target in K\nL = log(sum(exp(a[k]) for k in K)) - a[t]",
    "likelihood": f"""
a: input[K]
y: target[K] in simplex
{SOFTMAX}
L = -log(prod(p[i]**y[i] for i in K))""",
    "named sums": """
a: input[K]
y: target[K] in simplex
e[i] = exp(a[i])
S = sum(e[k] for k in K)
p[i] = e[i]/S
L = -sum(y[i]*log(p[i]) for i in K)""",
    "shifted by hand": """
a: input[K]
y: target[K] in simplex
m = max(a[k] for k in K)
p[i] = exp(a[i] - m)/sum(exp(a[k] - m) for k in K)
L = -sum(y[i]*log(p[i]) for i in K)""",
    "temperature": """
a: input[K]
y: target[K] in simplex
T: const > 0 = 2
p[i] = exp(a[i]/T)/sum(exp(a[k]/T) for k in K)
L = -T**2*sum(y[i]*log(p[i]) for i in K)""",
    "two softmaxes": f"""
a: input[K]
b: input[K]
{SOFTMAX}
q[i] = exp(b[i])/sum(exp(b[k]) for k in K)
L = sum(p[i]*log(p[i]/q[i]) for i in K)""",
    "two exponentials": "u: input\nv: input\nL = log(exp(u) + exp(v)) - u",
    "explicit sigmoid": """
z: input
y: target in unit
p = 1/(1 + exp(-z))
L = -(y*log(p) + (1 - y)*log(1 - p))""",
    "log-cosh": "z: input\ny: target\nL = log(cosh(z - y))",
    "huber": """
z: input
y: target
d: const > 0 = 1
r = z - y
L = r**2/2 if abs(r) <= d else d*(abs(r) - d/2)""",
    "multiclass hinge": """
a: input[K]
t: target in K
L = sum(max(0, 1 + a[i] - a[t]) for i in K if i != t)""",
    "maximum": "a: input[K]\ny: target\nL = (max(a[k] for k in K) - y)**2",
    "two layers": f"""
x: input[D]
W: param[H, D]
V: param[K, H]
y: target[K] in simplex
h[i] = tanh(sum(W[i, j]*x[j] for j in D))
a[i] = sum(V[i, j]*h[j] for j in H)
{SOFTMAX}
L = -sum(y[i]*log(p[i]) for i in K)""",
    "bilinear": """
x: input[D]
M: param[D, D]
L = sum(x[i]*M[i, j]*x[j] for i in D for j in D)""",
    "trace": "M: input[D, D]\nL = sum(M[i, i] for i in D)**2",
    "mean and size": "x: input[D]\nL = mean(x[i]**2 for i in D) + D",
    "identity": "z: input\nL = z",
    "no sample in it": "z: input\nc: param\nL = 3*c",
    "python's names": """
np: input[K]
lambda_: param
dtype: target[K] in simplex
reduction[i] = exp(lambda_*np[i])/sum(exp(lambda_*np[k]) for k in K)
loss = -sum(dtype[i]*log(reduction[i]) for i in K)""",
}
WHOLE_BATCH = {
    "InfoNCE": """
U: input[N, D]
V: input[N, D]
tau: const > 0 = 0.5
s[i, j] = sum(U[i, d]*V[j, d] for d in D)/tau
L = -sum(s[i, i] - log(sum(exp(s[i, j]) for j in N)) for i in N)/N""",
    "tied": """
U: param[N, D]
s[i, j] = sum(U[i, d]*U[j, d] for d in D)
L = sum(log(sum(exp(s[i, j]) for j in N)) - s[i, i] for i in N)/N""",
    "weighted labels": """
P: input[N, K]
c: target[N] in K
w: const[K] > 0
q[n, i] = exp(P[n, i])/sum(exp(P[n, k]) for k in K)
L = -sum(w[c[n]]*log(q[n, c[n]]) for n in N)/sum(w[c[n]] for n in N)""",
}
SIZES = {**samples.SIZES, "H": 5}
every = pytest.mark.parametrize("name", [*LOSSES, *WHOLE_BATCH])
# What stays finite although the formulas as written overflow.
OVERFLOWING = [
    "native label",
    "class weights",
    "label smoothing",
    "log-sum-exp",
    "likelihood",
    "named sums",
    "two softmaxes",
    "two exponentials",
    "explicit sigmoid",
    "log-cosh",
    "two layers",
    "InfoNCE",
    "weighted labels",
]


@cache
def kernel(name: str, stable: bool = True) -> KernelFunction:
    text = {**LOSSES, **WHOLE_BATCH}[name]
    return codegen.build(derive.parse(text.strip() + "\n", name="general"), stable=stable)


def data(name: str, seed: int = 0) -> dict[str, Any]:
    return samples.arrays(kernel(name).loss, SIZES, batch=name in LOSSES, seed=seed)


@every
def test_gradient_against_central_differences(name: str) -> None:
    k = kernel(name)
    given = data(name)
    loss, found = k(**given)
    assert np.shape(loss) == ((SIZES["N"],) if name in LOSSES else ())
    for wrt in k.wrt:
        x, step = np.array(given[wrt]), 1e-6
        assert np.shape(found[wrt]) == x.shape
        for at in np.ndindex(x.shape):
            sides = []
            for sign in (1, -1):
                moved = x.copy()
                moved[at] += sign * step
                sides.append(np.sum(k(**{**given, wrt: moved})[0]))
            slope = (sides[0] - sides[1]) / (2 * step)
            np.testing.assert_allclose(np.asarray(found[wrt])[at], slope, rtol=1e-6, atol=1e-8)


@every
def test_stable_equals_naive(name: str) -> None:
    given = data(name, seed=1)
    (loss, found), (expected, slopes) = kernel(name)(**given), kernel(name, False)(**given)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    for wrt, slope in slopes.items():
        np.testing.assert_allclose(found[wrt], slope, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", OVERFLOWING)
def test_no_overflow_where_the_formula_overflows(name: str) -> None:
    k, naive = kernel(name), kernel(name, False)
    given = data(name, seed=2)
    given = {key: x * 2e3 if key in k.wrt else x for key, x in given.items()}
    loss, found = k(**given)
    assert np.all(np.isfinite(loss))
    assert all(np.all(np.isfinite(slope)) for slope in found.values())
    expected, slopes = naive(**given)
    broken = [x for x in (expected, *slopes.values()) if not np.all(np.isfinite(x))]
    assert broken


def test_whole_batch_has_no_reduction() -> None:
    with pytest.raises(derive.KernelError, match=r"written over the whole batch: no reduction"):
        kernel("InfoNCE")(**data("InfoNCE"), reduction="mean")


def test_ties_share_the_gradient() -> None:
    k = kernel("maximum")
    _, found = k(a=np.array([[2.0, 2.0, 1.0]]), y=np.array([1.0]))
    np.testing.assert_array_equal(found["a"], [[1, 1, 0]])


def test_consts_are_arguments() -> None:
    k = kernel("temperature")
    given = data("temperature")
    plain, cold = k(**given), k(**given, T=0.5)
    assert not np.allclose(plain[0], cold[0])
    np.testing.assert_array_equal(k(**given, T=2)[0], plain[0])


def test_names_that_python_uses() -> None:
    k = kernel("python's names")
    assert "def general(np_, lambda_, dtype_, *, " in k.source
    given = data("python's names")
    assert set(k(**given)[1]) == {"np", "lambda_"}


@pytest.mark.parametrize("title", ['""" + __import__("os").name + """', "back\\slash \\", 'say "'])
def test_a_title_cannot_leave_its_docstring(title: str) -> None:
    loss = derive.parse("z: input\nL = z**2\n", name="x")
    k = codegen.build(replace(loss, doc=title))
    loss_value, _ = k(z=np.ones(2))
    np.testing.assert_array_equal(loss_value, [1, 1])
    assert compile(k.source, "x", "exec").co_consts[0].strip().endswith("do not edit.")


@pytest.mark.parametrize("name", ["a-b", "1st", "class", "np"])
def test_any_file_name_gives_a_function(name: str) -> None:
    k = codegen.build(derive.parse("z: input\nL = z**2\n", name=name))
    assert k(z=np.ones(2))[1]["z"].tolist() == [2, 2]
