"""The C target as C programmers check it: warnings, C++, other compilers, sanitizers, threads."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples

import codegen
import derive
from codegen import compile
from codegen.builder import KernelFunction, dense_target
from codegen.targets.c import functions
from codegen.targets.c_function import Function
from derive.errors import KernelError

VARIANTS = [
    (name, labels)
    for name in derive.library()
    for labels in ("dense", "index")
    if labels == "dense" or dense_target(derive.load(name))
]
variants = pytest.mark.parametrize(("name", "labels"), VARIANTS)
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only")
COMPILERS = {
    "gcc": ("gcc", "-std=c99", "-fopenmp"),
    "gcc without OpenMP": ("gcc", "-std=c99"),
    "clang": ("clang", "-std=c99"),
    "C++": ("g++", "-std=c++11", "-x", "c++"),
}
SIZES = {"N": 67, "K": 3, "D": 2}


@cache
def kernel(name: str, labels: str) -> KernelFunction:
    return codegen.build(derive.load(name), "c", labels=labels)


def write(k: KernelFunction, folder: Path) -> Path:
    """The C files of a kernel; the path of the .c file."""
    for file, text in k.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder / f"{k.kernel.name}.c"


@variants
@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiles_without_a_warning(
    name: str, labels: str, compiler: str, tmp_path: Path, require: Callable[[str], str]
) -> None:
    program, *words = COMPILERS[compiler]
    source = write(kernel(name, labels), tmp_path)
    command = [require(program), *words, *STRICT, "-DPM_FEW=3", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def driver(k: KernelFunction, found: tuple[Function, ...], every: list[dict[str, int]]) -> str:
    """A program that calls each function on memory of exactly the size that it may touch."""
    tensors = {given.name: given.tensor for given in k.kernel.inputs}
    outputs = {key: entry.tensor.axes for key, entry in k.kernel.outputs}
    lines = []
    for function, sizes in product(found, every):
        real, call, made = function.real, [], []
        for p in function.parameters:
            if p.kind == "size":
                call.append(str(sizes[p.of]))
            elif p.kind in ("array", "result"):
                axes = tensors[p.of].axes if p.kind == "array" else outputs[p.of]
                count = int(np.prod([sizes[axis.name] for axis in axes], dtype=int))
                label = p.kind == "array" and tensors[p.of].label is not None
                kind = "int64_t" if label else real
                made.append(
                    f"{kind} *{p.name} = ({kind} *)malloc({max(count, 1)} * sizeof({kind}));"
                )
                # Values from 0.2 to 0.8 lie in every domain; labels count up and wrap.
                last = sizes[tensors[p.of].label.name] if label else 7
                value = f"i % {last}" if label else f"({real})(0.2 + 0.6 * (i % {last}) / {last})"
                made.append(f"for (int i = 0; i < {count}; ++i) {p.name}[i] = {value};")
                call.append(p.name)
            elif p.kind in ("stride", "result stride"):
                axes = tensors[p.of].axes if p.kind == "stride" else outputs[p.of]
                call.append(str(int(np.prod([sizes[a.name] for a in axes[1:]], dtype=int))))
            elif p.kind in ("number", "label"):
                call.append("1" if p.kind == "label" else f"({real})0.5")
            elif p.kind == "scale":
                call.append("0.5")
            else:
                arguments = ", ".join(str(sizes[s]) for s in function.sizes)
                made.append(f"void *room = malloc({function.name}_workspace({arguments}) + 1);")
                call.append("room")
        names = [line.split("*")[1].split()[0] for line in made if "malloc" in line]
        body = [*made, f"bad |= {function.name}({', '.join(call)});"]
        body += [f"free({each});" for each in names]
        lines.append("{ " + "\n  ".join(body) + " }")
    text = "\n".join(lines)
    return (
        f'#include "{k.kernel.name}.h"\n#include <stdlib.h>\n'
        f"int main(void)\n{{\nint bad = 0;\n{text}\nreturn bad;\n}}\n"
    )


@variants
def test_sanitizers_find_nothing(
    name: str, labels: str, tmp_path: Path, require: Callable[[str], str]
) -> None:
    """Out of bounds, misaligned, overflowing or undefined: none of it, in both layouts."""
    k = kernel(name, labels)
    source = write(k, tmp_path)
    found = tuple(f for dtype in ("float32", "float64") for f in functions(k.kernel, dtype))
    (tmp_path / "main.c").write_text(
        driver(k, found, [{**SIZES, "K": size} for size in (3, 20, 1030)])
    )
    program = tmp_path / "program"
    command = [
        *(require("gcc"), "-std=c99", "-O1", "-g", "-fsanitize=address,undefined"),
        *("-fno-sanitize-recover=all", "-fno-math-errno", "-DPM_FEW=3"),
        *("-o", str(program), str(source), str(tmp_path / "main.c"), "-lm"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@variants
def test_threads_do_not_change_a_bit(name: str, labels: str) -> None:
    k = kernel(name, labels)
    given = samples.arrays(k.loss, {"N": 131, "K": 20, "D": 5})
    results = []
    for threads in (1, 3):
        with running(k, threads):
            loss, found = k(**given)
        results.append([loss.tobytes(), *(found[w].tobytes() for w in k.wrt)])
    assert results[0] == results[1]


@contextmanager
def running(k: KernelFunction, threads: int) -> Iterator[None]:
    """With this many threads, as the library's own OpenMP counts them."""
    sources = {file: text for file, text in k.files.items() if not file.endswith(".py")}
    openmp = ctypes.CDLL(str(compile.library(sources, k.kernel.name)))
    before = openmp.omp_get_max_threads()
    openmp.omp_set_num_threads(threads)
    try:
        assert openmp.omp_get_max_threads() == threads
        yield
    finally:
        openmp.omp_set_num_threads(before)


def given_for(k: KernelFunction, **sizes: int) -> dict[str, Any]:
    return samples.arrays(k.loss, {**SIZES, **sizes})


@pytest.mark.parametrize("size", [3, 20])
def test_results_into_memory_of_the_caller(size: int) -> None:
    k = kernel("softmax_cross_entropy", "index")
    given = given_for(k, K=size)
    loss, found = k(**given)
    out = {"loss": np.empty(67), "a": np.empty((67, size))}
    again, same = k(**given, out=out)
    assert same["a"] is out["a"]
    np.testing.assert_array_equal(again, loss)
    np.testing.assert_array_equal(same["a"], found["a"])


@pytest.mark.parametrize("size", [3, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_place(size: int, dtype: Any) -> None:
    k = kernel("softmax_cross_entropy", "index")
    given = given_for(k, K=size)
    given["a"] = given["a"].astype(dtype)
    loss, found = k(**given)
    again, same = k(**given, out={"a": given["a"]})
    np.testing.assert_array_equal(again, loss)
    np.testing.assert_array_equal(given["a"], found["a"])
    assert same["a"] is given["a"]


def test_rows_with_gaps() -> None:
    k = kernel("softmax_cross_entropy", "index")
    given = given_for(k, K=20)
    wide = np.full((67, 29), np.nan)
    wide[:, :20] = given["a"]
    room = np.full((67, 23), np.nan)
    loss, found = k(**given)
    again, same = k(a=wide[:, :20], y=given["y"], out={"a": room[:, :20]})
    np.testing.assert_array_equal(again, loss)
    np.testing.assert_array_equal(same["a"], found["a"])
    assert np.all(np.isnan(room[:, 20:]))


def test_out_that_does_not_fit() -> None:
    k = kernel("softmax_cross_entropy", "index")
    given = given_for(k)
    with pytest.raises(ValueError, match=r"^out: a has to be a dense, writable float64 array"):
        k(**given, out={"a": np.empty((67, 4))})
    with pytest.raises(ValueError, match=r"^out: 'b' is no result"):
        k(**given, out={"b": np.empty((67, 3))})
    room = np.zeros((68, 3))
    with pytest.raises(ValueError, match=r"^out: a overlaps the argument a$"):
        k(a=room[1:], y=given["y"], out={"a": room[:-1]})


def test_a_wrong_label_poisons_its_row(tmp_path: Path, require: Callable[[str], str]) -> None:
    """Without the Python checks: status 1, NaN in that row, the others as they should be."""
    k = kernel("softmax_cross_entropy", "index")
    source = write(k, tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "softmax_cross_entropy.h"\n'
        "int main(void)\n{\n"
        "double a[6] = {0, 0, 0, 0, 0, 0}, loss[2], da[6];\n"
        "const int64_t y[2] = {7, 1};\n"
        "int status = pminusy_softmax_cross_entropy_f64(2, 3, a, 3, y, loss, da, 3, 1.0, 0);\n"
        "int poisoned = loss[0] != loss[0] && da[0] != da[0] && da[2] != da[2];\n"
        "return !(status == 1 && poisoned && loss[1] > 1.09 && da[4] < -0.6 && da[3] > 0.3);\n}\n"
    )
    for few in ((), ("-DPM_FEW=3",)):
        program = tmp_path / "program"
        main = str(tmp_path / "main.c")
        words = ["-std=c99", "-O2", *few, "-o", str(program), str(source), main, "-lm"]
        subprocess.run([require("gcc"), *words], check=True)
        assert subprocess.run([str(program)], check=False).returncode == 0


def test_no_compiler_names_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("PMINUSY_CACHE", str(tmp_path))
    k = codegen.build(derive.load("huber"), "c")
    with pytest.raises(KernelError, match=r"no C compiler is here .*'no-such-compiler'.*numpy"):
        k(**samples.arrays(k.loss))


def test_two_processes_build_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); import samples, codegen, derive\n"
        "k = codegen.build(derive.load('huber'), 'c')\n"
        "print(k(**samples.arrays(k.loss))[0].sum())\n"
    )
    env = {**os.environ, "PMINUSY_CACHE": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    texts = {process.communicate()[0] for process in running}
    assert len(texts) == 1
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(list(tmp_path.glob("*.so"))) == 1
    assert not list(tmp_path.glob("build-*"))


@pytest.mark.parametrize("name", ["linear_softmax_cross_entropy", "linear_sigmoid_cross_entropy"])
def test_products_by_a_library_and_by_loops(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several chunks of rows, with the system's BLAS and without it."""
    if not compile.blas(compile.find_compiler()):
        pytest.skip("no BLAS is installed: apt-get install libopenblas-dev")
    given = samples.arrays(derive.load(name), {"N": 700, "K": 20, "D": 33})
    expected = codegen.build(derive.load(name), "numpy")(**given, reduction="mean")
    for found in (compile.blas, lambda compiler: ()):
        monkeypatch.setattr(compile, "blas", found)
        k = codegen.build(derive.load(name), "c")
        loss, slopes = k(**given, reduction="mean")
        np.testing.assert_allclose(loss, expected[0], rtol=1e-13)
        for wrt in k.wrt:
            np.testing.assert_allclose(slopes[wrt], expected[1][wrt], rtol=1e-11, atol=1e-16)
