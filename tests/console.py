"""Runs the console blocks of a document and compares what they print with what it says.

A block is fenced with ```console.  In it, a line `$ command` is run by bash, and the lines
after it are what it prints, exactly, standard error included.  A line `...` stands for any
lines, and a last line `[exit 1]` for the exit code, 0 otherwise.  Lines `> ` right after a
command continue it.  Every block stands alone: it is run in a fresh folder with a copy of
the repository's examples and generated files, as if at the top of the repository.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from codegen.cli import main

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Words without anything that a shell would read, but quotes.
PLAIN = re.compile(r"pminusy ((?:[\w./:,=+@%^-]|'[^'\n]*'|\"[^\"\n$`\\]*\"| )+)")
EXIT = re.compile(r"\[exit (\d+)\]")


@dataclass(frozen=True)
class Command:
    """One command of a block, the lines it is to print, and its exit code."""

    text: str
    expected: tuple[str, ...]
    code: int = 0


@dataclass(frozen=True)
class Block:
    """A console block: where it starts, its text between the fences, its commands."""

    document: Path
    line: int
    text: str
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def read_blocks(document: Path) -> list[Block]:
    """Every console block of a document; none where the document does not exist."""
    text = document.read_text(encoding="utf-8") if document.exists() else ""
    return [
        Block(document, text.count("\n", 0, match.start()) + 1, match[1], read_commands(match[1]))
        for match in BLOCK.finditer(text)
    ]


def read_commands(text: str) -> tuple[Command, ...]:
    """The commands of a block's text; ValueError where it does not start with one."""
    commands: list[Command] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, *lines = part.splitlines()
        while lines and lines[0].startswith("> "):
            first += "\n" + lines.pop(0)[2:]
        code = 0
        if lines and (found := EXIT.fullmatch(lines[-1])):
            code = int(found[1])
            lines.pop()
        commands.append(Command(first, tuple(lines), code))
    if not text.startswith("$ "):
        raise ValueError(f"a console block starts with '$ command', not {text[:40]!r}")
    return tuple(commands)


def run_command(command: Command, folder: Path) -> Command:
    """The command with what it printed and how it ended.

    One that is nothing but `pminusy` and words is run in this process, which knows the derivations
    of the others, unless it writes to standard error too: how two streams mix is the shell's.
    """
    words = PLAIN.fullmatch(command.text)
    if words and (done := run_here(shlex.split(words[1]), folder)):
        return Command(command.text, *done)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    printed = tuple(line.rstrip() for line in done.stdout.splitlines())
    return Command(command.text, printed, done.returncode)


def run_here(words: list[str], folder: Path) -> tuple[tuple[str, ...], int] | None:
    """What `pminusy` prints for these words, and its exit code; None where it complains."""
    told, complained = io.StringIO(), io.StringIO()
    environment = mock.patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"})
    streams = contextlib.redirect_stdout(told), contextlib.redirect_stderr(complained)
    with environment, contextlib.chdir(folder), streams[0], streams[1]:
        try:
            code = main(words)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    if complained.getvalue():
        return None
    return tuple(line.rstrip() for line in told.getvalue().splitlines()), code


def prepare(folder: Path) -> None:
    """Put copies of what commands may name into the folder."""
    for name in ("examples", "generated"):
        if (ROOT / name).exists():
            ignored = shutil.ignore_patterns("__pycache__", "out")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)


def agrees(expected: Command, actual: Command) -> bool:
    """Whether a command ended and printed as the document says."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()) + r"\n"
        for line in expected.expected
    )
    printed = "".join(line + "\n" for line in actual.expected)
    return expected.code == actual.code and re.fullmatch(pattern, printed) is not None


def show(command: Command) -> str:
    """A command as it stands in a block."""
    lines = ["$ " + command.text.replace("\n", "\n> "), *command.expected]
    if command.code:
        lines.append(f"[exit {command.code}]")
    return "".join(line + "\n" for line in lines)


def rewrite(block: Block, commands: list[Command]) -> None:
    """Put the commands in place of the block's; several processes may do so at once."""
    with block.document.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        old, new = f"```console\n{block.text}```", "".join(show(c) for c in commands)
        text = file.read().replace(old, f"```console\n{new}```", 1)
        file.seek(0)
        file.write(text)
        file.truncate()
