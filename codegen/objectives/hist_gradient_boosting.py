"""scikit-learn's histogram gradient boosting: a BaseLoss, which is private: experimental."""

from __future__ import annotations

from codegen.objectives.objective import Library

LIBRARY = Library(
    "hist_gradient_boosting",
    "scikit-learn's HistGradientBoosting",
    "hist_gradient_boosting.py.j2",
    "sklearn",
    "scikit-learn",
    "pip install 'pminusy[sklearn]'",
    ("exact",),
)
