"""Arrays for the names of a loss, drawn from their domains."""

from __future__ import annotations

import ast
from fractions import Fraction
from typing import Any

import numpy as np

from derive.batch import PER_SAMPLE, names_batch
from derive.evaluate import evaluate
from derive.loss import Loss
from derive.point import Point
from derive.printing import language

SIZES = {"N": 4, "K": 3, "D": 2}


def arrays(
    loss: Loss, sizes: dict[str, int] = SIZES, batch: bool = True, seed: int = 0
) -> dict[str, Any]:
    """A float64 array (or labels) for each declared name; a default where there is one."""
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for declaration in loss.declarations:
        if declaration.is_mark:
            found[declaration.name] = np.int64(declaration.default or -100)
            continue
        if declaration.default is not None and not declaration.tensor.axes:
            found[declaration.name] = np.float64(declaration.default)
            continue
        tensor = declaration.tensor
        own = batch and declaration.role in PER_SAMPLE and not names_batch(loss)
        leading = (sizes["N"],) if own else ()
        shape = leading + tuple(sizes[axis.name] for axis in tensor.axes)
        found[declaration.name] = _draw(rng, declaration, shape, sizes)
    return found


def _draw(rng: Any, declaration: Any, shape: tuple[int, ...], sizes: dict[str, int]) -> Any:
    domain, label = declaration.domain, declaration.tensor.label
    if label is not None:
        return rng.integers(0, sizes[label.name], shape)
    if domain.kind == "simplex":
        return rng.dirichlet(np.full(shape[-1], 5.0), shape[:-1])
    if domain.kind == "unit":
        return rng.uniform(0.05, 0.95, shape)
    if domain.kind in ("binary", "sign"):
        lower = 0.0 if domain.kind == "binary" else -1.0
        return rng.choice([lower, 1.0], shape)
    if domain.lower is not None and domain.upper is not None:
        lower, upper = float(domain.lower), float(domain.upper)
        return lower + (upper - lower) * rng.uniform(0.05, 0.95, shape)
    if domain.lower is not None:
        return float(domain.lower) + rng.uniform(0.1, 2, shape)
    return rng.normal(0, 1, shape)


def divisor(loss: Loss, given: dict[str, Any], count: int) -> float:
    """What the mean over so many samples divides by: their number, or their weights in balls."""
    if loss.weight is None:
        return count
    total = 0.0
    for n in range(count):
        point = {}
        for d in loss.declarations:
            row = np.asarray(given[d.name][n] if d.role in PER_SAMPLE else given[d.name])
            places = np.ndindex(row.shape)
            point[d.name] = {place: Fraction(float(row[place])) for place in places}
        total += float(evaluate(loss, loss.weight, Point({}, point)).mid())
    return total


def with_coined(text: str, loss: Loss) -> str:
    """The text with the definitions that the derivation gave names to."""
    if not any(definition.coined for definition in loss.definitions):
        return text
    statements = (node for node in ast.parse(text).body if isinstance(node, ast.AnnAssign))
    kept = [ast.unparse(node) for node in statements if not isinstance(node.annotation, ast.Call)]
    kept += [f"{language(d.entry, loss)} = {language(d.body, loss)}" for d in loss.definitions]
    return "\n".join(kept) + "\n"
