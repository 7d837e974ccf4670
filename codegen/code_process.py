"""The other process that a user's function runs in: calls, answers, and the time limit."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from codegen import code_worker
from derive.errors import PminusyError


class TimeLimit(PminusyError):
    """The user's code has used up its time."""


@dataclass(frozen=True)
class Answer:
    """What a call gave: an array of float64, or in words what came instead of one."""

    array: Any = None
    failed: str = ""
    changed: tuple[str, ...] = ()
    dtype: str = ""


@dataclass
class UserFunction:
    """A function `module:function`, or `file.py:function`, in a process of its own.

    `with UserFunction(target, seconds, required, optional) as f: f(arguments, shape)`.
    Entering raises PminusyError, in one sentence, where the function cannot be had or does not
    take the required names; every answer raises TimeLimit after `seconds` of waiting in all.
    """

    target: str
    seconds: float
    required: Sequence[str]
    optional: Sequence[str] = ()
    names: tuple[str, ...] = ()
    _left: float = 0.0
    _process: subprocess.Popen[str] | None = None
    _lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def __enter__(self) -> UserFunction:
        module, _, name = self.target.rpartition(":")
        if not module or not name:
            raise PminusyError(f"--code: expected module:function, found '{self.target}'")
        self._left = self.seconds
        self._process = subprocess.Popen(
            [sys.executable, code_worker.__file__, self.target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            cwd=Path.cwd(),
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            wanted = {"required": list(self.required), "optional": list(self.optional)}
            reply = self._ask(wanted)
            if reply is None or "error" in reply:
                raise PminusyError((reply or {}).get("error", f"importing {module} ends Python"))
            self.names = tuple(reply["names"])
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, arguments: Mapping[str, Any], shape: Sequence[int]) -> Answer:
        """The array that the function returns, if it has this shape."""
        given = {name: code_worker.encode(value) for name, value in arguments.items()}
        reply = self._ask({"arguments": given, "shape": list(shape)})
        if reply is None:
            return Answer(failed="ends the process")
        if "failed" in reply:
            return Answer(failed=str(reply["failed"]))
        changed = tuple(reply["changed"])
        return Answer(code_worker.decode(reply["array"]), changed=changed, dtype=reply["dtype"])

    def _ask(self, data: Mapping[str, Any]) -> Any:
        """The reply to a request; None where the process is gone."""
        process = self._process
        assert process is not None and process.stdin is not None
        begun = time.monotonic()
        try:
            process.stdin.write(json.dumps(data) + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=max(self._left, 0.001))
        except BrokenPipeError:
            return None
        except queue.Empty:
            self.close()
            raise TimeLimit(
                f"{self.target} did not finish within {self.seconds:g} s (--timeout)"
            ) from None
        self._left -= time.monotonic() - begun
        return json.loads(line) if line else None

    def _read(self) -> None:
        process = self._process
        assert process is not None and process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            for line in process.stdout:
                self._lines.put(line)
        self._lines.put("")

    def close(self) -> None:
        """End the process and whatever it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
