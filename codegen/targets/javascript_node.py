"""Node: one process, kept open, that runs the kernels of every generated module."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any

from codegen.emit import render
from derive.errors import KernelError

PROGRAMS = ("node", "nodejs")
REMEDY = "apt-get install nodejs, or https://nodejs.org"


def find_node() -> str:
    """The path of Node; a KernelError that says how to get it."""
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            return found
    raise KernelError(f"Node.js is not installed: {REMEDY}; target='numpy' needs no other program")


@dataclass
class Node:
    """The process: started when it is first asked, and once more after a fork or its end."""

    process: subprocess.Popen[str] | None = None
    owner: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request.  Raises KernelError for an error in the module."""
        with self.lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = ""
            except BaseException:
                # An answer that nobody reads would be taken for that of the next request.
                self.close()
                raise
            if not line:
                self.close()
                raise KernelError("Node.js ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise KernelError(f"the JavaScript kernel: {answer['error']}")
        return answer

    def _running(self) -> subprocess.Popen[str]:
        ended = self.process is not None and self.process.poll() is not None
        if ended or self.owner != os.getpid():
            self.close()
        if self.process is None:
            self.owner = os.getpid()
            self.process = subprocess.Popen(
                [
                    find_node(),
                    "--input-type=module",
                    "--eval",
                    render("javascript_driver.mjs.j2"),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
        return self.process

    def close(self) -> None:
        """End the process, if it is ours."""
        process, self.process = self.process, None
        if process is None or self.owner != os.getpid():
            return
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
        except OSError:
            process.kill()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


NODE = Node()
atexit.register(NODE.close)
