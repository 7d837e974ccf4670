"""The Triton target in its interpreter, and its compiler without a GPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
import structures
from general_losses import LOSSES

import codegen
import derive
from codegen.accuracy import measure
from codegen.builder import KernelFunction
from codegen.cli import main
from codegen.schedule import Phase
from codegen.schedule.passes import in_one_pass
from codegen.targets.target import Misfit
from codegen.targets.triton_plan import plan_of
from derive.errors import KernelError

INF, NAN = np.inf, np.nan
BLOCKS = {"TILE": 8, "BLOCK": 8}
VARIANTS = tuple(
    v for v in structures.library_variants() if v[0] not in structures.MISFITS["triton"]
)
# Of the losses of the tests, those whose rows need one loop at a time.
GENERAL = (
    *("class weights", "temperature", "two softmaxes", "likelihood", "multiclass hinge"),
    *("maximum", "minimum", "product", "cosine", "error function", "conditions"),
    *("half powers", "entropy bonus", "mean and size", "a long line"),
)


@cache
def kernel(name: str, labels: str = "dense", target: str = "triton") -> KernelFunction:
    loss = derive.parse(LOSSES[name] + "\n", "general") if name in LOSSES else derive.load(name)
    return codegen.build(loss, target, labels=labels)


def called(k: KernelFunction, given: dict[str, Any], **how: Any) -> tuple[Any, dict[str, Any]]:
    """The results with other sizes of blocks, or computed in another dtype."""
    functions: Any = k.functions
    usual = functions["_run"]
    functions["_run"] = partial(usual, **how)
    try:
        return k(**given)
    finally:
        functions["_run"] = usual


def agree(found: Any, expected: Any, rtol: float, atol: float) -> None:
    np.testing.assert_allclose(found[0], expected[0], rtol=rtol, atol=atol)
    for wrt, slope in expected[1].items():
        np.testing.assert_allclose(found[1][wrt], slope, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("name", "labels"), [*VARIANTS, *((name, "dense") for name in GENERAL)])
def test_rows_in_blocks_are_those_of_numpy(name: str, labels: str) -> None:
    """Rows longer than a block, in blocks that do not divide them: every loss that fits."""
    k = kernel(name, labels)
    given = samples.arrays(k.loss, {"N": 5, "K": 21, "D": 11}, seed=1)
    largest = max(1.0, *(float(np.max(np.abs(x))) for x in given.values()))
    agree(called(k, given, settings=BLOCKS), kernel(name, labels, "numpy")(**given), 1e-11,
          1e-13 * largest)  # fmt: skip


ROWS = np.array(
    [
        [0.0] * 19,
        [INF, *[0.0] * 18],
        [NAN, *[1.0] * 18],
        [-INF] * 19,
        [*[-INF] * 12, 3.0, *[-INF] * 6],
        [*[-INF] * 18, -1e30],
        [5.0, *[1.0] * 8, 5.0, *[2.0] * 8, 5.0],
        [*range(19)],
        [*range(18, -1, -1)],
        [1e30, *[-1e30] * 17, 1e30],
        [*[3.0] * 16, NAN, 1.0, 1.0],
        [*[3.0] * 8, -INF, *[4.0] * 9, INF],
    ]
)


@pytest.mark.parametrize("label", [0, 7, 8, 12, 18])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hard_rows_with_the_label_in_each_block(label: int, dtype: Any) -> None:
    """Infinities, NaN and ties in any block, whichever of them holds the label."""
    given = {"a": ROWS.astype(dtype), "y": np.full(len(ROWS), label)}
    expected = kernel("softmax_cross_entropy", "index", "numpy")(**given)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    k = kernel("softmax_cross_entropy", "index")
    agree(called(k, given, settings=BLOCKS), expected, tolerance, tolerance * 1e-3)
    agree(k(**given), expected, tolerance, tolerance * 1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("labels", ["dense", "index"])
def test_half_precision_is_computed_in_single(dtype: str, labels: str) -> None:
    """The loss is as good as single precision; the gradient is rounded once."""
    given = samples.arrays(kernel("softmax_cross_entropy", labels).loss, {"N": 4, "K": 40})
    short = {k: (x * 8).round() / 8 if x.dtype.kind == "f" else x for k, x in given.items()}
    single = {k: x.astype(np.float32) if x.dtype.kind == "f" else x for k, x in short.items()}
    loss, found = called(kernel("softmax_cross_entropy", labels), single, dtype=dtype)
    expected, slopes = kernel("softmax_cross_entropy", labels, "numpy")(**short)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    # A GPU rounds to the nearest; the interpreter cuts off what bfloat16 does not hold.
    unit = 2.0**-7 if dtype == "bfloat16" else 2.0**-11
    np.testing.assert_allclose(found["a"], slopes["a"], rtol=1.01 * unit, atol=1e-7)


def test_products_take_chunks_of_rows() -> None:
    """The logits of a linear head are never whole, and are overwritten by their gradient."""
    k = kernel("linear_softmax_cross_entropy", "index")
    given = samples.arrays(k.loss, {"N": 7, "K": 5, "D": 3})
    expected = kernel("linear_softmax_cross_entropy", "index", "numpy")(**given)
    agree(called(k, given, settings={"CHUNK_BYTES": 3 * 5 * 8}), expected, 1e-12, 1e-14)
    assert plan_of(k.kernel).over == {"term_2": "product"}


@pytest.mark.parametrize(
    ("name", "passes", "sums"),
    [
        ("softmax_cross_entropy", 2, 1),
        ("distillation", 3, 2),
        ("jensen_shannon", 3, 1),
        ("multiclass_hinge", 2, 0),
    ],
)
def test_maxima_take_their_sums_along(name: str, passes: int, sums: int) -> None:
    schedule = plan_of(kernel(name).kernel).schedule
    (phase,) = schedule.phases
    assert isinstance(phase, Phase)
    found = in_one_pass(phase.loops, schedule.rooms)
    assert sum(bool(each.loop.indices) for each in found) == passes
    assert sum(len(each.along) for each in found) == sums


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("U: input[N, D]\nL = sum(U[i, d]**2 for i in N for d in D)", "joins the rows"),
        ("a: input[T, K]\nL = sum(a[s, k]**2 for s in T for k in K)", "N, T, K inside one another"),
        ("a: input[T, K]\nt: target[T] in K\nL = sum(a[s, t[s]] for s in T)", "t has other labels"),
        ("z: input\nc: param\nL = 3*c", "grad_c is the same for all rows"),
    ],
)
def test_a_misfit_names_what_does_not_fit(text: str, why: str) -> None:
    with pytest.raises(Misfit, match=rf"^target triton: misfit.*{why}.*; use target='torch'$"):
        codegen.build(derive.parse(text + "\n", "misfit"), "triton")


def test_what_the_library_leaves_out() -> None:
    for name in structures.MISFITS["triton"]:
        with pytest.raises(Misfit):
            kernel(name)


def test_a_function_that_triton_lacks() -> None:
    with pytest.raises(KernelError, match=r"^the target triton has no lgamma$"):
        codegen.build(derive.parse("z: input > 0\nL = lgamma(z)\n", "x"), "triton", wrt=[])


@pytest.mark.parametrize("name", ["focal", "linear_softmax_cross_entropy_labels"])
def test_the_self_test_of_a_generated_file(name: str, root: Path) -> None:
    path = root / "generated" / "triton" / f"{name}.py"
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith("checks, 0 failed")
    assert "gradcheck by" in done.stdout


def process(script: str, *words: str, interpreted: bool = True) -> list[str]:
    """What a script of this folder prints."""
    environment = {key: x for key, x in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"TRITON_INTERPRET": "1"} if interpreted else {}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / script), *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_modules_do_in_pytorch_what_they_say(root: Path) -> None:
    """Reductions, torch.compile, second derivatives, autocast, by autograd in the interpreter."""
    found = process("triton_frameworks.py", str(root / "generated" / "triton"))
    assert found == ["as_torch", "nothing", "compiled", "second", "mapped", "others"]


def test_torch_compile_traces_the_kernels(root: Path) -> None:
    """Two kernels forward (what is the same for all rows, and the rows) and again backward."""
    path = root / "generated" / "triton" / "weighted_softmax_cross_entropy.py"
    assert process("triton_trace.py", str(path), interpreted=False) == ["4"]


COMPILE = """
import importlib.util, sys
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
path, *names = sys.argv[1:]
spec = importlib.util.spec_from_file_location("kernels", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
FIXED = {"HALF": True, "ROWS": 1}
for name in names:
    kernel = getattr(module, name)
    kinds, fixed = {}, {}
    for place, parameter in enumerate(kernel.params):
        stem = parameter.name.removesuffix("_ptr")
        real = "*fp32" if stem in ("loss", "scale") else "*bf16"
        real = "*i64" if stem in module._LABELS else real
        kinds[parameter.name] = real if parameter.name.endswith("_ptr") else "i32"
        if parameter.is_constexpr:
            kinds[parameter.name] = "constexpr"
            fixed[(place,)] = FIXED.get(parameter.name, 4096)
    source, target = ASTSource(kernel, kinds, fixed), GPUTarget("cuda", 90, 32)
    built = compile(source, target=target, options={"num_warps": 16, "enable_fp_fusion": False})
    print(name, "ex2.approx" in built.asm["ptx"], len(built.asm["cubin"]) > 0)
"""


def test_kernels_compile_for_a_gpu_that_is_not_there(root: Path) -> None:
    path = root / "generated" / "triton" / "linear_softmax_cross_entropy_labels.py"
    names = ("_both_1_tile", "_both_1_blocks")
    environment = {key: x for key, x in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(path), *names],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stdout.splitlines() == [f"{name} True True" for name in names], done.stderr


def test_logarithms_below_the_normal_numbers() -> None:
    """A GPU's own flushes such a number to 0: it is lifted before, and what that adds taken off."""
    p = np.array([[1e-40, 1.0]], np.float32)
    loss, _ = kernel("cross_entropy")(p=p, y=np.array([[1.0, 0.0]], np.float32))
    np.testing.assert_allclose(loss, -np.log(p[:1, 0].astype(float)), rtol=1e-6)


def test_errors_and_what_is_said_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The algorithm's errors, in the interpreter; and that a GPU has more of its own."""
    regimes = ("moderate", "margin far above", "offset 1e4", "ties")
    loss = derive.load("weighted_softmax_cross_entropy")
    found = list(measure(loss, ("triton",), regimes=regimes))
    assert len(found) == 2 * len(regimes)
    assert max(row.worst for row in found) < 8
    options = ["verify", "huber", "--accuracy", "--target", "triton", "--dtype", "float32"]
    assert main(options) == 0
    assert "NVIDIA GPU adds up to 3 ULP" in capsys.readouterr().out


def test_no_triton_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "triton" else find(name)
    )
    k = codegen.build(derive.load("huber"), "triton")
    with pytest.raises(KernelError, match=r"^triton is not installed: pip install .*'numpy'"):
        k(**samples.arrays(k.loss))


def test_nothing_is_imported_and_no_variable_is_set(tmp_path: Path) -> None:
    """The interpreter is chosen in a process of its own."""
    code = (
        "import os, sys; sys.path.insert(0, 'tests'); import samples, codegen, derive\n"
        "k = codegen.build(derive.load('huber'), 'triton')\n"
        "print(k(**samples.arrays(k.loss))[0].shape)\n"
        "assert not {'triton', 'torch'} & set(sys.modules)\n"
        "assert 'TRITON_INTERPRET' not in os.environ\n"
    )
    env = {key: x for key, x in os.environ.items() if key != "TRITON_INTERPRET"}
    env["PMINUSY_CACHE"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=env, capture_output=True, text=True
    )
    assert done.stdout == "(4,)\n", done.stderr
