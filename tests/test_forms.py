"""The choice of a form by measuring: the table, how it is made, and the arithmetic below it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy
from mpmath import mp, mpf

import codegen
import derive
from codegen.chosen import digest, selection_for, table
from codegen.explain import choice_lines
from codegen.forms import Candidate, Choice, choose, library_choices, main, updated
from codegen.points import moderate
from codegen.rounded import Rounded, cost
from codegen.rounding import rounded
from codegen.stabilize import ALL, Selection
from derive import functions

FAST = ("ranknet", "tweedie", "huber")
LOSS = derive.parse("z: input\ny: target in binary\nL = softplus(z) - y*z\n", name="one")


def test_every_library_loss_has_a_row() -> None:
    assert main([]) == 0
    assert len(table()) == len(list(library_choices()))


@pytest.mark.parametrize("name", FAST)
def test_a_row_can_be_measured_again(name: str) -> None:
    """The same figures to the last digit."""
    rows = json.loads(json.dumps(updated([name])))
    assert rows
    assert {key: table()[key] for key in rows} == rows


def test_chosen_forms_are_confirmed() -> None:
    """Every step of a form that measuring chose is checked as the others are."""
    departures = 0
    for loss, labels, key in library_choices():
        if table()[key]["chosen"] == {"without": [], "with": []}:
            continue
        departures += 1
        steps = [s for d in codegen.build(loss, labels=labels).explain for s in d.steps]
        assert steps
        assert all(step.check != "unknown" for step in steps), loss.name
    assert departures


def test_the_name_has_no_part() -> None:
    loss = derive.load("ranknet")
    renamed = replace(loss, name="other")
    assert digest(loss, ("u", "v")) == digest(renamed, ("u", "v"))
    assert selection_for(renamed, ("u", "v")) == selection_for(loss, ("u", "v"))
    assert digest(loss, ("u", "v")) != digest(loss, ("u",))
    assert digest(loss, ("u", "v")) != digest(LOSS, ("u", "v"))
    assert selection_for(LOSS, ("z",)) == ALL


def candidate(cost: int, *errors: float, without: str = "", added: str = "") -> Candidate:
    names = [str(k) for k in range(len(errors))]
    selection = Selection((without,) if without else (), (added,) if added else ())
    return Candidate(selection, cost, dict(zip(names, errors, strict=True)))


INF = math.inf
CASES: list[tuple[list[Candidate], int]] = [
    ([candidate(100, 2, 2), candidate(149, 1, 1, without="x")], 1),
    ([candidate(100, 2, 2), candidate(151, 1, 1, without="x")], 0),
    ([candidate(100, 2, 2), candidate(50, 1, 1e6, without="x")], 0),
    ([candidate(100, 2, 2), candidate(90, 2, INF, without="x")], 0),
    ([candidate(100, 2, 2), candidate(70, 2, 2, without="x")], 0),
    ([candidate(100, 2, 2), candidate(90, 2.5, 2, added="x")], 1),
    ([candidate(100, 2, 2), candidate(110, 1.5, 2, added="x")], 0),
    ([candidate(100, 2, 2), candidate(110, 1, 1, added="x")], 1),
    ([candidate(100, 900, 3), candidate(100, 800, 1, without="x")], 1),
]


@pytest.mark.parametrize(("candidates", "winner"), CASES)
def test_which_wins(candidates: list[Candidate], winner: int) -> None:
    choice = Choice(LOSS, ("z",), tuple(candidates))
    assert choice.winner is candidates[winner]
    assert choice.because


def test_a_form_that_overflows_does_not_win() -> None:
    """Nobody needs the shift at moderate logits; the regimes find where it counts."""
    choice = choose(derive.parse("a: input[K]\nL = log(sum(exp(a[k]) for k in K))\n"))
    bare = next(c for c in choice.candidates if "log-sum-exp" in c.selection.without)
    assert not choice.usable(bare)
    assert choice.winner.selection == ALL
    lines = choice_lines(choice.data())
    assert any("without 'log-sum-exp'" in line and "infinite" in line for line in lines)


EXACT: dict[type, Any] = {
    sympy.exp: mp.exp,
    sympy.log: mp.log,
    functions.log1p: mp.log1p,
    functions.expm1: mp.expm1,
    sympy.tanh: mp.tanh,
}


@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.__name__)
def test_rounded_functions(kind: type) -> None:
    """The float nearest to the number: no neighbour is nearer."""
    random = np.random.default_rng(3)
    with mp.workdps(60):
        for x in np.abs(random.normal(size=200)) * 10.0 ** random.integers(-12, 2, 200):
            exact, got = EXACT[kind](mpf(float(x))), rounded(kind, float(x))
            error = abs(mpf(got) - exact)
            assert error <= abs(mpf(math.nextafter(got, INF)) - exact)
            assert error <= abs(mpf(math.nextafter(got, -INF)) - exact)


def test_rounded_functions_at_the_ends() -> None:
    assert rounded(sympy.exp, -INF) == 0
    assert rounded(sympy.log, 0.0) == -INF
    assert rounded(functions.softplus, INF) == INF
    assert math.isnan(rounded(sympy.log, -1.0))
    assert math.isnan(rounded(functions.sigmoid, math.nan))
    assert rounded(sympy.Pow, 0.0, 0.0) == 1
    assert rounded(sympy.Pow, 0.0, -0.5) == INF


@pytest.mark.parametrize("name", ["focal", "info_nce", "dice", "multiclass_hinge", "pseudo_huber"])
def test_rounded_kernels(name: str) -> None:
    """The same numbers as NumPy's kernel, but for rounding."""
    loss = derive.load(name)
    kernel = codegen.build(loss)
    arrays = moderate(loss, {}, "float64", "rounded").finished()
    value, slopes = Rounded(kernel.kernel)(**arrays)
    wanted, grads = kernel(**arrays)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    assert slopes.keys() == grads.keys()
    for key, slope in slopes.items():
        np.testing.assert_allclose(slope, grads[key], rtol=1e-12, atol=1e-14)


def test_cost_grows_with_the_axes() -> None:
    kernel = codegen.build(derive.load("softmax_cross_entropy")).kernel
    small, large = (cost(kernel, {"N": 1, "K": size}) for size in (10, 20))
    assert small < large < 2 * small + 1
