"""The table of chosen forms: by which rules a loss is made stable, where measuring has decided.

`python -m codegen.forms --update` makes it; a loss without a row uses every rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from codegen.stabilize import ALL, Selection
from derive.loss import Declaration, Loss
from derive.printing import language

TABLE = Path(__file__).with_name("forms.json")
Row = dict[str, Any]


@lru_cache(maxsize=1)
def table() -> dict[str, Row]:
    """The rows by digest; none where there is no table."""
    if not TABLE.exists():
        return {}
    rows: dict[str, Row] = json.loads(TABLE.read_text("utf-8"))["rows"]
    return rows


def selection_for(loss: Loss, wrt: Sequence[str]) -> Selection:
    """The rules that were chosen for a loss and its gradients; every rule where none were."""
    row = table().get(digest(loss, wrt))
    return ALL if row is None else read(row["chosen"])


def read(data: Row) -> Selection:
    return Selection(tuple(data["without"]), tuple(data["with"]), data.get("compensated", False))


def digest(loss: Loss, wrt: Sequence[str]) -> str:
    """A key made of what is declared, defined and differentiated by; the name has no part."""
    lines = [_declared(d) for d in loss.declarations]
    lines += [f"{language(d.entry, loss)} = {language(d.body, loss)}" for d in loss.definitions]
    text = "\n".join([*lines, *wrt])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _declared(declaration: Declaration) -> str:
    tensor, domain = declaration.tensor, declaration.domain
    axes = ",".join(axis.name for axis in tensor.axes)
    bounds = f"{domain.lower} {domain.lower_open} {domain.upper} {domain.upper_open}"
    kind = f"{declaration.role} {domain.kind} {tensor.label} {bounds} {declaration.default}"
    return f"{tensor.name}[{axes}]: {kind}"
