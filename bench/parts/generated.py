"""Generated files as users call them: PyTorch eager and compiled, JAX under jit, Node."""

from __future__ import annotations

import atexit
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import Arrays, Case

Work = Callable[[], tuple[Any, Any]]
# Node holds the arrays and computes at each line it reads; after the first it saves the results.
NODE = """
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
const { module, name, main, rows, given } = JSON.parse(process.argv[1]);
const compute = (await import(module))[name];
const values = {};
for (const [key, kind, file] of given) {
  const bytes = readFileSync(file);
  const Kind = kind === "labels" ? Int32Array : Float64Array;
  values[key] = new Kind(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
const slope = new Float64Array(values[main].length);
const out = { loss: new Float64Array(rows), gradients: { [main]: slope } };
let calls = 0;
for await (const line of createInterface({ input: process.stdin })) {
  compute(values, { out });
  if (calls++ === 0) {
    writeFileSync(`${line}/loss`, out.loss);
    writeFileSync(`${line}/slope`, slope);
  }
  process.stdout.write("done\\n");
}
"""


def _files(case: Case, target: str) -> tuple[Path, str]:
    """The generated file in a folder of its own, and the name of what it defines."""
    import codegen
    import derive

    ((file, text),) = codegen.generate(derive.load(case.loss), target, labels=case.labels).items()
    folder = tempfile.mkdtemp(prefix="pminusy-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    place = Path(folder) / file
    place.write_text(text, encoding="utf-8")
    return place, place.stem


def _module(place: Path) -> Any:
    spec = importlib.util.spec_from_file_location(place.stem, place)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[place.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def torch(compiled: bool) -> Callable[[Case, Arrays, int], Work]:
    """The generated function, forward and backward."""

    def make(case: Case, given: Arrays, threads: int) -> Work:
        import torch

        torch.set_num_threads(threads)
        place, name = _files(case, "torch")
        function = getattr(_module(place), name)
        t = {key: torch.from_numpy(array) for key, array in given.items()}
        wanted = [t[n].requires_grad_() for n in (case.main, "W", "b") if n in t]
        own: Any = lambda: function(**t, reduction="sum")  # noqa: E731
        own = torch.compile(own) if compiled else own

        def work() -> tuple[Any, Any]:
            loss = own()
            slopes = torch.autograd.grad(loss, wanted)
            return loss.detach().numpy(), slopes[0].numpy()

        return work

    return make


def jax(case: Case, given: Arrays, threads: int) -> Work:
    """The generated function under jit, differentiated by jax."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", given[case.main].dtype == np.float64)
    place, name = _files(case, "jax")
    function = getattr(_module(place), name)
    t = {key: jnp.asarray(array) for key, array in given.items()}
    names = [n for n in (case.main, "W", "b") if n in t]
    rest = {key: array for key, array in t.items() if key not in names}
    wrt = {key: t[key] for key in names}
    both = jax.jit(jax.value_and_grad(lambda wrt, rest: function(**wrt, **rest, reduction="sum")))

    def work() -> tuple[Any, Any]:
        value, slopes = jax.block_until_ready(both(wrt, rest))
        return np.asarray(value), np.asarray(slopes[case.main])

    return work


def javascript(case: Case, given: Arrays, threads: int) -> Work | None:
    """The generated ES module in a process of Node's, in float64 and one thread, into memory that
    is there: a call is one line to the process and one back."""
    from codegen.targets.javascript_node import find_node

    z = given[case.main]
    if z.dtype != np.float64 or case.name == "linear":
        return None
    place, name = _files(case, "javascript")
    folder, packed = place.parent, []
    for key, array in given.items():
        kind = "labels" if array.dtype.kind in "iu" else "numbers"
        array.astype(np.int32 if kind == "labels" else np.float64).tofile(folder / key)
        packed.append((key, kind, str(folder / key)))
    words = {"module": place.as_uri(), "name": f"{name}_value_and_gradient", "main": case.main}
    request = json.dumps({**words, "rows": len(z), "given": packed})
    node = subprocess.Popen(
        [find_node(), "--input-type=module", "-e", NODE, request],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(node.kill)
    assert node.stdin is not None
    assert node.stdout is not None
    calls, answers, kept = node.stdin, node.stdout, list[tuple[Any, Any]]()

    def work() -> tuple[Any, Any]:
        calls.write(f"{folder}\n")
        calls.flush()
        if answers.readline() != "done\n":
            raise RuntimeError("Node ended")
        if not kept:
            slope = np.fromfile(folder / "slope").reshape(z.shape)
            kept.append((np.fromfile(folder / "loss"), slope))
        return kept[0]

    return work
