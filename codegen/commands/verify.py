"""The whole battery over the library, as a table.

For each loss: every derivation is replayed and each result proved anew from the unfolded
loss; the generated kernel is held against ball arithmetic and against finite differences.

With --accuracy: the errors of the kernels in ULP, by loss and regime, against ball arithmetic.

  pminusy verify
  pminusy verify softmax_cross_entropy examples/weight_decay.loss
  pminusy verify --accuracy focal entropy --target numpy,c --dtype float64
  pminusy verify --accuracy tweedie --dtype float64 --compensate
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from codegen.commands import as_json, say, split_names
from codegen.commands.accuracy_table import accuracy

if TYPE_CHECKING:
    from codegen.verify import Check

HELP = "the whole battery, as a table"


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("losses", metavar="LOSS", nargs="*", help="all of the library where none is named")
    add("--target", metavar="TARGETS", default="numpy", help="numpy, c, ... separated by commas")
    add("--accuracy", action="store_true", help="errors in ULP by regime, in place of the battery")
    add("--dtype", metavar="DTYPES", default="float64,float32", help="with --accuracy: of these")
    add("--accumulate", choices=("", "float64"), default="", help="float32 computed in float64")
    add("--compensate", action="store_true", help="with --accuracy: rounding errors carried along")
    add("--peers", action="store_true", help="with --accuracy: torch, scipy, ... where installed")


def run(options: Namespace) -> int:
    _only_kernels(split_names(options.target))
    if options.accuracy:
        return accuracy(options)
    from rich.console import Console
    from rich.progress import track

    from codegen.verify import battery
    from derive import library, load

    console = Console(stderr=True)
    names = options.losses or list(library())
    rows: list[Check] = []
    for name in track(names, "verifying", console=console, disable=not sys.stderr.isatty()):
        for target in split_names(options.target):
            rows += battery(load(name), target)
    failed = [row for row in rows if not row.passed]
    if options.json:
        as_json({"checks": [vars(row) for row in rows], "failed": len(failed)})
        return 1 if failed else 0
    _table(rows)
    say(f"{len(rows)} checks, {len(failed)} failed")
    return 1 if failed else 0


def _only_kernels(targets: list[str]) -> None:
    """Refuse the objectives of boosting libraries: each of their files checks itself."""
    from codegen.objectives import OBJECTIVES
    from derive.errors import KernelError

    for name in targets:
        if name in OBJECTIVES:
            raise KernelError(
                f"verify is for kernels, and {name} is an objective that checks itself: "
                f"pminusy generate LOSS --target {name} -o DIR, then python DIR/LOSS.py"
            )


def _table(rows: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("loss", "check", "", "figures"):
        table.add_column(heading, no_wrap=heading != "figures")
    for row in rows:
        good = "[green]ok[/]" if row.passed else "[bold red]FAILED[/]"
        table.add_row(row.loss, row.what, good, row.detail)
    width = None if sys.stdout.isatty() else 120
    Console(width=width).print(table)
