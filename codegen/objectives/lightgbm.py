"""LightGBM: params["objective"] = f(preds, dataset), and the form of its estimators."""

from __future__ import annotations

from codegen.objectives.objective import Library

LIBRARY = Library(
    "lightgbm",
    "LightGBM",
    "lightgbm.py.j2",
    "lightgbm",
    "lightgbm",
    "pip install 'pminusy[lightgbm]'",
    ("friedman",),
)
