"""What a reader sees: lines that break well, one way to write indices, signs that are explained.

The losses are such as people write: long names, a mask, a temperature, two layers.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sympy import Function

import derive
from codegen import build
from codegen.atlas.sliders import arguments, sizes
from codegen.cli import main
from codegen.documents import PAGE_PARTS, write
from codegen.documents.notation import MEANINGS
from codegen.documents.text import broken
from codegen.plots.curves import line_label, slope_label
from codegen.plots.scene import Scene
from derive import functions
from derive.derivation import Derivation
from derive.printing import latex, unicode

LAYERS = '''"""Masked cross-entropy with a temperature, of a classifier with two layers."""
features: input[D]
hidden_weights: param[H, D]
hidden_bias: param[H]
output_weights: param[K, H]
temperature: const > 0 = 0.5
mask: const[K] in unit = 1
labels: target[K] in simplex

hidden[h] = tanh(sum(hidden_weights[h, d] * features[d] for d in D) + hidden_bias[h])
logits[k] = sum(output_weights[k, h] * hidden[h] for h in H) / temperature
probabilities[k] = exp(logits[k]) / sum(exp(logits[c]) for c in K)
loss = -sum(mask[k] * labels[k] * log(probabilities[k]) for k in K)
'''
MARGIN = '''"""Direct preference optimisation."""
log_prob_chosen: input
log_prob_rejected: input
beta: const > 0 = 0.1
penalty_weight: const >= 0 = 0.01

reward_margin = beta * (log_prob_chosen - log_prob_rejected)
total_loss = softplus(-reward_margin) + penalty_weight * reward_margin ** 2
'''


@pytest.fixture(scope="module")
def layers() -> Derivation:
    return derive.gradient(derive.parse(LAYERS, "layers"), "features")


def test_a_formula_breaks_before_signs_and_never_among_indices(layers: Derivation) -> None:
    for width in (100, 80, 72):
        text = write(layers, "text", width=width)
        for line in text.split("dloss/")[0].partition("Lemma 1")[2].splitlines():
            assert len(line) <= width, line
            assert line.count("[") == line.count("]"), line
            words = re.sub(r"  +\S.*$", "", line.lstrip(" │")).rstrip(" │")
            assert not re.search(r"( [+−·]|·|Σ_\w)$", words), line


@pytest.mark.parametrize("room", [30, 45, 60, 90])
@pytest.mark.parametrize("name", ["jensen_shannon", "arcface", "tversky", "focal"])
def test_nothing_is_lost_in_breaking(name: str, room: int) -> None:
    loss = derive.load(name)
    found = derive.gradient(loss, loss.declarations[0].name)
    for step in found.all_steps():
        formula = unicode(step.after, loss)
        lines = broken(formula, room)
        assert "".join("".join(lines).split()) == "".join(formula.split())
        assert all(lines)


def test_indices_are_written_in_one_way(layers: Derivation) -> None:
    """d and c have no subscripts in Unicode: then no index has."""
    text = write(layers, "text", parts=("matrix", "example"))
    assert "hidden[h]" in text and "Σ_k" in text
    assert not re.search("[ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ]", text)
    assert "pᵢ" in write(derive.gradient(derive.load("focal"), "z"), "text")


def test_a_derivation_fits_the_terminal_it_is_shown_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def longest(columns: int, terminal: bool) -> int:
        monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
        monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
        assert main(["derive", "jensen_shannon"]) == 0
        body = capsys.readouterr().out.split("The loss")[1].split("dL/dz")[0]
        return max(map(len, body.splitlines()))

    wide = longest(100, False)
    assert wide > 80
    assert longest(60, False) == wide  # a pipe is as wide wherever it runs
    assert longest(60, True) <= 60
    assert longest(200, True) == wide


@pytest.mark.parametrize("to", ["html", "latex", "markdown"])
def test_signs_are_explained_where_they_are_used(to: str) -> None:
    hinge = write(derive.gradient(derive.load("triplet"), "a"), to)
    assert "holds and 0 elsewhere" in hinge
    plain = write(derive.gradient(derive.load("tweedie"), "z"), to)
    assert "elsewhere" not in plain
    own = derive.parse("x: input[K]\ndelta: param[K]\nL = sum(delta[i]*exp(x[i]) for i in K)\n")
    found = write(derive.gradient(own, "x"), to, detail="brief")
    assert "elsewhere" not in found  # this delta is the author's


@pytest.mark.parametrize(
    "function", [one for one in vars(functions).values() if isinstance(one, type(functions.step))]
)
def test_a_function_that_textbooks_do_not_know_is_explained(function: Any) -> None:
    loss = derive.load("hinge")
    entry = loss.tensor("z")[()]
    if function is Function or function in (functions.largest, functions.smallest):
        return
    named = re.match(r"\\operatorname{\w+}\(|\\psi\(|\\sigma\(|.*\[", latex(function(entry), loss))
    assert named is None or named[0] in [mark for mark, _, _ in MEANINGS]


def test_what_is_said_of_the_loss_is_said_once_after_all_gradients() -> None:
    loss = derive.parse(LAYERS, "layers")
    first, *others = (derive.gradient(loss, d.name) for d in loss.declarations[:4])
    text = write(first, "markdown", parts=PAGE_PARTS, others=others)
    headings = re.findall("^## (.*)$", text, re.M)
    assert [headings.count(one) for one in ("Result", "Stable form", "Properties")] == [4, 1, 1]
    assert headings[-4:] == [
        "Stable form",
        "Properties",
        "A numerical example",
        "What was proved, and how",
    ]
    for name in ("features", "hidden_weights", "output_weights"):
        assert rf"convex in {name}".replace("_", r"\_") in text
        shown = name.replace("_", r"\_")
        slope = rf"\frac{{\partial \mathrm{{loss}}}}{{\partial \mathrm{{{shown}}}_{{00}}}}"
        assert name == "features" or slope in text[text.index("## A numerical") :]


def test_numbers_over_a_batch_are_vectors() -> None:
    """One number's matrix form is its formula, which is not said twice."""
    found = derive.gradient(derive.parse(MARGIN, "margin"), "log_prob_chosen")
    text = write(found, "text", parts=("matrix",)).partition("Matrix form")[2]
    assert "∂total_loss" not in text and "∂J/∂log_prob_chosen = " in text
    assert "Vectors are columns" in text and "Every quantity is a number" not in text
    assert "entry n of log_prob_chosen, reward_margin is that of sample n" in " ".join(text.split())


def test_a_part_that_does_not_exist_is_left_out_unless_it_is_asked_for() -> None:
    found = derive.gradient(derive.load("cox_partial_likelihood"), "z")
    assert "Matrix form" not in write(found, "html", parts=PAGE_PARTS)
    assert "There is none" in write(found, "html", parts=("matrix",))


@pytest.mark.parametrize(("name", "kinked"), [("triplet", True), ("focal", False), ("huber", True)])
def test_a_second_derivative_says_where_it_holds(name: str, kinked: bool) -> None:
    loss = derive.load(name)
    found = derive.gradient(loss, loss.declarations[0].name)
    assert ("away from where a condition" in write(found, "text", parts=("second",))) == kinked


def test_a_variable_twice_is_a_square() -> None:
    found = derive.gradient(derive.load("sigmoid_cross_entropy"), "z")
    assert "∂²L/∂z² = p·(1 − p)" in write(found, "text", parts=("second",))
    assert r"\frac{\partial^{2} L}{\partial z^{2}}" in write(found, "latex", parts=("second",))


def test_properties_say_their_numbers() -> None:
    found = derive.gradient(derive.load("sigmoid_cross_entropy"), "z")
    page = write(found, "html", parts=("properties",))
    assert "∂L/∂z tends to 1 − y as z → ∞" in page
    assert "∂L/∂z tends to −y as z → −∞" in page
    assert "∂L/∂z lies between −1 and 1" in page


def test_a_picture_says_what_is_in_it() -> None:
    loss = derive.parse(LAYERS, "layers")
    scene = Scene(loss, "features")
    label = line_label(scene)
    assert "target class" not in label and "hidden\\_weights" in label
    assert slope_label(scene) == r"$\partial {\mathrm{loss}}/\partial {\mathrm{features}_{0}}$"
    assert "target class" in line_label(Scene(derive.load("softmax_cross_entropy"), "a"))


@pytest.mark.parametrize("name", ["linear_softmax_cross_entropy", "triplet", "ranknet"])
def test_a_picture_shows_a_slope(name: str) -> None:
    """Names that stay are not all alike: else a layer, or a distance, would show a flat line."""
    loss = derive.load(name)
    for declaration in loss.declarations:
        if declaration.role in ("input", "param"):
            scene = Scene(loss, declaration.name)
            points = np.zeros((3, *scene.shape)) + np.asarray(scene.values[scene.wrt])
            points.reshape(3, -1)[:, 0] = (-2, 0, 2)
            assert np.any(scene.at(points)[1])


@pytest.mark.parametrize("name", derive.library())
def test_the_sliders_start_where_there_is_a_slope(name: str) -> None:
    loss = derive.load(name)
    function = build(loss)
    controls, count = arguments(loss, function), sizes(loss)
    given: dict[str, Any] = {}
    for declaration, control in zip(loss.declarations, controls, strict=True):
        shape = tuple(count[axis.name] for axis in declaration.tensor.axes)
        numbers = np.resize([float(text) for text in control["start"]], shape)
        label = declaration.tensor.label is not None
        given[declaration.name] = numbers.astype(np.int64) if label else numbers
    names_batch = any(axis.name == "N" for axis in loss.axes)
    for declaration in loss.declarations:
        if declaration.role in ("input", "target") and not names_batch:
            given[declaration.name] = given[declaration.name][np.newaxis]
    assert any(np.any(slope) for slope in function(**given)[1].values())


def test_a_page_of_long_names_fits_a_phone(tmp_path: Path, require: Callable[[str], str]) -> None:
    api = pytest.importorskip("playwright.sync_api")
    program = require("chromium")
    loss = derive.parse(LAYERS.replace("mask", "positions_that_are_not_padding"), "layers")
    page = tmp_path / "page.html"
    first, *others = (derive.gradient(loss, d.name) for d in loss.declarations[:4])
    page.write_text(write(first, "html", parts=PAGE_PARTS, others=others), encoding="utf-8")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for width in (360, 1280):
            window = browser.new_page(viewport={"width": width, "height": 800})
            window.goto(page.as_uri())
            assert window.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
