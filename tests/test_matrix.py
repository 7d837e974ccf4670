"""Matrix notation: its values against the index expression's, and how it reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product as cartesian
from typing import Any

import numpy as np
import pytest
from extra_losses import EXTRA
from general_losses import LOSSES, WHOLE_BATCH
from matrix_reader import Reader
from matrix_values import Values, arrays
from points import generic_point

import derive
from codegen.cli import main
from codegen.explain import stabilizations
from derive import Derivation, gradient, hessian, hvp, vjp
from derive.batch import batched, names_batch
from derive.evaluate import evaluate
from derive.loss import Loss
from derive.matrix import MatrixForm, free_order, matrix_form

SIZES = (3, 2, 4, 5)
SLOW = ("l_softmax_4",)  # its Hessian takes half a minute; l_softmax_2 has the same parts
LINEAR = "linear_softmax_cross_entropy"
ENCODED = {**{name: text for name, (_, text) in EXTRA.items()}, **LOSSES, **WHOLE_BATCH}


def variables(loss: Loss) -> list[str]:
    return [d.name for d in loss.declarations if d.role in ("input", "param")]


def form_of(derivation: Derivation) -> MatrixForm:
    form = matrix_form(derivation)
    assert form is not None
    return form


def names(form: MatrixForm, given: dict[str, Any], sizes: dict[str, int]) -> dict[str, Any]:
    """What the names of a formula's text stand for."""
    found = {form.stacked.get(name, name): value for name, value in given.items()}
    found |= {axis: np.full((1, 1), float(size)) for axis, size in sizes.items()}
    found["pi"] = np.full((1, 1), np.pi)
    for node in form.tree.walk():
        if node.op == "identity":
            found.setdefault("I", np.eye(sizes[node.shape[0]]))
            found.setdefault("Id", np.eye(sizes[node.shape[0]]))
        if node.op == "unit":
            row = np.eye(sizes[node.shape[0]])[:, [int(given[node.data][0, 0])]]
            found |= {f"{letter}_{node.data}": row for letter in "eh"}
        if node.op == "onehot":
            rows = np.eye(sizes[node.shape[1]])[given[node.data][:, 0].astype(int)]
            found |= {f"{letter}_{node.data}": rows for letter in "EH"}
    return found


def assert_right(derivation: Derivation) -> bool:
    """Whether there is a form; its tree and its text then have the values of the result."""
    form, free = matrix_form(derivation), free_order(derivation)
    if form is None:
        return False
    assert free is not None
    loss = derivation.loss
    for seed in (1, 2):
        sizes = {a.name: SIZES[(k + seed) % 4] for k, a in enumerate(loss.axes)}
        point = generic_point(loss, seed, sizes)
        given = arrays(loss, point)
        places = list(cartesian(*(range(sizes[index.axis.name]) for index in free)))
        shape = (*(sizes[index.axis.name] for index in free), 1, 1)[:2]
        wanted = np.zeros(shape)
        for place in places:
            env = dict(zip(free, place, strict=True))
            wanted[(*place, 0, 0)[:2]] = float(evaluate(loss, derivation.result, point, env).mid())
        assert np.isfinite(wanted).all()
        found = Values(sizes, given)(form.tree)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
        read = Reader(form.right["text"], names(form, given, sizes)).value()
        read = np.broadcast_to(read, shape)
        np.testing.assert_allclose(read, wanted, rtol=1e-9, atol=1e-9)
    return True


@pytest.mark.parametrize("name", derive.library())
def test_the_library_by_every_name(name: str) -> None:
    loss = derive.load(name)
    for wrt in variables(loss):
        expected = name != "cox_partial_likelihood"  # a guard over two indices
        assert assert_right(gradient(loss, wrt)) == expected
        if name not in SLOW:
            assert_right(hessian(loss, wrt))
        if not names_batch(loss):
            for reduction in ("mean", "sum"):
                assert assert_right(gradient(batched(loss, reduction), wrt))
        for definition in loss.definitions[:-1]:
            jacobian = gradient(loss, wrt, definition.entry)
            few = len(definition.entry.indices) + len(loss.tensor(wrt).axes) <= 2
            assert assert_right(jacobian) == few


@pytest.mark.parametrize("name", [name for name in ENCODED if name != "a long line"])
def test_other_losses(name: str) -> None:
    loss = derive.parse(ENCODED[name])
    for wrt in variables(loss):
        assert_right(gradient(loss, wrt))
        if not names_batch(loss):
            assert_right(gradient(batched(loss), wrt))
        for definition in loss.definitions[:-1]:
            assert_right(vjp(loss, definition.name, wrt))


UNDECIDED = ("arcface", "l_softmax_2", "l_softmax_4")  # z = max(z) is a comparison of equal balls


@pytest.mark.parametrize("name", [name for name in derive.library() if name not in UNDECIDED])
def test_values_and_stable_forms(name: str) -> None:
    loss = derive.load(name)
    for stable in stabilizations(loss):
        assert_right(stable)  # a long one has none
    expected = name != "cox_partial_likelihood"
    for definition in loss.definitions:
        assert assert_right(derive.value(loss, definition.name)) == expected


LAYERS = EXTRA["two_layer"][1]
RIDGE = "x: input[D]\nM: param[D, D]\nL = sum(x[i]*M[i, j]*x[j] for i in D for j in D)"
LASSO = "u: input[D]\nv: input\nL = v*sum(abs(u[i]) for i in D) + v*sqrt(sum(u[i]**2 for i in D))"
EMBEDDING = LOSSES["embedding"]


@pytest.mark.parametrize(
    ("derivation", "left", "right"),
    [
        (lambda: gradient(derive.load("softmax_cross_entropy"), "a"), "dL/da", "p - y"),
        (lambda: gradient(derive.load(LINEAR), "W"), "dL/dW", "(p - y) x^T"),
        (lambda: gradient(derive.load(LINEAR), "x"), "dL/dx", "W^T (p - y)"),
        (lambda: gradient(derive.load(LINEAR), "x", "p"), "dp/dx", "(diag(p) - p p^T) W"),
        (
            lambda: hessian(derive.load(LINEAR), "x"),
            "d2L/dx dx^T",
            "W^T (diag(p) - p p^T) W",
        ),
        (
            lambda: gradient(batched(derive.load(LINEAR)), "W"),
            "dJ/dW",
            "(P - Y)^T X / N",
        ),
        (
            lambda: gradient(batched(derive.load(LINEAR)), "b"),
            "dJ/db",
            "(P - Y)^T 1 / N",
        ),
        (lambda: gradient(batched(derive.load(LINEAR), "sum"), "x"), "dJ/dX", "(P - Y) W"),
        (
            lambda: vjp(derive.load("softmax_cross_entropy"), "p", "a"),
            "(dp/da)^T u",
            "p (.) (u - (p^T u)*1)",
        ),
        (
            lambda: hvp(derive.load(LINEAR), "b"),
            "(d2L/db db^T) v",
            "p (.) (v - (p^T v)*1)",
        ),
        (lambda: gradient(derive.load("am_softmax"), "c"), "dL/dc", "s*(p - e_t)"),
        (
            lambda: gradient(batched(derive.load("am_softmax")), "c"),
            "dJ/dC",
            "s*(P - E_t)/N",
        ),
        (lambda: gradient(derive.load("info_nce"), "V"), "dL/dV", "(P^T U - U)/(N*tau)"),
        (lambda: gradient(derive.parse(RIDGE), "M"), "dL/dM", "x x^T"),
        (lambda: gradient(derive.parse(EMBEDDING), "E"), "dL/dE", "2*e_t (E^T e_t - y)^T"),
        (lambda: gradient(derive.parse(LASSO), "v"), "dL/dv", "||u|| + ||u||_1"),
        (
            lambda: gradient(derive.parse(LAYERS), "h", None),
            "dL/dh",
            "W^T (p - y)",
        ),
    ],
)
def test_reads_as_an_author_writes(derivation: Any, left: str, right: str) -> None:
    form = form_of(derivation())
    assert (form.left["text"], form.right["text"]) == (left, right)


def test_the_three_styles() -> None:
    form = form_of(gradient(batched(derive.load(LINEAR)), "W"))
    assert (form.left["unicode"], form.right["unicode"]) == ("∂J/∂W", "(P − Y)ᵀ X / N")
    assert form.left["latex"] == r"\frac{\partial J}{\partial W}"
    assert form.right["latex"] == r"\frac{1}{N} (P - Y)^{\top} X"
    assert form.convention == (
        "Vectors are columns; dJ/dW has the shape of W; row n of X, Y, P is x, y, p of sample n."
    )


def test_names_do_not_clash() -> None:
    triplet = form_of(gradient(batched(derive.load("triplet")), "n"))
    assert "N" not in triplet.stacked.values()  # N is the number of samples
    loss = derive.parse("z: input[D]\nI[i] = z[i]**2\nL = sum(I[k] for k in D)")
    assert form_of(gradient(loss, "z", "I")).right["text"] == "2*diag(z)"
    loss = derive.parse("z: input[D]\nI[i] = 3*z[i]\nL = sum(I[k] for k in D)")
    assert form_of(gradient(loss, "z", "I")).right["text"] == "3*Id"


@pytest.mark.parametrize(
    "derivation",
    [
        lambda: gradient(derive.load("cox_partial_likelihood"), "z"),
        lambda: hessian(derive.load(LINEAR), "W"),
        lambda: gradient(derive.load(LINEAR), "W", "p"),
        lambda: gradient(derive.parse(LOSSES["three factors"]), "x"),
    ],
)
def test_what_has_no_matrix_form(derivation: Any) -> None:
    assert matrix_form(derivation()) is None


SCRIPT = """
import derive
from derive.matrix import matrix_form
for name in ("softmax_mse", "arcface", "focal", "dice"):
    loss = derive.load(name)
    wrt = next(d.name for d in loss.declarations if d.role == "input")
    for found in (derive.gradient(loss, wrt), derive.gradient(loss, wrt, loss.definitions[0].name)):
        form = matrix_form(found)
        print(form and (form.left, form.right, form.convention))
"""


def test_the_same_on_every_run() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "77")
    ]
    assert runs[0] == runs[1] != ""


def test_style_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "softmax_cross_entropy", "--wrt", "a", "--style", "matrix"]) == 0
    assert "Matrix form\n  ∂L/∂a = p − y\n  ∂J/∂A = (P − Y)/N\n" in capsys.readouterr().out
    assert main(["derive", "cox_partial_likelihood", "--wrt", "z", "--style", "matrix"]) == 0
    assert "There is none: too long" in capsys.readouterr().out
    assert main(["derive", "hinge", "--style", "matrix", "--to", "json"]) == 0
    row, _ = json.loads(capsys.readouterr().out)["parts"]["matrix"]["rows"]
    assert row["right"]["text"] == "-y*1[L > 0]"


def test_a_name_whose_capital_is_taken_gets_another() -> None:
    """The rows of all samples are not T, which is a const, nor t, which is one sample's."""
    text = (
        "z: input[K]\nt: target[K] in simplex\nT: const > 0 = 2\n"
        "p[i] = exp(z[i]/T)/sum(exp(z[k]/T) for k in K)\n"
        "L = -T*sum(t[i]*log(p[i]) for i in K)\n"
    )
    form = matrix_form(derive.gradient(batched(derive.parse(text), "mean"), "z"))
    assert form is not None
    assert form.right["text"] == "(P - t_all)/N"
    assert "row n of Z, t_all, P is z, t, p of sample n" in form.convention


def test_what_a_convention_says_of_samples() -> None:
    """A name may be the usual letter of a sample or of their number, and a number of each sample
    is a vector over them."""
    triplet = matrix_form(derive.gradient(batched(derive.load("triplet"), "mean"), "a"))
    assert triplet is not None
    assert triplet.right["text"] == "2*diag(1[L > 0]) (n_all - P) / N"
    assert "row i of A, P, n_all is a, p, n of sample i" in triplet.convention
    assert "entry i of L is that of sample i" in triplet.convention
    assert "1[c] is 1 where c holds and 0 elsewhere" in triplet.convention
    batch = matrix_form(derive.gradient(derive.load("info_nce"), "U"))
    assert batch is not None
    assert "row n of P is p of sample n; row n of U, V is that of sample n" in batch.convention
