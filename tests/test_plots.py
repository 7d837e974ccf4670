"""Pictures: drawn for every loss of the library, the same on every run, and right."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import derive
from codegen.cli import main
from codegen.plots import curves, fields
from codegen.plots.paper import saved
from codegen.plots.scene import Scene
from derive.errors import PminusyError

pytest.importorskip("matplotlib")


def movable() -> list[tuple[str, str]]:
    """Every library loss that is of one sample, with its first input."""
    found = []
    for name in derive.library():
        loss = derive.load(name)
        wrt = next(d.name for d in loss.declarations if d.role in ("input", "param"))
        if not derive.batch.names_batch(loss):
            found.append((name, wrt))
    return found


@pytest.mark.parametrize(("name", "wrt"), movable())
def test_the_curve_of_every_loss_is_its_own_slope(name: str, wrt: str) -> None:
    """The lower curve is the derivative of the upper one, off the kinks."""
    scene = Scene(derive.load(name), wrt)
    xs, losses, slopes = curves.along(scene)
    assert np.isfinite(losses).all() and np.isfinite(slopes).all()
    middle = (losses[2:] - losses[:-2]) / (xs[2:] - xs[:-2])
    close = np.isclose(middle, slopes[1:-1], rtol=2e-2, atol=1e-9 + 2e-2 * np.abs(slopes).max())
    assert close.mean() > 0.97
    text = saved(curves.margin([scene]), "svg")
    assert ElementTree.fromstring(text).tag.endswith("svg")


def test_the_second_derivatives_are_those_of_the_formula() -> None:
    scene = Scene(derive.load("softmax_cross_entropy"), "a")
    page = fields.jacobian(scene)
    p = np.exp([1.0, 0.0, -1.0]) / np.exp([1.0, 0.0, -1.0]).sum()
    shown = [np.asarray(axes.images[0].get_array()) for axes in page.axes if axes.images]
    for table in shown[:2]:
        np.testing.assert_allclose(table, np.diag(p) - np.outer(p, p), rtol=1e-12)
    texts = [text.get_text() for text in page.axes[0].texts]
    assert texts[0] == f"{p[0] * (1 - p[0]):.2f}"
    # The sign does not hang on the colour: what is below 0 is hatched, and only that.
    hatched = {patch.get_xy() for patch in page.axes[0].patches if patch.get_hatch()}
    assert hatched == {(j - 0.5, i - 0.5) for i in range(3) for j in range(3) if i != j}
    assert page.get_suptitle() == "at $a$ = (1, 0, −1); hatched: below 0"


def test_concave_parts_are_shaded() -> None:
    """Squared error through a sigmoid bends down far off; cross-entropy does nowhere."""

    def shaded(name: str) -> int:
        page = curves.margin([Scene(derive.load(name), "z")])
        return sum(len(c.get_paths()) for c in page.axes[1].collections)

    assert shaded("sigmoid_mse") > 0
    assert shaded("sigmoid_cross_entropy") == 0


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
@pytest.mark.parametrize("kind", ["margin", "surface", "simplex", "jacobian"])
def test_a_picture_is_the_same_on_every_run(kind: str, form: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.{form}" for number in (1, 2)]
    for file in files:
        assert main(["plot", "softmax_cross_entropy", "--kind", kind, "-o", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_sweep_has_one_curve_for_each_value() -> None:
    page = curves.sweep(Scene(derive.load("focal"), "z"), "gamma", [0, 2])
    upper = page.axes[0]
    assert [text.get_text() for text in upper.get_legend().get_texts()] == [
        r"$\gamma$ = 0",
        r"$\gamma$ = 2",
    ]
    plain = Scene(derive.load("focal"), "z", {"gamma": 0})
    np.testing.assert_array_equal(upper.lines[0].get_ydata(), curves.along(plain)[1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cox_partial_likelihood", "-o", "x.svg"], "couples the samples"),
        (["huber", "--kind", "surface", "-o", "x.svg"], "needs two"),
        (["huber", "--kind", "simplex", "-o", "x.svg"], "three classes"),
        (["huber", "--wrt", "q", "-o", "x.svg"], "no input or param 'q'"),
        (["huber", "--sweep", "q=1,2", "-o", "x.svg"], "no const 'q' to sweep; there are d"),
        (["huber", "--sweep", "d=1,two", "-o", "x.svg"], "'two' is not a number"),
        (["huber", "--sweep", "d=1,-1", "-o", "x.svg"], "d = -1 is outside its domain"),
        (["huber", "--set", "d=inf", "-o", "x.svg"], "'inf' is not a number"),
        (["huber", "--set", "d", "-o", "x.svg"], "'d' has no value: write d=2"),
        (["huber", "-o", "x.gif"], "ends in .svg"),
        (["huber", "focal", "--kind", "simplex", "-o", "x.svg"], "margins only"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path(words[-1]).exists()


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(PminusyError, match="no picture format"):
        saved(curves.margin([Scene(derive.load("huber"), "z")]), "gif")
