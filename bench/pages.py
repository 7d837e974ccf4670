"""Time of whole commands: a page of each loss, from the shell to the file, each in a new process.

    python bench/pages.py [NAME ...] [--runs 3] [--json]

`pminusy derive NAME --to html -o FILE`, in turns; for each the least and the median of the runs,
in seconds.  "import sympy" is the time of `python -c "import sympy"` in the same run: the part
that no page can do without.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.pop(0)  # this folder, in which a file would hide the package of the same name

from derive import library

SYMPY = "import sympy"
GOAL = 1.0


def seconds(command: Sequence[str]) -> float:
    """How long a command takes; CalledProcessError where it fails."""
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def measured(losses: Sequence[str], runs: int) -> dict[str, list[float]]:
    """The times of each page, and of importing SymPy, in turns."""
    found: dict[str, list[float]] = {SYMPY: [], **{name: [] for name in losses}}
    with TemporaryDirectory() as folder:
        page = str(Path(folder, "page.html"))
        for run in range(runs):
            for place, name in enumerate(found):
                if sys.stderr.isatty():
                    print(f"\r{run + 1}/{runs} {place}/{len(losses)}", end="", file=sys.stderr)
                derive = ("-m", "codegen.cli", "derive", name, "--to", "html", "-o", page)
                options = ("-c", SYMPY) if name == SYMPY else derive
                found[name].append(seconds((sys.executable, *options)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("losses", metavar="NAME", nargs="*", help="of the library; all by default")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options.losses or library(), options.runs)
    rows = [
        {"name": name, "least_s": round(min(times), 3), "median_s": round(median(times), 3)}
        for name, times in found.items()
    ]
    if options.json:
        print(json.dumps({"runs": options.runs, "rows": rows}, indent=1))
        return
    sympy, *pages = rows
    for row in (*sorted(pages, key=lambda row: -float(row["least_s"])), sympy):
        print(f"{row['least_s']:6.2f} {row['median_s']:6.2f}  {row['name']}")
    under = sum(float(row["least_s"]) < GOAL for row in pages)
    print(f"{under} of {len(pages)} pages under {GOAL:g} s, least of {options.runs}")


if __name__ == "__main__":
    main()
