"""Draws why the squared error learns slowly at first and the cross-entropy does not.

Loss and gradient of both, on one logit whose label is 1, come from generated kernels.
Run it with `python examples/saturation.py [out/saturation.svg]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

import codegen
import derive

matplotlib.use("Agg")
from matplotlib import pyplot as plt

CURVES = {
    "sigmoid_cross_entropy": "cross-entropy: p − y",
    "sigmoid_mse": "squared error: (p − y) p (1 − p)",
}


def gradients(z: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient of each loss in the logit, where the label is 1."""
    found = {}
    for name in CURVES:
        kernel = codegen.build(derive.load(name), target="numpy", wrt=["z"])
        _, gradient = kernel(z=z, y=np.ones_like(z))
        found[name] = gradient["z"]
    return found


def main(path: str = "out/saturation.svg") -> None:
    z = np.linspace(-10, 10, 401)
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, gradient in gradients(z).items():
        axes.plot(z, -gradient, label=CURVES[name])
    axes.set(xlabel="logit z (label 1)", ylabel="size of the gradient in z")
    axes.legend()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # No date and fixed identifiers: the same picture is the same file.
    matplotlib.rcParams["svg.hashsalt"] = "pminusy"
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)
    print(f"{path}: at z = -10 the gradients are", *(f"{g[0]:.2g}" for g in gradients(z).values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
