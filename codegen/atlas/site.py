"""Which pages a site needs, which of them are out of date, and the making of those side by side.

A manifest in the site's folder keeps for each page the digest of what it was made from (the text
of the loss, this package's own files, the versions of what they use), the digest of the page
itself, and its card; so an index is made without the pages that did not change.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from codegen.atlas.page import FOLDER, KERNELS, Card, Page, index_page, loss_page
from derive.errors import PminusyError
from derive.loss import Loss
from derive.notation import parse

MANIFEST = "manifest.json"
USES = ("sympy", "numpy", "mpmath", "python-flint", "jinja2", "matplotlib", "quickjs-ng")
PLAIN = re.compile(rf"{FOLDER}/[A-Za-z0-9_-]+\.html")
KINDS = (".py", ".j2", ".js", ".css", ".json")


@dataclass(frozen=True)
class Work:
    """A page to be made: the text of its loss, and the digest of all that it is made from."""

    name: str
    slug: str
    text: str
    digest: str

    measuring: bool = False

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.slug}.html"


@dataclass(frozen=True)
class Known:
    """What the manifest says of a page; `page` is the digest of it and of its kernels."""

    digest: str
    page: str
    card: Card

    def data(self) -> dict[str, Any]:
        return {"digest": self.digest, "page": self.page, "card": self.card.data()}


def beside(path: str) -> str:
    """The script of kernels that lies beside a page."""
    return path.removesuffix(".html") + KERNELS


def works(losses: Sequence[Loss], measuring: bool = False) -> tuple[Work, ...]:
    """A page for each loss, under a name that no other has."""
    base = _package_digest()
    taken: set[str] = set()
    found = []
    for loss in losses:
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", loss.name) or "loss"
        numbered = (plain if number == 1 else f"{plain}-{number}" for number in range(1, 1 << 20))
        # Some file systems hold A and a for one name.
        slug = next(each for each in numbered if each.lower() not in taken)
        taken.add(slug.lower())
        digest = _digest(json.dumps([base, loss.name, slug, loss.text, measuring]))
        found.append(Work(loss.name, slug, loss.text, digest, measuring))
    return tuple(found)


def known_pages(root: Path) -> dict[str, Known]:
    """What the manifest of a site says, by path; nothing where it cannot be read."""
    try:
        pages = json.loads((root / MANIFEST).read_text(encoding="utf-8"))["pages"]
        return {
            path: Known(str(entry["digest"]), str(entry["page"]), Card(**entry["card"]))
            for path, entry in sorted(pages.items())
            if PLAIN.fullmatch(path)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def fresh(root: Path, work: Work, known: Mapping[str, Known]) -> bool:
    """Whether the page is there, as it was made from what it would be made from now."""
    entry = known.get(work.path)
    if entry is None or entry.digest != work.digest:
        return False
    try:
        texts = [(root / path).read_text("utf-8") for path in (work.path, beside(work.path))]
    except (OSError, ValueError):
        return False
    return _digest("".join(texts)) == entry.page


def made(work: Work, page: Page) -> Known:
    return Known(work.digest, _digest(page.text + page.kernels), page.card)


def manifest(known: Mapping[str, Known]) -> str:
    """The text of the manifest."""
    pages = {path: entry.data() for path, entry in sorted(known.items())}
    return json.dumps({"pages": pages}, indent=1, ensure_ascii=False) + "\n"


def index(known: Mapping[str, Known]) -> str:
    """The index of the pages of a manifest."""
    return index_page([entry.card for _, entry in sorted(known.items())])


def pages(wanted: Sequence[Work], processes: int | None = None) -> Iterator[tuple[Work, Page]]:
    """Each page as it is finished.  Raises PminusyError for a loss that has none."""
    count = min(len(wanted), processes or os.cpu_count() or 1)
    if count <= 1:
        for work in wanted:
            yield work, _checked(work, page_of(work))
        return
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, context, _like_parent, (gc.get_threshold(),)) as pool:
        # Long texts first: they tend to take longest, and nothing should wait for them alone.
        ordered = sorted(wanted, key=lambda work: (-len(work.text), work.slug))
        running: dict[Future[Page | str], Work] = {pool.submit(page_of, w): w for w in ordered}
        try:
            for done in as_completed(running):
                yield running[done], _checked(running[done], done.result())
        except BaseException:
            # What the workers have begun is not waited for: they write nothing.
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def page_of(work: Work) -> Page | str:
    """The page, or why there is none: not every error can cross to another process."""
    try:
        return loss_page(parse(work.text, work.name), work.slug, work.measuring)
    except PminusyError as error:
        return str(error)


def _checked(work: Work, page: Page | str) -> Page:
    if isinstance(page, str):
        raise PminusyError(page if work.name in page else f"{work.name}: {page}")
    return page


def _like_parent(thresholds: tuple[int, int, int]) -> None:
    """Looks for cycles as seldom as the process that writes, and leaves Ctrl-C to that one."""
    gc.set_threshold(*thresholds)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _package_digest() -> str:
    """A digest of this package's files, and of the versions of what they use."""
    found = sha256(f"{sys.version_info[:2]}".encode())
    for name in USES:
        found.update(f"{name} {_version(name)}\n".encode())
    for package in ("codegen", "derive"):
        root = Path(str(files(package)))
        for path in sorted(path for path in root.rglob("*") if path.suffix in KINDS):
            found.update(f"{package}/{path.relative_to(root).as_posix()}\n".encode())
            found.update(sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
