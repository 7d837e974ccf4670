"""LightGBM with the focal loss on an imbalanced table of real digits: is it an 8?

Out of folds, beside LightGBM's own logistic objective and another focal gamma; needs lightgbm
and scikit-learn.

  python examples/focal_boosting.py
"""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, brier_score_loss
from sklearn.model_selection import StratifiedKFold

import codegen
import derive

PARAMS = {"verbosity": -1, "num_threads": 1, "num_leaves": 15, "min_data_in_leaf": 5}
ROUNDS = 60


def scores_of(table: Any, y: Any, held: Any, objective: Any) -> Any:
    """Raw scores of the held-out rows; None stands for LightGBM's own objective."""
    if objective is None:
        model = lgb.train({**PARAMS, "objective": "binary"}, lgb.Dataset(table, y), ROUNDS)
        return model.predict(held, raw_score=True)
    start = objective.initial_score(y)
    data = lgb.Dataset(table, y, init_score=np.full(len(y), start))
    model = lgb.train({**PARAMS, "objective": objective}, data, ROUNDS)
    return model.predict(held, raw_score=True) + start


def main() -> None:
    table, digit = load_digits(return_X_y=True)
    y = (digit == 8).astype(float)
    made = codegen.objective(derive.load("binary_focal"), "lightgbm")
    print(f"{len(y)} rows, {y.mean():.1%} positive; Hessian policy {made.policy.name}")
    focal = made.functions["Objective"]
    rows = {"LightGBM's binary": None, "focal, gamma = 1": focal(gamma=1.0), "gamma = 2": focal()}
    judge = focal()
    for name, objective in rows.items():
        found = np.empty(len(y))
        for train, held in StratifiedKFold(5, shuffle=True, random_state=0).split(table, y):
            found[held] = scores_of(table[train], y[train], table[held], objective)
        precision = average_precision_score(y, found)
        loss = judge.derivatives(found, y)[0].mean()
        brier = brier_score_loss(y, judge.link(found))
        figures = f"average precision {precision:.4f}, focal loss {loss:.5f}, Brier {brier:.4f}"
        print(f"{name:<18} {figures}")


if __name__ == "__main__":
    main()
