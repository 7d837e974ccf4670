"""Work in a second process gives what it gives in this one, whatever happens there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import derive
from codegen.documents import PAGE_PARTS, write

LINUX = sys.platform == "linux"
PROGRAM = """
import os, signal, threading
from codegen.beside import beside
from derive.errors import PminusyError

here = os.getpid()

def elsewhere():
    return os.getpid() != here

def fails():
    raise PminusyError("no such part")

def dies():
    if elsewhere():
        os.kill(os.getpid(), signal.SIGKILL)
    return "made here"

print("second", beside(elsewhere, 2)())
print("first", beside(elsewhere, 1)())
wait = beside(fails, 2)
try:
    wait()
except PminusyError as error:
    print("raised", error)
print("killed", beside(dies, 2)())
print("large", len(beside(lambda: "x" * (1 << 22), 2)()))
done = threading.Event()
threading.Thread(target=done.wait).start()
print("threads", beside(elsewhere, 2)())
done.set()
"""


def test_what_happens_elsewhere() -> None:
    """Not in the process of the tests, which may have threads."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        f"second {LINUX}",
        "first False",
        "raised no such part",
        "killed made here",
        f"large {1 << 22}",
        "threads False",
    ]
    assert run.stderr == ""


@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "arcface", "linear_softmax_cross_entropy"]
)
def test_a_page_is_the_same_with_two_processes(name: str, tmp_path: Path) -> None:
    loss, page = derive.load(name), tmp_path / "page.html"
    wrt = [d.name for d in loss.declarations if d.role in ("input", "param")]
    first, *others = (derive.gradient(loss, name) for name in wrt)
    alone = write(first, "html", parts=PAGE_PARTS, others=others)
    command = [sys.executable, "-m", "codegen.cli", "derive", name, "--to", "html", "-o", str(page)]
    subprocess.run(command, check=True)
    assert page.read_text(encoding="utf-8") == alone
    assert "Second derivative" in alone and "convexity" in alone
