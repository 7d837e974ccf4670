"""The whole-array writer: straight-line code in a dialect, and the hooks of sharded targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import samples
from structures import REPRESENTATIVES

import codegen
import derive
from codegen.builder import KernelFunction
from codegen.emit import render
from codegen.kernel import Contract, Reduce
from codegen.targets.array_dialect import Hooks
from codegen.targets.array_lines import array_lines
from codegen.targets.numpy import HELPERS, safe_names
from codegen.targets.numpy_dialect import NUMPY


def written(k: KernelFunction, hooks: Hooks) -> tuple[str, dict[str, str]]:
    names = dict(safe_names(k.kernel))
    return "\n".join(array_lines(k.kernel.statements, names, replace(NUMPY, hooks=hooks))), names


def run(k: KernelFunction, text: str, given: dict[str, Any], more: dict[str, Any]) -> Any:
    safe = safe_names(k.kernel)
    space: dict[str, Any] = {"np": np, "dtype": np.dtype("float64"), **samples.SIZES, **more}
    exec(render("numpy_functions.j2", helpers=set(HELPERS)), space)
    space |= {safe[name]: np.asarray(array) for name, array in given.items()}
    with np.errstate(all="ignore"):
        exec(text, space)
    return space


@pytest.mark.parametrize(("name", "labels"), REPRESENTATIVES)
def test_straight_line_code_gives_what_the_kernel_gives(name: str, labels: str) -> None:
    k = codegen.build(derive.load(name), labels=labels)
    given = samples.arrays(k.loss)
    text, names = written(k, Hooks())
    space = run(k, text, given, {})
    loss, slopes = k(**given)
    for key, entry in k.kernel.outputs:
        found, wanted = space[names[entry.tensor.name]], slopes[key] if key else loss
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)
        assert np.shape(found) == np.shape(wanted)


def test_hooks_stand_around_what_a_shard_has_of_an_axis() -> None:
    """Reductions over K, entries at labels, ranges and sizes: each goes through its hook."""
    seen: list[str] = []

    def reduced(statement: Reduce | Contract, text: str) -> str:
        over = "".join(i.axis.name for i in statement.over)
        op = statement.op if isinstance(statement, Reduce) else "product"
        seen.append(f"{op} over {over}")
        return f"collective({text})" if over == "K" else text

    def named(word: str) -> Any:
        return lambda _, text: f"{word}({text})"

    hooks = Hooks(reduced, named("picked"), named("ranged"), named("size"))
    k = codegen.build(derive.load("focal"))
    text, names = written(k, hooks)
    assert set(seen) == {"max over K", "sum over K"}
    assert "z_max = collective(np.max(z, axis=1))" in text
    assert "picked(" in text
    assert "index_N = ranged(np.arange(N))" in text
    given = samples.arrays(k.loss)
    plain = {word: lambda x: x for word in ("collective", "picked", "ranged", "size")}
    space = run(k, text, given, plain)
    np.testing.assert_allclose(space[names["L"]], k(**given)[0], rtol=1e-13)
