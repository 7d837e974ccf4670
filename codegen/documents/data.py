"""A derivation as JSON, for other programs.  The schema is stable:

    loss        name of the loss
    title       what is derived, in words
    of, wrt     what is differentiated; a list of what it is differentiated by ("a[j]")
    start       the expression that the first step rewrites
    result      {"language": "p[j] - y[j]", "latex": "p_{j} - y_{j}"}
    hypotheses  list of domains that the result rests on ("y in simplex")
    lemmas      list of derivations used on the way, each with these same keys
    steps       list of {"rule", "reason", "before", "after", "hypotheses", "check", "substeps"}

Expressions are texts in the language of .loss files, but for `result.latex`.  Derivatives that
are still to be taken have no form in the language and read dL/dp[i] and d/da[j] (...).
"""

from __future__ import annotations

import json
from typing import Any

from derive.derivation import Derivation, Step
from derive.printing import language, latex


def to_json(derivation: Derivation) -> str:
    """The derivation as JSON text, indented, with a fixed order of keys."""
    return json.dumps(data(derivation), indent=2, ensure_ascii=False) + "\n"


def data(derivation: Derivation) -> dict[str, Any]:
    """The derivation as plain data, in the schema above."""
    loss, names = derivation.loss, derivation.names
    entries = names if derivation.shown is None else None  # in a product their indices are bound
    return {
        "loss": loss.name,
        "title": derivation.title,
        "of": language(derivation.of, loss, entries),
        "wrt": [language(entry, loss, entries) for entry in derivation.wrt],
        "start": language(derivation.start, loss, names),
        "result": {
            "language": derivation.formula,
            "latex": latex(derivation.result, loss, names),
        },
        "hypotheses": list(derivation.hypotheses),
        "lemmas": [data(lemma) for lemma in derivation.lemmas],
        "steps": [_step(step, derivation) for step in derivation.steps],
    }


def _step(step: Step, derivation: Derivation) -> dict[str, Any]:
    loss, names = derivation.loss, derivation.names
    return {
        "rule": step.name,
        "reason": step.reason,
        "before": language(step.before, loss, names),
        "after": language(step.after, loss, names),
        "hypotheses": list(step.hypotheses),
        "check": step.check,
        "substeps": [_step(substep, derivation) for substep in step.substeps],
    }
