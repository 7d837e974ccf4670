"""XGBoost: obj(predt, dtrain), and the form of its scikit-learn estimators."""

from __future__ import annotations

from codegen.objectives.objective import Library

LIBRARY = Library(
    "xgboost",
    "XGBoost",
    "xgboost.py.j2",
    "xgboost",
    "xgboost",
    "pip install 'pminusy[xgboost]'",
    ("diagonal-bound",),
)
