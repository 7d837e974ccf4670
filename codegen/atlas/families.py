"""Which family a loss belongs to, by what it takes: its inputs, its targets and their axes."""

from __future__ import annotations

from derive.batch import names_batch
from derive.loss import Declaration, Loss

CLASSES = "Several classes"
MARGINS = "Several classes, from cosines"
BINARY = "Two classes"
REGRESSION = "Regression"
MASKS = "Many outputs at once"
PAIRS = "Pairs, triplets and batches"
LAYERS = "With a linear layer"
DISTRIBUTIONS = "Distributions"
FAMILIES = (CLASSES, MARGINS, BINARY, REGRESSION, MASKS, PAIRS, LAYERS, DISTRIBUTIONS)


def family(loss: Loss) -> str:
    """One of FAMILIES."""
    inputs = [d for d in loss.declarations if d.role == "input"]
    targets = [d for d in loss.declarations if d.role == "target"]
    if any(d.role == "param" for d in loss.declarations):
        return LAYERS
    if names_batch(loss) or len(inputs) != 1:
        return PAIRS
    given = inputs[0]
    if not given.tensor.axes:
        return BINARY if any(map(_is_class, targets)) else REGRESSION
    if given.domain.kind == "simplex" or not targets:
        return DISTRIBUTIONS
    if any(t.tensor.label or t.domain.kind == "simplex" for t in targets):
        return MARGINS if _is_bounded(given) else CLASSES
    return CLASSES if all(t.domain.kind == "real" for t in targets) else MASKS


def _is_class(target: Declaration) -> bool:
    return target.domain.kind in ("binary", "sign", "unit")


def _is_bounded(given: Declaration) -> bool:
    return given.domain.lower is not None and given.domain.upper is not None
