"""Every generated target on the same loss: softmax cross-entropy with labels, loss and gradient.

    python bench/targets.py [--only ce:8192x1000 ce:100000x10] [--runs 9] [--least] [--json]

One thread; float32, and JavaScript, which has no other numbers, in float64.  Each target is checked
and then takes turns with the others, as in kernels.py, whose machinery this is; a figure is the
median, as milliseconds and over that of C in the same dtype.  Triton is measured by gpu.py.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

PEERS = ("c", "numba", "numpy", "generated torch.compile", "generated torch", "generated jax")
WIDE = ("c", "generated javascript")
CASES = ("ce:8192x1000", "ce:100000x10")


def kernels() -> Any:
    """The script beside this one, as a module: this folder would hide the package derive."""
    place = Path(__file__).resolve().parent / "kernels.py"
    spec = importlib.util.spec_from_file_location("kernels", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(rows: list[dict[str, Any]]) -> str:
    """A row for each target, a pair of columns for each shape."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    base = {(row["case"], row["dtype"]): row["median_ms"] for row in rows if row["peer"] == "c"}
    names = dict.fromkeys((row["peer"], row["dtype"]) for row in rows if not row["is_roof"])
    lines = [
        f"| one thread | dtype | {' | '.join(f'{case}, ms | over C' for case in cases)} |",
        f"|---|---|{'--:|--:|' * len(cases)}",
    ]
    for name, dtype in names:
        cells = []
        for case in cases:
            here = [r for r in rows if (r["case"], r["peer"], r["dtype"]) == (case, name, dtype)]
            time, c = here[0]["median_ms"] if here else None, base.get((case, dtype))
            cells.append("" if time is None else f"{time:.3g}")
            cells.append("" if time is None or not c else f"{time / c:.2f}")
        lines.append(f"| {name.removeprefix('generated ')} | {dtype} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    script = kernels()
    parser = script.arguments()
    parser.description = (__doc__ or "").splitlines()[0]
    parser.set_defaults(only=CASES, peers=None, dtype=["float32", "float64"], threads=[1])
    options = parser.parse_args()
    rows, notes = [], []
    for dtype in options.dtype:
        options.dtype = [dtype]
        asked = options.peers
        options.peers = asked or list(PEERS if dtype == "float32" else WIDE)
        found, said = script.everything(options)
        options.peers = asked
        rows, notes = [*rows, *found], list(dict.fromkeys([*notes, *said]))
    if options.least:
        rows = [{**row, "median_ms": row["least_ms"]} for row in rows]
    failed = [f"{row['peer']}, {row['case']}: {row['note']}" for row in rows if row["note"]]
    if options.json:
        print(json.dumps({"rows": rows, "notes": notes}, indent=1))
    else:
        print("\n".join([table(rows), "", *notes, *failed]))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
