"""The .loss text of a loss, as it was written."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from codegen.commands import as_json, say

HELP = "its .loss text"


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("loss", metavar="LOSS", help="a library name, a .loss file, or -")


def run(options: Namespace) -> int:
    import derive

    loss = derive.load(options.loss)
    if options.json:
        as_json({"name": loss.name, "text": loss.text})
    else:
        say(loss.text.rstrip("\n"))
    return 0
