"""Run by test_triton_target.py in a process of its own: torch.compile traces the kernels for a GPU
that is not there.  Prints how often a kernel occurs in the joint graph of both passes."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import torch
import triton
from functorch.compile import default_partition
from torch._dynamo.backends.common import aot_autograd
from triton.backends.compiler import GPUTarget


class Driver:
    """What a trace asks of a GPU's driver."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)


class Traced(Exception):
    """Nothing can run."""


def stop(*_: Any) -> Any:
    def run(*_: Any) -> None:
        raise Traced

    return run


graphs: list[Any] = []


def partition(joint: Any, *rest: Any, **named: Any) -> Any:
    graphs.append(joint)
    return default_partition(joint, *rest, **named)


triton.runtime.driver.set_active(Driver())
spec = importlib.util.spec_from_file_location("generated", sys.argv[1])
assert spec is not None
assert spec.loader is not None
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
given = (torch.randn(6, 7, requires_grad=True), torch.rand(7), torch.tensor([0, 1, 2, 3, 4, -100]))


def loss(a: Any, *rest: Any) -> Any:
    return module._both(a, *rest, -100, 0.1, torch.full((), 1 / 6).expand(6))[1] * 2


backend = aot_autograd(fw_compiler=stop, bw_compiler=stop, partition_fn=partition)
try:
    torch.compile(loss, backend=backend, fullgraph=True)(*given)
except Traced:
    (joint,) = graphs
    print(sum("triton_kernel" in str(node.target) for node in joint.graph.nodes))
