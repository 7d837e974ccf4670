"""Weights of a mean, ignored labels, and consts with axes: read, derived and proved."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from structures import MISFITS
from sympy import Expr

import codegen
import derive
from codegen.builder import KernelFunction
from codegen.targets import TARGETS
from derive.batch import batched
from derive.errors import InputError, KernelError
from derive.index import Choice

HEAD = "a: input[K]\nv: const[K] >= 0 = 1\ng: const = -100\nh: const = 1/2\ns: input\n"
IGNORED = HEAD + "t: target in K or g\n"
PLAIN = HEAD + "t: target in K\n"
UNGUARDED = (
    "found 't' or 'g' used where 't' may be ignored, expected '... if t == g else ...' around it"
)
AFTER_OR = "expected a const without axes declared before, such as 'ignore_index: const = -100'"
LOSS = "expected the loss that it belongs to: 'L: mean(w) = ...'"
FIXED = "expected weights of targets and consts, which have no gradient"

BAD_TEXTS = [
    (IGNORED + "L = a[t]", f"7:1: {UNGUARDED}"),
    (IGNORED + "L = 0 if t != g else a[t]", f"7:1: {UNGUARDED}"),
    (IGNORED + "L = 0 if t == g and s > 0 else a[t]", f"7:1: {UNGUARDED}"),
    (IGNORED + "L = 0 if t == g or a[t] > 0 else a[t]", f"7:1: {UNGUARDED}"),
    (IGNORED + "L = (1 - delta(t, g)) * a[t]", f"7:1: {UNGUARDED}"),
    (IGNORED + "L = sum(a[k] for k in K if k != t)", f"7:1: {UNGUARDED}"),
    (IGNORED + "L = a[g]", f"7:1: {UNGUARDED}"),
    (IGNORED + "L = sum(a[k] for k in K if k != g)", f"7:1: {UNGUARDED}"),
    (IGNORED + "w = v[t]\nL: mean(w) = 0 if t == g else a[t]", f"8:4: {UNGUARDED}"),
    (
        "a: input[S, K]\ng: const = 0\nt: target[S] in K or g\n"
        "L = sum(0 if t[i] == g else a[j, t[j]] for i in S for j in S)",
        f"4:1: {UNGUARDED}",
    ),
    (
        IGNORED + "L = g if t == g else a[t]",
        "7:5: found the class label 'g' used as a number, expected a number, since a class label "
        "is not a number",
    ),
    (HEAD + "t: target in K or v\nL = 0", f"6:19: found 'v', {AFTER_OR}"),
    (HEAD + "t: target in K or -100\nL = 0", f"6:19: found '-100', {AFTER_OR}"),
    (HEAD + "t: target in K or nope\nL = 0", f"6:19: found 'nope', {AFTER_OR}"),
    (
        HEAD + "t: target in K or h\nL = 0",
        "6:1: found 'h', which is no integer const, expected a const such as 'h: const = -100'",
    ),
    (
        HEAD + "t: target or g\nL = 0",
        "6:14: found 'or' after a domain without labels, expected a label: 'in K or ...'",
    ),
    (
        HEAD + "u = g*2\nt: target in K or g\nL = 0",
        "7:1: found 'g', which a definition already uses as a number, expected the label before "
        "the definitions",
    ),
    (
        PLAIN + "L: mean(v[t] * s) = a[t]",
        f"7:4: found a weight that depends on the input 's', {FIXED}",
    ),
    (
        PLAIN + "M: mean(v[t]) = a[t]\nL = M",
        "7:4: found the weights of a mean before the end, expected weights on the loss only, the "
        "last definition",
    ),
    (PLAIN + "L: mean(v) = a[t]", "7:9: found no index on 'v', expected 1 index: v[K]"),
    (PLAIN + "L: mean(v[t])", f"7:4: found the weights of a mean without a loss, {LOSS}"),
    (
        PLAIN + "L: mean(v[i] for i in K) = a[t]",
        "7:4: found 'mean' of another form, expected one number: 'L: mean(w) = ...'",
    ),
    (
        PLAIN + "L[i]: mean(v[t]) = a[i]",
        "7:1: found the loss with an index, expected a loss without an index",
    ),
    (
        "z: input[N]\nL: mean(2) = sum(z[n] for n in N)",
        "2:4: found the weights of a mean in a loss over the whole batch N, expected weights of a "
        "loss of one sample",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS, ids=[m for _, m in BAD_TEXTS])
def test_a_bad_text_gets_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        derive.parse(text, source="my.loss")
    assert str(caught.value) == f"my.loss:{message}"


@pytest.mark.parametrize(
    "body",
    [
        "0 if t == g or s > 0 else a[t]",
        "a[t] if t != g and s > 0 else 0",
        "a[t] if not t == g else 0",
        "0 if g == t else sum(delta(k, t)*a[k] for k in K)",
    ],
)
def test_guards_that_are_understood(body: str) -> None:
    loss = derive.parse(f"{IGNORED}L = {body}")
    assert loss.declared["t"].ignored == loss.declared["g"].tensor
    assert loss.declared["g"].is_mark


# -- the mean --------------------------------------------------------------------------------

WEIGHTED = derive.parse(
    "z: input[K]\nw: const[K] >= 0 = 1\nc: target in K\n"
    "P[k] = exp(z[k])/sum(exp(z[l]) for l in K)\nL: mean(w[c]) = -w[c]*log(P[c])",
    name="weighted",
)
RIGHT = "w[c[n]]*(P[n, m] - delta(m, c[n]))/sum(w[c[i]] for i in N)"


def test_the_weighted_mean_is_proved() -> None:
    """The gradient of HARD_CASES: labels c_n, mean over weights."""
    assert derive.check(batched(WEIGHTED), "z[n, m]", RIGHT).status == "proved"


@pytest.mark.parametrize(
    "claim",
    [
        "w[c[n]]*(P[n, m] - delta(m, c[n]))/N",
        "(P[n, m] - delta(m, c[n]))/sum(w[c[i]] for i in N)",
        "w[m]*(P[n, m] - delta(m, c[n]))/sum(w[c[i]] for i in N)",
        "w[c[n]]*(P[n, m] - delta(m, c[n]))/sum(w[k] for k in K)",
    ],
)
def test_wrong_means_are_refuted(claim: str) -> None:
    assert derive.check(batched(WEIGHTED), "z[n, m]", claim).status == "refuted"


def test_an_ignored_label_is_selected_not_multiplied() -> None:
    loss = derive.load("weighted_softmax_cross_entropy")
    for whole in (loss, batched(loss)):
        result: Expr = derive.gradient(whole, "a").result
        assert isinstance(result, Choice)
        assert 0 in result.args[1:]
    smoothing = "(1 - label_smoothing)*w*(p[j] - delta(j, t)) + label_smoothing/K*"
    claim = smoothing + "(p[j]*sum(weight[k] for k in K) - weight[j])"
    refuted = derive.check(loss, "a[j]", claim)
    assert refuted.status == "refuted"
    assert derive.check(loss, "a[j]", f"0 if t == ignore_index else {claim}").status == "proved"


def test_a_gradient_by_the_weight_is_refused() -> None:
    loss = derive.load("weighted_softmax_cross_entropy")
    for name in ("w", "weight"):
        with pytest.raises(KernelError, match=f"no gradient by '{name}'"):
            codegen.build(loss, wrt=[name])


# -- kernels ---------------------------------------------------------------------------------

ABLE = [t for t in TARGETS if "weighted_softmax_cross_entropy" not in MISFITS.get(t, ())]
targets = pytest.mark.parametrize("target", ABLE)


@cache
def softmax(target: str) -> KernelFunction:
    return codegen.build(derive.load("weighted_softmax_cross_entropy"), target)


LINEAR = derive.parse(
    "x: input[D]\nW: param[K, D]\nweight: const[K] >= 0 = 1\nignore_index: const = -100\n"
    "t: target in K or ignore_index\n"
    "a[i] = sum(W[i, j]*x[j] for j in D)\np[i] = exp(a[i])/sum(exp(a[k]) for k in K)\n"
    "w = 0 if t == ignore_index else weight[t]\n"
    "L: mean(w) = 0 if t == ignore_index else -w*log(p[t])",
    name="weighted_linear",
)


def logits(classes: int, rows: int = 9) -> tuple[Any, Any, Any]:
    """Logits, labels of which some are ignored where the row holds NaN and infinity, weights."""
    random = np.random.default_rng(classes)
    a, t = random.normal(size=(rows, classes)), random.integers(0, classes, rows)
    t[[1, 4, 5]] = -100
    a[1], a[4, 0], a[5, -1] = np.nan, np.inf, -np.inf
    return a, t, random.uniform(0.2, 2, classes)


@targets
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 17])
def test_ignored_rows_do_not_count(target: str, classes: int) -> None:
    """The same as without them, and exactly 0 in their gradient."""
    k = softmax(target)
    a, t, weight = logits(classes)
    kept = t != -100
    more: dict[str, Any] = {"weight": weight, "label_smoothing": 0.1}
    for reduction in ("none", "sum", "mean"):
        loss, found = k(a=a, t=t, reduction=reduction, **more)
        alone, slope = k(a=a[kept], t=t[kept], reduction=reduction, **more)
        np.testing.assert_allclose(loss[kept] if reduction == "none" else loss, alone, rtol=1e-14)
        np.testing.assert_allclose(found["a"][kept], slope["a"], rtol=1e-14)
        np.testing.assert_array_equal(found["a"][~kept], 0)
        if reduction == "none":
            np.testing.assert_array_equal(loss[~kept], 0)


@targets
def test_an_ignored_row_of_a_layer_leaves_no_trace(target: str) -> None:
    """NaN in the input of an ignored row does not reach the gradient by the params."""
    k = codegen.build(LINEAR, target)
    random = np.random.default_rng(0)
    x, W, t = random.normal(size=(9, 4)), random.normal(size=(3, 4)), random.integers(0, 3, 9)
    t[[0, 7]] = -100
    kept = t != -100
    x[0], x[7] = np.nan, np.inf
    loss, found = k(x=x, W=W, t=t, reduction="mean")
    alone, slope = k(x=x[kept], W=W, t=t[kept], reduction="mean")
    np.testing.assert_allclose(loss, alone, rtol=1e-14)
    np.testing.assert_allclose(found["W"], slope["W"], rtol=1e-13)
    np.testing.assert_array_equal(found["x"][~kept], 0)


@targets
@pytest.mark.parametrize("t", [[-100, -100], [], [1, 1]], ids=["ignored", "empty", "weight 0"])
def test_the_mean_of_nothing(target: str, t: list[int]) -> None:
    k = softmax(target)
    a, weight = np.ones((len(t), 3)), np.array([1.0, 0, 1])
    for empty, expected in (("nan", np.nan), ("zero", 0.0)):
        labels = np.array(t, int)
        loss, found = k(a=a, t=labels, weight=weight, reduction="mean", on_empty=empty)
        np.testing.assert_array_equal(loss, expected)
        np.testing.assert_array_equal(found["a"], 0 * a)
    assert k(a=a, t=labels, weight=weight, reduction="sum")[0] == 0
    np.testing.assert_array_equal(k(a=a, t=labels, weight=weight)[0], 0 * a[:, 0])


@targets
def test_any_integer_may_mark_what_is_ignored(target: str) -> None:
    k = softmax(target)
    a = np.arange(9.0).reshape(3, 3) % 4
    for mark in (0, 2, 7, -1, 2**31 - 1):
        t = np.array([1, mark, 1])
        loss, found = k(a=a, t=t, ignore_index=mark)
        assert loss[1] == 0
        np.testing.assert_array_equal(found["a"][1], 0)
        assert np.all(loss[[0, 2]] > 0)


@targets
@pytest.mark.parametrize("label", [-1, 3, 100])
def test_a_label_neither_valid_nor_ignored(target: str, label: int) -> None:
    k = softmax(target)
    message = rf"^t: row 2 holds the label {label}, expected 0 <= label < 3 or -100$"
    with pytest.raises(ValueError, match=message):
        k(a=np.zeros((4, 3)), t=np.array([0, -100, label, 2]))
    with pytest.raises(TypeError, match=r"^ignore_index: expected integer labels"):
        k(a=np.zeros((1, 3)), t=np.array([0]), ignore_index=0.5)


@targets
def test_a_const_left_out_is_filled(target: str) -> None:
    k = codegen.build(derive.load("weighted_sigmoid_cross_entropy"), target)
    given = {"z": np.array([[0.5, -1]]), "y": np.array([[1.0, 0]])}
    one = np.ones(2)
    loss, found = k(**given)
    again, same = k(**given, weight=one, pos_weight=one)
    np.testing.assert_array_equal(loss, again)
    np.testing.assert_array_equal(found["z"], same["z"])
    with pytest.raises(ValueError, match=r"^pos_weight: expected shape \(2,\), found \(3,\)$"):
        k(**given, pos_weight=np.ones(3))


@targets
def test_the_mean_by_a_number(target: str) -> None:
    """The sum of the losses over that of the weights, also where these are all the same."""
    text = "z: input\nc: const > 0 = 2\nL: mean(c) = z**2"
    k = codegen.build(derive.parse(text, name="constant_weight"), target)
    loss, found = k(z=np.array([1.0, 2, 3]), reduction="mean")
    np.testing.assert_allclose(loss, 14 / 6, rtol=1e-15)
    np.testing.assert_allclose(found["z"], [2 / 6, 4 / 6, 1], rtol=1e-15)


@targets
@pytest.mark.parametrize("weight", ["v", "v**2"])
def test_the_mean_by_an_argument(weight: str, target: str) -> None:
    """Weights of samples as the caller gives them, with 0 and an infinite loss among them."""
    text = f"z: input\nv: target >= 0\nL: mean({weight}) = {weight}*exp(z)"
    k = codegen.build(derive.parse(text, name="weighted_rows"), target)
    z, v = np.array([0.0, 1, 1000, 2]), np.array([1.0, 2, 0, 3])
    w = v if weight == "v" else v**2
    expected = np.array([1, np.e, 0, np.e**2]) * w / w.sum()
    loss, found = k(z=z, v=v, reduction="mean")
    np.testing.assert_allclose(loss, expected.sum(), rtol=1e-15)
    np.testing.assert_allclose(found["z"], expected, rtol=1e-15)


@targets
def test_every_file_states_how_the_mean_divides(target: str) -> None:
    for name, words in (("weighted_softmax", "by the sum of w"), ("weighted_sigmoid", "by N")):
        files = codegen.build(derive.load(f"{name}_cross_entropy"), target).files
        assert any(words in text for text in files.values())
