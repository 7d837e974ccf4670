"""Generate everything for the whole library, with a progress bar.

Files are written at once each, unchanged ones are left alone, and files that the library no
longer gives are deleted from the target's folder.

  pminusy build -o generated
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from codegen.commands import as_json, say, write_file

HELP = "generate everything for the whole library"


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-o", metavar="DIR", dest="out", default="generated", help="where to")


def run(options: Namespace) -> int:
    from rich.console import Console
    from rich.progress import track

    from codegen.library import EVERY, library_files

    root = Path(options.out)
    written: list[str] = []
    known: set[Path] = set()
    console = Console(stderr=True)
    files = track(library_files(), "generating", console=console, disable=not sys.stderr.isatty())
    for name, text in files:
        path = root / name
        known.add(path)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_file(path, text)
            written.append(name)
    stale = sorted(
        path for t in EVERY for path in (root / t).glob("*") if path.is_file() and path not in known
    )
    for path in stale:
        path.unlink()
    removed = [str(path.relative_to(root)) for path in stale]
    if options.json:
        as_json({"written": written, "removed": removed, "files": len(known)})
    else:
        say(f"{len(known)} files in {root}: {len(written)} written, {len(removed)} removed")
    return 0
