"""The files in examples/ are read, run and draw what they say."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import derive

LOSSES = sorted((Path(__file__).parent.parent / "examples").glob("*.loss"))


@pytest.mark.parametrize("path", LOSSES, ids=lambda path: path.stem)
def test_example_loss_is_read(path: Path) -> None:
    assert derive.load(str(path)).name == path.stem


def test_picture_of_the_two_gradients(tmp_path: Path) -> None:
    saturation = pytest.importorskip("saturation")
    found = saturation.gradients(np.array([-10.0, 0.0]))
    p = 1 / (1 + np.exp([10.0, 0.0]))
    assert found["sigmoid_cross_entropy"] == pytest.approx(p - 1, rel=1e-12)
    assert found["sigmoid_mse"] == pytest.approx((p - 1) * p * (1 - p), rel=1e-12)
    pictures = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for picture in pictures:
        saturation.main(str(picture))
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_demo(root: Path) -> None:
    pytest.importorskip("sklearn")
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["sh", "examples/demo.sh"],
        cwd=root,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("∂L/∂aⱼ = pⱼ − yⱼ", "proved", "refuted", "0.0229", "relative difference"):
        assert word in done.stdout
