"""What is multiplied by 0 where it has no value is written as a choice, so that programs have 0."""

from __future__ import annotations

import math

import pytest

import derive
from derive.evaluate import Evaluator
from derive.given import given_point

POWER = "z: input\ny: target in sign\ng: const >= 1 = 1.5\nL = max(0, 1 - y*z)**g\n"
CLIPPED = """z: input
y: target in binary
g: const >= 1 = 4
m: const = 0.05
p = sigmoid(z)
q = max(p - m, 0)
L = -y*log(p) - (1 - y)*q**g*log(1 - q)
"""

FORMS = [
    (POWER, 1, "-g*y*(1 - y*z)**(g - 1) if 1 - y*z > 0 else 0"),
    (POWER, 2, "g*(g - 1)*(1 - y*z)**(g - 2) if 1 - y*z > 0 else 0"),
    ("z: input\nL = max(0, z)**2\n", 2, "2*(1 if z > 0 else 0)"),
    ("z: input\nm: const > 0 = 1\nL = max(0, m - z)/m\n", 1, "-(1 if m - z > 0 else 0)/m"),
]


@pytest.mark.parametrize(("text", "order", "form"), FORMS)
def test_a_choice_for_a_factor(text: str, order: int, form: str) -> None:
    found = derive.higher(derive.parse(text), *["z"] * order)
    found.replay()
    assert found.formula == form


def test_plain_python_has_no_nan() -> None:
    found = derive.gradient(derive.parse(POWER), "z").formula
    at = {"y": 1, "g": 1.5}
    assert eval(found, {}, {**at, "z": 0.75}) == -1.5 * 0.5
    for z in (1, 2, 1e9):
        value = eval(found, {}, {**at, "z": z})
        assert value == 0 and not math.isnan(value)


@pytest.mark.parametrize("order", [1, 2])
def test_nothing_is_divided_by_what_a_choice_keeps_away(order: int) -> None:
    """q is 0 for all z below some number; factored, the second derivative divided by q there."""
    found = derive.higher(derive.parse(CLIPPED), *["z"] * order)
    found.replay()
    point = given_point(found.loss, ["z=-9", "y=0", "g=1", "m=0.5"])
    assert Evaluator(found.loss, point)(found.result, {}) == 0
