"""The table of `pminusy verify --accuracy`."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from codegen.commands import as_json, say, split_names

if TYPE_CHECKING:
    from codegen.accuracy import Row

HEADINGS = ("regime", "", "", "loss: median", "max", "of terms", "grad: median", "max", "of terms")
NOTE = """ULP: units in the last place of the exact value, against ball arithmetic.
"of terms": the largest error where p - y and its like are counted against max(|p|, |y|), the
terms that they are the difference of, and soft targets and sums of products as rounded numbers."""


def accuracy(options: Namespace) -> int:
    """Measure and print; 1 where a kernel misses the goal."""
    from rich.console import Console
    from rich.progress import track

    from codegen.accuracy import COMPENSATED, GOAL, measure
    from codegen.targets import TARGETS
    from derive import library, load

    targets, dtypes = split_names(options.target), split_names(options.dtype)
    console = Console(stderr=True)
    names = options.losses or list(library())
    quiet = not sys.stderr.isatty()
    goal = COMPENSATED if options.compensate else GOAL
    how: dict[str, Any] = {"peers": options.peers, "accumulate": options.accumulate}
    how |= {"compensate": True} if options.compensate else {}
    rows: list[Row] = []
    for name in track(names, "measuring", console=console, disable=quiet):
        rows += measure(load(name), targets, dtypes, **how)
    ours = [row for row in rows if row.target in targets]
    missed = [row for row in ours if row.worst > goal]
    caveats = [TARGETS[name].caveat for name in targets if TARGETS[name].caveat]
    if options.json:
        found = {"goal": goal, "rows": [row.data(goal) for row in rows], "missed": len(missed)}
        as_json({**found, "caveats": caveats})
        return 1 if missed else 0
    for name in dict.fromkeys(row.loss for row in rows):
        _table(name, [row for row in rows if row.loss == name], missed)
    say("\n".join([NOTE, *caveats]))
    say(f"{len(ours)} regimes, {len(missed)} above {goal:.0f} ULP")
    return 1 if missed else 0


def _table(name: str, rows: list[Row], missed: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=name, title_justify="left")
    for k, heading in enumerate(HEADINGS):
        table.add_column(heading, no_wrap=True, justify="left" if k < 3 else "right")
    for row in rows:
        figures = (
            *(row.value_median, row.value_max, row.value_of_terms),
            *(row.slope_median, row.slope_max, row.slope_of_terms),
        )
        style = "bold red" if row in missed else None
        texts = [f"{figure:.3g}" for figure in figures]
        table.add_row(row.regime, row.target, row.dtype, *texts, style=style)
    width = None if sys.stdout.isatty() else 120
    Console(width=width).print(table)
