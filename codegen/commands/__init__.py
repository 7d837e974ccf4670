"""The commands by name, and what they share: output, files written at once, errors."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from derive.errors import PminusyError


def version() -> str:
    """The installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("pminusy")
    except PackageNotFoundError:
        return "0 (not installed)"


def say(text: str = "") -> None:
    """Print a line; where the terminal lacks a character, an escape of it."""
    try:
        print(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding))


def styled(text: str, style: str) -> str:
    """The text in a colour where standard output is a terminal; plain in a pipe."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    from rich.console import Console
    from rich.text import Text

    with (console := Console()).capture() as captured:
        console.print(Text(text, style=style), end="", soft_wrap=True)
    return captured.get()


def as_json(data: Any) -> None:
    """Print one JSON object, keys in a fixed order."""
    say(json.dumps(data, indent=2, ensure_ascii=False))


def complain(text: str, as_json: bool) -> None:
    """An error on standard error: a line, or a JSON object."""
    print(json.dumps({"error": text}) if as_json else f"pminusy: {text}", file=sys.stderr)


def write_file(path: Path, text: str | bytes) -> None:
    """Write a file at once: under another name first, then renamed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode() if isinstance(text, str) else text)
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PminusyError(f"cannot write {path}: {error.strerror or error}") from error


def text_width() -> int:
    """How many columns a derivation may take: those of a terminal, up to a hundred; a pipe's are
    always as many."""
    most, least = 100, 40
    if not sys.stdout.isatty():
        return most
    return max(least, min(most, shutil.get_terminal_size((most, 24)).columns))


def deliver(text: str | bytes, out: str | None) -> None:
    """Text to a file, or to standard output; bytes to a file."""
    if out is None:
        assert isinstance(text, str)
        say(text.rstrip("\n"))
    else:
        write_file(Path(out), text)


def split_names(text: str) -> list[str]:
    """'a,W[u,v]' as ['a', 'W[u,v]']: commas inside brackets do not separate."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _load() -> dict[str, ModuleType]:
    from codegen.commands import (
        atlas,
        build,
        check,
        derive,
        doctor,
        evaluate,
        generate,
        library,
        plot,
        show,
        verify,
    )

    return {
        "list": library,
        "show": show,
        "derive": derive,
        "evaluate": evaluate,
        "check": check,
        "generate": generate,
        "plot": plot,
        "verify": verify,
        "build": build,
        "atlas": atlas,
        "doctor": doctor,
    }


COMMANDS = _load()
