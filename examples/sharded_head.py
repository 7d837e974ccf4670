"""A language model whose output layer is split over processes, trained with a generated kernel.

    torchrun --nproc-per-node 2 examples/sharded_head.py

A text is made here from a small grammar.  Two words go in, embedded and through a tanh layer; the
next one is predicted by a linear layer and softmax cross-entropy, of which each process holds the
weights of its part of the vocabulary.  dL/dx is a sum over the vocabulary, so that the derived
backward pass has one all-reduce, of dx; the rest of the model is the same on every process.  The
first process then trains the same model whole, and compares the losses.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch
import torch.distributed as dist

import derive
from codegen.sharding import build_sharded

WORDS = {
    "the": ("cat", "dog", "gradient", "loss", "kernel"),
    "noun": ("sees", "follows", "derives", "proves", "likes"),
    "verb": ("the", "a", "every"),
}


def text(length: int, seed: int = 0) -> list[str]:
    """Sentences such as `the cat derives a loss .`"""
    drawn = random.Random(seed)
    words: list[str] = []
    while len(words) < length:
        words += [drawn.choice(WORDS["verb"]), drawn.choice(WORDS["the"])]
        words += [drawn.choice(WORDS["noun"]), drawn.choice(WORDS["verb"])]
        words += [drawn.choice(WORDS["the"]), drawn.choice((".", "and"))]
    return words[:length]


def generated() -> tuple[ModuleType, tuple[str, ...]]:
    """The module of the sharded kernel, and the messages that it sends."""
    loss = derive.load("linear_softmax_cross_entropy")
    kernel = build_sharded(loss, ("K",), "torch", labels="index")
    ((name, source),) = kernel.files.items()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(source, "utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    forward, backward = kernel.program.collectives()
    return module, (f"{len(forward)} all-reduces forward", f"{len(backward)} backward")


def parameters(size: int, width: int) -> dict[str, torch.Tensor]:
    """The same first weights on every process."""
    drawn = torch.Generator().manual_seed(0)
    shapes = {"E": (size, width), "V": (2 * width, width), "W": (size, width), "b": (size,)}
    return {
        name: torch.randn(*shape, generator=drawn, dtype=torch.float64) / shape[-1] ** 0.5
        for name, shape in shapes.items()
    }


def train(
    head: ModuleType, words: list[str], group: dist.ProcessGroup | None, steps: int
) -> list[float]:
    """The losses of a full-batch gradient descent; the head is split over the group."""
    vocabulary = sorted(set(words))
    numbers = torch.tensor([vocabulary.index(word) for word in words])
    context, target = torch.stack([numbers[:-2], numbers[1:-1]], 1), numbers[2:]
    whole = parameters(len(vocabulary), 16)
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    for name in ("W", "b"):
        whole[name] = whole[name].tensor_split(world)[rank].clone()
    moved = [x.requires_grad_() for x in whole.values()]
    part = head.part(len(whole["b"]), group)
    call = head.linear_softmax_cross_entropy_sharded_K
    losses = []
    for _ in range(steps):
        x = torch.tanh(whole["E"][context].flatten(1) @ whole["V"])
        loss = call(x, whole["W"], whole["b"], target, over_K=group, part_K=part, reduction="mean")
        slopes = torch.autograd.grad(loss, moved)
        with torch.no_grad():
            for value, slope in zip(moved, slopes, strict=True):
                value -= slope
        losses.append(float(loss.detach()))
    return losses


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    alone = [dist.new_group([rank]) for rank in range(dist.get_world_size())]
    head, messages = generated()
    words = text(600)
    losses = train(head, words, dist.group.WORLD, options.steps)
    if dist.get_rank() == 0:
        dense = train(head, words, alone[0], options.steps)
        print(
            f"{len(set(words))} words over {dist.get_world_size()} processes, {', '.join(messages)}"
        )
        for step in range(0, options.steps, max(1, options.steps // 8)):
            print(f"step {step:3}   split {losses[step]:.12f}   whole {dense[step]:.12f}")
        worst = max(abs(x / y - 1) for x, y in zip(losses, dense, strict=True))
        print(f"largest relative difference of the losses: {worst:.1e}")
        if not worst < 1e-12:
            return 1
    dist.barrier()
    dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
