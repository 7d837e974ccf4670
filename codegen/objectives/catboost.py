"""CatBoost: an object with calc_ders_range or calc_ders_multi, which maximises."""

from __future__ import annotations

from codegen.objectives.objective import Library

LIBRARY = Library(
    "catboost",
    "CatBoost",
    "catboost.py.j2",
    "catboost",
    "catboost",
    "pip install 'pminusy[catboost]'",
    ("exact",),
    matrix=True,
)
