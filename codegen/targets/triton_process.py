"""A process that runs Triton kernels: on the GPU, or else in Triton's interpreter, which has to be
chosen before Triton is imported and is therefore none of the caller's business."""

from __future__ import annotations

import atexit
import importlib.util
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from codegen.compile import cached_file
from codegen.emit import render
from codegen.kernel import Kernel
from codegen.schedule import in_place, schedule
from codegen.targets.array_lines import tuple_of
from codegen.targets.numpy import SUMMARIES, safe_names, signature, table_of, tables
from codegen.targets.target import Functions, python_module
from codegen.targets.triton_names import argument_names, is_number
from derive.errors import KernelError

REMEDY = "pip install 'pminusy[triton]'"


@dataclass
class Runner:
    """The process: started when it is first asked, and once more after a fork or its end."""

    process: subprocess.Popen[bytes] | None = None
    owner: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: tuple[Any, ...]) -> Any:
        """The answer to a request.  Raises KernelError for an error in the module."""
        with self.lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                pickle.dump(request, process.stdin)
                process.stdin.flush()
                fine, answer = pickle.load(process.stdout)
            except (OSError, EOFError):
                self.close()
                raise KernelError("the process of the Triton kernel ended") from None
            except BaseException:
                # An answer that nobody reads would be taken for that of the next request.
                self.close()
                raise
        if not fine:
            raise KernelError(f"the Triton kernel: {answer}")
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        ended = self.process is not None and self.process.poll() is not None
        if ended or self.owner != os.getpid():
            self.close()
        if self.process is None:
            self.owner = os.getpid()
            self.process = subprocess.Popen(
                [sys.executable, "-c", render("triton_driver.j2")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self.process

    def close(self) -> None:
        """End the process, if it is ours."""
        process, self.process = self.process, None
        if process is None or self.owner != os.getpid():
            return
        process.kill()
        process.communicate()


RUNNER = Runner()
atexit.register(RUNNER.close)


def load(files: Mapping[str, str], kernel: Kernel) -> Functions:
    """Functions over NumPy arrays, as those of the other targets are."""
    for name in ("triton", "torch"):
        if importlib.util.find_spec(name) is None:
            raise KernelError(f"{name} is not installed: {REMEDY}; target='numpy' needs no more")
    path = cached_file(f"triton_{kernel.name}", ".py", files[f"{kernel.name}.py"])
    module = python_module(_text(kernel))
    module["_run"] = partial(run, kernel, path)
    return module


def _text(kernel: Kernel) -> str:
    names = safe_names(kernel)
    keys = [key for key, _ in kernel.outputs if key]
    parts = {"": ("",)} | (
        {"_gradient": tuple(keys), "_value_and_gradient": ("", *keys)} if keys else {}
    )
    shared = [key for key, _ in in_place(schedule(kernel))]
    results = {key: tuple(a.name for a in entry.tensor.axes) for key, entry in kernel.outputs}
    return render(
        "javascript_binding.py.j2",
        functions=[
            {
                "suffix": suffix,
                "signature": signature(kernel.name + suffix, kernel, names, ("out=None",)),
                "summary": SUMMARIES[suffix],
                "wanted": tuple_of(f'"{key}"' for key in wanted),
            }
            for suffix, wanted in parts.items()
        ],
        passed=", ".join(f"{names[g.name]}={names[g.name]}" for g in kernel.inputs),
        scales=False,
        in_place_set=tuple_of(f'"{key}"' for key in shared),
        **tables(kernel, names),
        dtypes=tuple_of(('"float32"', '"float64"')),
        results=table_of(results),
    )


def run(
    kernel: Kernel,
    path: Path,
    suffix: str,
    given: Sequence[Any],
    sizes: Mapping[str, int],
    options: Mapping[str, str],
    samples: int,
    settings: Mapping[str, int] | None = None,
    dtype: str = "",
) -> tuple[Any, Any, dict[str, Any]]:
    """The loss of each sample, or else their sum or mean, and the gradients.

    `settings` are names of the module to change for this call, `dtype` what to compute in.
    """
    names = argument_names(kernel)
    pairs = list(zip(kernel.inputs, given, strict=True))
    arrays = {names[argument.name]: x for argument, x in pairs if not is_number(argument)}
    numbers = [int(x) if g.is_mark else float(x) for g, x in pairs if is_number(g)]
    chosen = (options["reduction"], options["onEmpty"])
    request = (str(path), bool(suffix), arrays, numbers, chosen, settings or {}, dtype)
    loss, total, slopes = RUNNER.ask(request)
    keys = [key for key, _ in kernel.outputs if key]
    found = dict(zip(keys, slopes, strict=True)) if suffix else {}
    return loss, None if options["reduction"] == "none" else total, found
