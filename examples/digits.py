"""A linear softmax classifier of handwritten digits, trained with a generated kernel.

The data are the 1797 images that scikit-learn brings along.  Loss and gradients come from the
kernel that pminusy generates from weight_decay.loss, the optimizer is SciPy's L-BFGS or plain
gradient descent, and scikit-learn's LogisticRegression solves the same problem for comparison:
C times the summed cross-entropy plus half the squared norm of W, divided here by C times the
number of images, so that lam = 1 / (C * images).

Run it with `python examples/digits.py [--optimizer gd] [--C 1]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import codegen
import derive

LOSS = Path(__file__).with_name("weight_decay.loss")
TOLERANCE = 1e-6
Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 grey values in [0, 1], and their labels 0 to 9."""

    x_train: np.ndarray
    x_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray

    @classmethod
    def load(cls) -> Digits:
        x, y = load_digits(return_X_y=True)
        return cls(*train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y))


@dataclass(frozen=True)
class Model:
    """A trained classifier; `evaluations` counts calls of the kernel."""

    name: str
    W: np.ndarray
    b: np.ndarray
    evaluations: int = 0

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean(np.argmax(x @ self.W.T + self.b, axis=1) == y))


def objective(data: Digits, C: float) -> Objective:
    """The regularised problem and its gradient, as functions of W and b in one vector."""
    kernel = codegen.build(derive.load(str(LOSS)), target="numpy", wrt=["W", "b"], labels="index")
    lam = 1 / (C * len(data.y_train))

    def evaluate(theta: np.ndarray) -> tuple[float, np.ndarray]:
        W, b = unpack(theta)
        value, gradient = kernel(
            x=data.x_train, W=W, b=b, y=data.y_train, lam=lam, reduction="mean"
        )
        return float(value), np.append(gradient["W"], gradient["b"])

    return evaluate


def unpack(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W of shape (10, 64) and b of shape (10,)."""
    return theta[:640].reshape(10, 64), theta[640:]


def train_lbfgs(evaluate: Objective) -> Model:
    found = minimize(
        evaluate,
        np.zeros(650),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 10_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-8},
    )
    return Model("pminusy, L-BFGS", *unpack(found.x), evaluations=found.nfev)


def train_gd(evaluate: Objective, data: Digits, C: float) -> Model:
    """Gradient descent with the fixed step 1 / M, where M bounds the Hessian.

    The Hessian of the cross-entropy in the scores, diag(p) - p p', is at most 1/2.
    """
    x = np.column_stack([data.x_train, np.ones(len(data.x_train))])
    bound = np.linalg.norm(x, 2) ** 2 / (2 * len(x)) + 1 / (C * len(x))
    theta, evaluations = np.zeros(650), 0
    while evaluations < 300_000:
        _, gradient = evaluate(theta)
        evaluations += 1
        if np.max(np.abs(gradient)) < 2e-6:
            break
        theta = theta - gradient / bound
    return Model("pminusy, gradient descent", *unpack(theta), evaluations=evaluations)


def train_sklearn(data: Digits, C: float) -> Model:
    model = LogisticRegression(C=C, tol=1e-10, max_iter=100_000)
    model.fit(data.x_train, data.y_train)
    return Model("scikit-learn", model.coef_, model.intercept_)


def train(optimizer: str, data: Digits, C: float) -> tuple[Model, Model, Objective]:
    """Our model, scikit-learn's, and the problem that both solve."""
    evaluate = objective(data, C)
    ours = train_gd(evaluate, data, C) if optimizer == "gd" else train_lbfgs(evaluate)
    return ours, train_sklearn(data, C), evaluate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimizer", choices=["lbfgs", "gd"], default="lbfgs")
    parser.add_argument("--C", type=float, default=1.0, help="inverse regularisation strength")
    options = parser.parse_args(arguments)

    data = Digits.load()
    # The matrices are small: threads of the linear algebra would only wait for each other.
    with threadpool_limits(limits=1):
        ours, theirs, evaluate = train(options.optimizer, data, options.C)
    print(f"{len(data.y_train)} images to train on, {len(data.y_test)} to test on")
    print(f"{'':28}{'objective':>14}{'train':>9}{'test':>9}")
    values = []
    for model in (ours, theirs):
        values.append(evaluate(np.append(model.W, model.b))[0])
        train_accuracy = model.accuracy(data.x_train, data.y_train)
        test_accuracy = model.accuracy(data.x_test, data.y_test)
        print(f"{model.name:28}{values[-1]:14.10f}{train_accuracy:9.2%}{test_accuracy:9.2%}")
    difference = values[0] / values[1] - 1
    print(f"relative difference {difference:.1e} after {ours.evaluations} calls of the kernel")
    return 0 if abs(difference) <= TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
