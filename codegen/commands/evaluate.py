"""Evaluate a loss, its definitions and its derivatives at given numbers, rigorously.

Numbers are exact decimals or fractions; commas separate entries, semicolons rows, double
semicolons matrices.  Every value is computed in ball arithmetic and rounded once, to the digits
asked for.  With --reduction inputs and targets have a row, or a number, for each sample:

  pminusy evaluate softmax_cross_entropy a=1,2,3 y=0,0,1 --wrt a --digits 2
  pminusy evaluate linear_softmax_cross_entropy x=1,2,3 \\
      'W=.1,.2,.3;.4,.5,.6;.7,.8,.9' b=0,0,0 y=0,0,1 --wrt W
  pminusy evaluate softmax_cross_entropy --reduction mean 'a=1,2,3;0,0,1' 'y=0,0,1;1,0,0' --wrt a
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from codegen.commands import as_json, say, split_names

HELP = "numbers: a loss, its definitions and derivatives"


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("loss", metavar="LOSS", help="a library name, a .loss file, or -")
    add("values", metavar="NAME=VALUES", nargs="*", help="a=1,2,3 or 'W=1,2;3,4'")
    add("--wrt", metavar="NAMES", default="", help="also the derivative with respect to these")
    add("--of", metavar="NAMES", default="", help="only these definitions")
    add("--reduction", choices=("none", "mean", "sum"), default="none", help="over a batch of N")
    add(
        "--digits", type=int, default=4, choices=range(1, 51), metavar="N", help="decimals, 1 to 50"
    )


def run(options: Namespace) -> int:
    from derive import load
    from derive.batch import batched
    from derive.given import Decimals, given_point

    loss = load(options.loss)
    if options.reduction != "none":
        loss = batched(loss, options.reduction)
    decimals = Decimals(loss, given_point(loss, options.values), options.digits)
    names = split_names(options.of) or [d.name for d in loss.definitions]
    rows = {name: decimals.table(name) for name in names}
    for name in split_names(options.wrt):
        rows[f"d{loss.value.name}/d{name}"] = decimals.table(loss.value.name, name)
    if options.json:
        as_json({"loss": loss.name, "values": rows})
        return 0
    width = max(map(len, rows))
    for name, value in rows.items():
        say(f"{name:<{width}} = {_show(value)}")
    return 0


def _show(value: Any) -> str:
    return "[" + ", ".join(map(_show, value)) + "]" if isinstance(value, list) else str(value)
