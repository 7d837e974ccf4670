"""Work in a second process gives what it gives in this one, whatever happens there."""

from __future__ import annotations

import os
import signal
import threading
from typing import NoReturn

import pytest

import derive
from codegen.beside import beside
from codegen.documents import PAGE_PARTS, write
from derive.errors import PminusyError

HERE = os.getpid()
CAN = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be copied here")


def place() -> int:
    return os.getpid()


@CAN
def test_it_runs_elsewhere_and_only_with_a_second_process() -> None:
    assert beside(place, 2)() != HERE
    assert beside(place, 1)() == HERE


@CAN
def test_a_process_with_threads_is_not_copied() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert beside(place, 2)() == HERE
    finally:
        done.set()
        thread.join()


@CAN
def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    def refuse() -> NoReturn:
        raise PminusyError("no such part")

    wait = beside(refuse, 2)
    with pytest.raises(PminusyError, match="no such part"):
        wait()


@CAN
def test_a_process_that_is_killed_is_not_missed() -> None:
    def die_elsewhere() -> str:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return "made here"

    assert beside(die_elsewhere, 2)() == "made here"


@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "arcface", "linear_softmax_cross_entropy"]
)
def test_a_page_is_the_same_with_two_processes(name: str) -> None:
    loss = derive.load(name)
    first, *others = (
        derive.gradient(loss, d.name) for d in loss.declarations if d.role in ("input", "param")
    )
    one, two = (write(first, "html", parts=PAGE_PARTS, others=others, processes=n) for n in (1, 2))
    assert one == two
    assert "Second derivative" in two and "convexity" in two
