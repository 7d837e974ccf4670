"""Accuracy of the NumPy kernels, measured once and kept by `python -m codegen.atlas.measured`.

`accuracy.json` holds for each loss of the library the digest of the kernels that were measured and
the worst error in each regime.  Figures of other kernels than the ones at hand are never shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from codegen.accuracy import DTYPES, measure
from derive import library, load
from derive.loss import Loss

Table = Mapping[str, Mapping[str, Sequence[float]]]  # regime, dtype: loss, gradient


@dataclass(frozen=True)
class Accuracy:
    """The worst errors of one kernel, in ULP of the terms that are summed: by regime and dtype."""

    title: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def kept(name: str, sources: Sequence[str]) -> tuple[Accuracy, ...]:
    """The figures measured for exactly these kernels; none where they are others."""
    found = _file().get(name)
    if found is None or found["digest"] != digest(sources):
        return ()
    return tuple(_shown(title, table) for title, table in found["tables"].items())


def measured(loss: Loss) -> tuple[Accuracy, ...]:
    """The same, measured now, which takes some seconds."""
    return tuple(_shown(title, table) for title, table in _tables(loss).items())


def digest(sources: Sequence[str]) -> str:
    return sha256("\n".join(sources).encode()).hexdigest()[:16]


def _tables(loss: Loss) -> dict[str, dict[str, dict[str, list[float]]]]:
    tables: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in measure(loss):
        errors = [_short(row.value_of_terms), _short(row.slope_of_terms)]
        tables.setdefault(row.loss, {}).setdefault(row.regime, {})[row.dtype] = errors
    return tables


def _short(value: float) -> float:
    return float(f"{value:.2g}")


def _shown(title: str, table: Table) -> Accuracy:
    """Loss and gradient in each dtype; a dash where a regime does not fit a dtype."""
    rows = []
    for regime, errors in table.items():
        pairs = [errors.get(dtype) for dtype in DTYPES]
        texts = [_decimals(x) if pair else "–" for pair in pairs for x in pair or (0, 0)]
        rows.append((regime, tuple(texts)))
    return Accuracy(title, tuple(rows))


def _decimals(error: float) -> str:
    return f"{error:.2f}" if error < 9.995 else f"{error:.3g}"


def _file() -> dict[str, Any]:
    text = (files("codegen") / "atlas" / "accuracy.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def update(names: Sequence[str]) -> None:
    """Measure what is not up to date, what has no figures first; the file is kept after each loss.

    A run that was cut off is continued by the next one, which measures only what is left.
    """
    from codegen.atlas.kernels import numpy_sources

    path = Path(str(files("codegen") / "atlas" / "accuracy.json"))
    for name in sorted(names, key=_file().__contains__):
        loss, known = load(name), _file()
        own = digest(numpy_sources(loss))
        if known.get(name, {}).get("digest") == own:
            continue
        known[name] = {"digest": own, "tables": _tables(loss)}
        text = ",\n".join(f"{json.dumps(n)}: {json.dumps(known[n])}" for n in sorted(known))
        whole = path.with_suffix(".new")
        whole.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
        whole.replace(path)
        print(name, flush=True)


if __name__ == "__main__":
    update(sys.argv[1:] or library())
