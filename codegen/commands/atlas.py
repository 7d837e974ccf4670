"""Make the atlas: a static site with a page for each loss, which needs no server and no network.

Pages that are up to date are left alone; pages of losses that are no longer asked for go.

  pminusy atlas -o site
  pminusy atlas -o site softmax_cross_entropy my.loss
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from codegen.commands import as_json, say, write_file

if TYPE_CHECKING:
    from codegen.atlas.page import Page
    from codegen.atlas.site import Work

HELP = "make a static site of losses"


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("losses", metavar="LOSS", nargs="*", help="library names or .loss files; all by default")
    add("-o", metavar="DIR", dest="out", default="site", help="where to (site)")
    add("--accuracy", action="store_true", help="measure the accuracy that is not kept (slow)")


def run(options: Namespace) -> int:
    from codegen.atlas.site import (
        MANIFEST,
        beside,
        fresh,
        index,
        known_pages,
        made,
        manifest,
        works,
    )
    from codegen.documents.mathml import mathml
    from codegen.plots.pictures import available
    from derive import library, load

    root = Path(options.out)
    losses = [load(name) for name in dict.fromkeys(options.losses or library())]
    wanted = works(losses, options.accuracy)
    before = known_pages(root)
    known = {work.path: before[work.path] for work in wanted if fresh(root, work, before)}
    missing = [work for work in wanted if work.path not in known]
    if missing:
        # What is not installed is said before anything is made.
        available()
        mathml("x")
    written: list[str] = []

    def write(name: str, text: str) -> None:
        path = root / name
        if not path.exists() or path.read_bytes() != text.encode():
            write_file(path, text)
            written.append(name)

    for work, page in _tracked(missing):
        write(beside(work.path), page.kernels)
        write(work.path, page.text)
        # At once, so that an interrupted run is taken up where it ended.
        known[work.path] = made(work, page)
        write_file(root / MANIFEST, manifest({**before, **known}))
    write("index.html", index(known))
    if known != before:
        write_file(root / MANIFEST, manifest(known))
    gone = [path for name in before if name not in known for path in (name, beside(name))]
    stale = [name for name in gone if (root / name).is_file()]
    for name in stale:
        (root / name).unlink()
    if options.json:
        as_json({"written": sorted(written), "removed": stale, "pages": len(known)})
    else:
        count = f"{len(known)} page" + "s" * (len(known) != 1)
        say(f"{count} in {root}: {len(written)} files written, {len(stale)} removed")
    return 0


def _tracked(wanted: list[Work]) -> Iterator[tuple[Work, Page]]:
    """The pages, with a progress bar where standard error is a terminal."""
    from rich.console import Console
    from rich.progress import track

    from codegen.atlas.site import pages

    return iter(
        track(
            pages(wanted),
            "making pages",
            total=len(wanted),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
    )
