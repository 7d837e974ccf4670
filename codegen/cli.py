"""The command line: one small module a command, in codegen/commands."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

from codegen import commands
from derive.errors import PminusyError

EPILOG = """\
LOSS is a library name (see `pminusy list`), a path to a .loss file, or - for standard input.
Exit codes: 0 fine or proved, 1 refuted or a check failed, 2 bad input, 3 unknown.

  pminusy derive softmax_cross_entropy --wrt a
  pminusy check softmax_cross_entropy --wrt 'a[j]' --claim 'p[j] - y[j]'
  pminusy evaluate softmax_cross_entropy a=1,2,3 y=0,0,1 --wrt a
  pminusy generate softmax_cross_entropy --target numpy --wrt a
"""


class Version(argparse.Action):
    """The version, looked up only where it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        commands.say(f"pminusy {commands.version()}")
        parser.exit()


class Command(argparse.ArgumentParser):
    """The parser of one command, whose options may stand between its other words."""

    _within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse reads words, but options among several values of one kind too."""
        if self._within:
            return super().parse_known_args(args, namespace)
        self._within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._within = False


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="pminusy",
        description="Derives the gradient of a loss step by step, generates kernels from it, "
        "and proves or refutes gradients derived by hand.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action=Version, help="show the version and exit")
    places = whole.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Command
    )
    for name, command in commands.COMMANDS.items():
        part = places.add_parser(
            name,
            help=command.HELP,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        part.add_argument("--json", action="store_true", help="print one JSON object")
        command.arguments(part)
        part.set_defaults(run=command.run)
    return whole


SELDOM = (1_000_000, 30, 30)
REMEMBERED = "8000"  # results that SymPy keeps of each function: 1000 are too few for a page
EXPRESSIONS = ("--claim", "--wrt", "--value", "--of")


def joined(argv: Sequence[str]) -> list[str]:
    """Tie an expression to its option, so that one that starts with a minus is not an option."""
    rest = iter(argv)
    words = []
    for word in rest:
        if word in EXPRESSIONS and (value := next(rest, None)) is not None:
            word = f"{word}={value}"
        words.append(word)
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    gc.set_threshold(*SELDOM)  # expressions have no cycles: looking for some is lost time
    os.environ.setdefault("SYMPY_CACHE_SIZE", REMEMBERED)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # at the end least of all: memory goes back with the process
    options = parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except PminusyError as error:
        commands.complain(str(error), as_json=options.json)
        return 2
    except KeyboardInterrupt:
        commands.complain("interrupted; nothing was left half-written", as_json=options.json)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
