"""The main job on real input: with the generated kernel one trains as well as scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")
digits = pytest.importorskip("digits")


@pytest.mark.parametrize(
    ("optimizer", "C", "least"),
    [("lbfgs", "1", 0.95), ("lbfgs", "100", 0.95), ("gd", "0.01", 0.90)],
)
def test_objective_is_that_of_scikit_learn(
    capsys: pytest.CaptureFixture[str], optimizer: str, C: str, least: float
) -> None:
    """Within 1e-6 relative, else the script ends with 1; then the accuracy on new images."""
    assert digits.main(["--optimizer", optimizer, "--C", C]) == 0
    [ours] = [line for line in capsys.readouterr().out.splitlines() if "pminusy" in line]
    assert float(ours.split()[-1].rstrip("%")) / 100 > least


def test_gradient_agrees_with_finite_differences() -> None:
    evaluate = digits.objective(digits.Digits.load(), C=1.0)
    theta, direction = np.random.default_rng(0).normal(size=(2, 650)) / 10
    _, gradient = evaluate(theta)
    h = 1e-5
    slope = (evaluate(theta + h * direction)[0] - evaluate(theta - h * direction)[0]) / (2 * h)
    assert slope == pytest.approx(gradient @ direction, rel=1e-7)
