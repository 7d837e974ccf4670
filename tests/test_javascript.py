"""The JavaScript target as its users meet it: called from JavaScript, under Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import samples
from mpmath import mp, mpf
from structures import library_variants

import codegen
import derive
from codegen.accuracy import measure
from codegen.builder import KernelFunction
from codegen.targets import javascript_node
from codegen.targets.javascript_dialect import HELPERS, helpers
from derive.errors import KernelError

Run = Callable[[str, str], Any]


@cache
def kernel(name: str, labels: str = "dense", target: str = "javascript") -> KernelFunction:
    return codegen.build(derive.load(name), target, labels=labels)


@pytest.fixture
def run(tmp_path: Path, require: Callable[[str], str]) -> Run:
    """`run(module, script)`: what the script logs as JSON, with the module's names as `m`."""
    node = require("node")

    def script(source: str, text: str) -> Any:
        (tmp_path / "m.mjs").write_text(source, encoding="utf-8")
        (tmp_path / "main.mjs").write_text(f'import * as m from "./m.mjs";\n{text}')
        command = [node, str(tmp_path / "main.mjs")]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return script


CE = "const a = Float64Array.of(1, 2, 3, 0, 0, 0); const y = [2, 0];\n"


def test_called_as_documented(run: Run) -> None:
    found = run(
        kernel("softmax_cross_entropy", "index").source,
        f"""{CE}
        const loss = m.softmax_cross_entropy({{ a, y, N: 2, K: 3 }});
        const all = m.softmax_cross_entropy_value_and_gradient({{ a, y }}, {{ reduction: "mean" }});
        const slopes = m.softmax_cross_entropy_gradient({{ a, y: Int32Array.from(y) }});
        console.log(JSON.stringify({{
          names: Object.keys(m), kind: loss.constructor.name, loss: [...loss], mean: all.loss,
          means: [...all.gradients.a], slopes: [...slopes.a], unchanged: [...a],
        }}));""",
    )
    rows = np.array([[1.0, 2, 3], [0, 0, 0]])
    p = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    expected = -np.log(p[[0, 1], [2, 0]])
    slopes = p - np.eye(3)[[2, 0]]
    stem = "softmax_cross_entropy"
    assert found["names"] == [stem, f"{stem}_gradient", f"{stem}_value_and_gradient"]
    assert found["kind"] == "Float64Array"
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-14)
    np.testing.assert_allclose(found["mean"], expected.mean(), rtol=1e-14)
    np.testing.assert_allclose(found["slopes"], slopes.ravel(), rtol=1e-14)
    np.testing.assert_allclose(found["means"], slopes.ravel() / 2, rtol=1e-14)
    assert found["unchanged"] == [1, 2, 3, 0, 0, 0]


WRONG = {
    "m.f({ a, y, b: 1 })": "TypeError: b: no such argument",
    "m.f({ a })": "TypeError: y: expected an Int32Array or an array of labels, found nothing",
    "m.f({ a: [1, 2], y })": "TypeError: a: expected a Float64Array, found Array",
    "m.f({ a: new Float32Array(6), y })": "TypeError: a: expected a Float64Array, "
    "found Float32Array",
    "m.f({ a, y: [2, 3] })": "RangeError: y[1] is 3, expected a label: an integer from 0 to 2",
    "m.f({ a, y: [0.5, 0] })": "RangeError: y[0] is 0.5, expected a label: an integer from 0 to 2",
    "m.f({ a, y: [0, ,] })": "RangeError: y[1] is undefined, expected a label: an integer "
    "from 0 to 2",
    "m.f({ a, y, K: 2 })": "RangeError: y: expected N = 3 entries, found 2",
    "m.f({ a, y, N: -1 })": "TypeError: N: expected a size, found -1",
    "m.f({ a: new Float64Array(0), y: [] })": "TypeError: K: expected the size of this axis",
    "m.f({ a: new Float64Array(0), y: [0] })": "RangeError: axis K is empty: expected at least "
    "one entry",
    "m.f()": "TypeError: expected an object with the arguments by name",
    "m.f({ a, y }, { mean: true })": "TypeError: mean: no such option",
    "m.f({ a, y }, { reduction: 'median' })": "TypeError: reduction: expected none, sum or mean, "
    "found median",
    "m.f({ a, y }, { onEmpty: 0 })": "TypeError: onEmpty: expected nan or zero, found 0",
    "m.f({ a, y }, { out: { gradients: { b: a } } })": "TypeError: out.gradients.b: no such result",
    "m.f({ a, y }, { out: { loss: [0, 0] } })": "TypeError: out.loss: expected a Float64Array",
    "m.f({ a, y }, { out: { loss: a } })": "RangeError: out.loss: expected N = 2 entries, found 6",
    "m.f({ a, y }, { out: { loss: a.subarray(1, 3) } })": "RangeError: out.loss: overlaps the "
    "argument a",
}


def test_errors_are_one_sentence(run: Run) -> None:
    loss = replace(derive.load("softmax_cross_entropy"), name="f")
    calls = ",\n".join(f"() => {call}" for call in WRONG)
    found = run(
        codegen.build(loss, "javascript", labels="index").source,
        f"""{CE}
        const said = (call) => {{
          try {{ return String(call()); }} catch (error) {{ return String(error); }}
        }};
        console.log(JSON.stringify([{calls}].map(said)));""",
    )
    assert found == list(WRONG.values())


def test_results_in_memory_of_the_caller(run: Run) -> None:
    """The gradient may replace its argument; an array of another realm is an array."""
    loss, plain, again, same, theirs = run(
        kernel("softmax_cross_entropy", "index").source,
        f"""import {{ runInNewContext }} from "node:vm";
        {CE}
        const call = m.softmax_cross_entropy_value_and_gradient;
        const before = call({{ a, y }});
        const foreign = runInNewContext("Float64Array.of(1, 2, 3, 0, 0, 0)");
        const theirs = call({{ a: foreign, y }}).loss;
        const loss = new Float64Array(2);
        const after = call({{ a, y }}, {{ out: {{ loss, gradients: {{ a }} }} }});
        const same = after.loss === loss && after.gradients.a === a;
        console.log(JSON.stringify(
          [[...before.loss, ...before.gradients.a], [...loss, ...a], same, [...theirs]]
            .flatMap((x, k) => k === 0 ? [x.slice(0, 2), x] : [x])));""",
    )
    assert same is True
    assert plain == again
    assert theirs == loss


def test_empty_batches(run: Run) -> None:
    found = run(
        kernel("softmax_cross_entropy", "index").source,
        """const given = { a: new Float64Array(0), y: [], K: 3 };
        const call = (options) => m.softmax_cross_entropy(given, options);
        console.log(JSON.stringify([
          call().length, call({ reduction: "sum" }), Number.isNaN(call({ reduction: "mean" })),
          call({ reduction: "mean", onEmpty: "zero" })]));""",
    )
    assert found == [0, 0, True, 0]


def test_a_loss_over_the_whole_batch_is_a_number(run: Run) -> None:
    k = kernel("info_nce")
    given = samples.arrays(k.loss)
    words = {g.name: g for g in k.kernel.inputs}
    fields = ", ".join(
        f"{name}: {float(x)}"
        if not words[name].tensor.axes
        else f"{name}: Float64Array.of({', '.join(map(repr, np.ravel(x).tolist()))})"
        for name, x in given.items()
    )
    sizes = ", ".join(f"{axis}: {samples.SIZES[axis]}" for axis in ("N", "D"))
    found = run(k.source, f"console.log(JSON.stringify(m.info_nce({{ {fields}, {sizes} }})));")
    np.testing.assert_allclose(found, kernel("info_nce", target="numpy")(**given)[0], rtol=1e-13)


NAMES = [
    ("function: input[IF]\nvar: const = 2\nnew[i] = var*function[i]\n"
     "L = sum(new[i]**2 for i in IF)/IF", "switch", "function"),
    ("constructor: input[Math]\ntoString: const = 2\nthen: target[Math]\n"
     "L = sum((constructor[i]*toString - then[i])**2 for i in Math)", "sigmoid", "constructor"),
    ("Infinity: input[NaN]\nundefined: const = 3\n"
     "L = undefined*sum(Infinity[i]**2 for i in NaN)/NaN", "eval", "Infinity"),
    ("γ: input[K]\nscale: const = 2\nrow: const = 3\nat: const = 1\n"
     "L = sum(scale*γ[i]**2*row*at for i in K)", "γ", "γ"),
    ("k: input[K]\nloss: target[K]\nloss_all: const = 2\n"
     "L = loss_all*sum((k[i] - loss[i])**2 for i in K)", "m", "k"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "wrt"), NAMES)
def test_words_of_the_language_are_names(text: str, name: str, wrt: str) -> None:
    loss = derive.parse(text + "\n", name=name)
    given = samples.arrays(loss, {"N": 2, **{axis.name: 3 for axis in loss.axes}})
    found = codegen.build(loss, "javascript")(**given)
    expected = codegen.build(loss)(**given)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(found[1][wrt], expected[1][wrt], rtol=1e-14)


TITLES = ("*/ throw 1; /*", "</script><script>alert(1)</script>", "<!-- <script", "a\u2028b\u2029c")


@pytest.mark.parametrize("title", TITLES)
def test_words_can_end_neither_comment_nor_script(title: str, run: Run) -> None:
    loss = derive.parse("z: input\nL = z**2  # */ </script>\n", name="f")
    source = codegen.build(replace(loss, doc=title), "javascript").source
    assert not re.search(r"</|<!--|<script|[\u2028\u2029]", source, re.IGNORECASE)
    assert run(source, "console.log(JSON.stringify([...m.f({ z: Float64Array.of(3) })]));") == [9]


@pytest.mark.parametrize(("name", "labels"), library_variants())
def test_modules_stand_alone(name: str, labels: str) -> None:
    """No imports, nothing of the network, nothing of the page: pure functions."""
    source = kernel(name, labels).source
    code = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    assert not re.search(r"\b(import|require|fetch|document|window|process|eval)\b", code)
    assert "float64" in source
    assert "Generated by pminusy" in source


MANY = [
    ("softmax_cross_entropy", "index"),
    ("linear_softmax_cross_entropy", "dense"),
    ("focal", "dense"),
]


@pytest.mark.parametrize(("name", "labels"), MANY)
def test_many_classes(name: str, labels: str) -> None:
    k = kernel(name, labels)
    given = samples.arrays(k.loss, {"N": 67, "K": 1100, "D": 5})
    (loss, found), (expected, slopes) = k(**given), kernel(name, labels, "numpy")(**given)
    np.testing.assert_allclose(loss, expected, rtol=1e-13)
    for wrt in k.wrt:
        np.testing.assert_allclose(found[wrt], slopes[wrt], rtol=1e-11, atol=1e-16)


@pytest.mark.parametrize("name", ["sigmoid_cross_entropy", "log_cosh", "gamma", "binary_focal"])
def test_errors_in_units_of_what_rounding_loses(name: str) -> None:
    for row in measure(derive.load(name), ("javascript",), ("float64",)):
        assert max(row.value_of_terms, row.slope_of_terms) <= 4, row


# The functions that JavaScript lacks, over the arguments that matter; errors in ULP.
NEAR_1_AND_2 = [1 + k / 64 for k in range(-63, 450)]
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[list[float]], float]] = {
    "erf": (mpmath.erf, [[k / 50] for k in range(-350, 351)] + [[1e-300], [5e-324]], 2),
    "erfc": (mpmath.erfc, [[k / 50] for k in range(-350, 1340)] + [[1e-300], [-1e300]], 5),
    "lgamma": (
        mpmath.loggamma,
        [[x] for x in (*NEAR_1_AND_2, 1e-300, 1e-9, 9.5, 33.3, 1e5, 1e15, 1e300)],
        4,
    ),
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), [[k / 7] for k in range(-4900, 4900, 11)], 2.5),
    "softplus": (
        lambda x: mpmath.log1p(mpmath.exp(x)),
        [[k / 7] for k in range(-4900, 4900, 11)],
        2,
    ),
    "exp_difference": (
        lambda x, y: mpmath.exp(mpf(x) - mpf(y)),
        [[1e8 * k, 1e8 * k + d / 7] for k in range(5) for d in range(60)],
        1.1,
    ),
    "power": (
        lambda x, y: mpf(x) ** mpf(y),
        [[x / 9, y / 3] for x in range(1, 40) for y in range(-9, 30)],
        1.1,
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_against_mpmath(name: str, run: Run) -> None:
    exact, places, allowed = FUNCTIONS[name]
    source = helpers([f"_{name}()"]) + f"\nexport const f = _{name};\n"
    found = run(source, f"console.log(JSON.stringify({places}.map((x) => m.f(...x))));")
    worst = 0.0
    with mp.workdps(400 if name == "softplus" else 60):
        for place, got in zip(places, found, strict=True):
            true = mpmath.re(exact(*map(mpf, place)))
            if abs(true) >= 5e-324:
                unit = mpf(float(np.spacing(abs(float(true)))))
                worst = max(worst, float(abs(mpf(got) - true) / unit))
    assert worst <= allowed, f"{worst:.2f} ULP"


EDGES = {
    "erf": "[Infinity, -Infinity, NaN, 0, 1e300].map(_erf)",
    "erfc": "[Infinity, -Infinity, NaN, 0, 1e300].map(_erfc)",
    "lgamma": "[Infinity, NaN, 0, 1, 2, -1].map(_lgamma)",
    "sigmoid": "[Infinity, -Infinity, NaN].map(_sigmoid)",
    "softplus": "[Infinity, -Infinity, NaN].map(_softplus)",
    "power": "[[1, Infinity], [0, 0], [0, -1], [Infinity, 0.5]].map((x) => _power(...x))",
    "exp_difference": "[[-Infinity, 0], [0, Infinity], [1e308, -1e308], [-1e308, 1e308], [NaN, 0]]"
    ".map((x) => _exp_difference(...x))",
    "total": "[_total(Infinity, NaN), _total(1, 2), _total(-Infinity, Infinity), _total(NaN, 0)]",
}
VALUES = {
    "erf": ["1", "-1", "NaN", "0", "1"],
    "erfc": ["0", "2", "NaN", "1", "0"],
    "lgamma": ["Infinity", "NaN", "Infinity", "0", "0", "NaN"],
    "sigmoid": ["1", "0", "NaN"],
    "softplus": ["Infinity", "0", "NaN"],
    "power": ["1", "1", "Infinity", "Infinity"],
    "exp_difference": ["0", "0", "Infinity", "0", "NaN"],
    "total": ["Infinity", "3", "-Infinity", "NaN"],
}


@pytest.mark.parametrize("name", EDGES)
def test_functions_at_their_edges(name: str, run: Run) -> None:
    source = helpers([f"_{name}()"]) + f"\nexport const found = {EDGES[name]};\n"
    found = run(source, "console.log(JSON.stringify(m.found.map((x) => String(x + 0))));")
    assert found == VALUES[name]


def test_every_helper_is_written() -> None:
    for name in HELPERS:
        assert f"function _{name}(" in helpers([f"_{name}()"])


# Node


def test_one_process_for_all_kernels_and_a_new_one_after_its_end() -> None:
    def loss(name: str) -> Any:
        k = kernel(name)
        return k(**samples.arrays(k.loss))[0]

    before = loss("huber")
    first = javascript_node.NODE.process
    assert first is not None
    loss("softmax_mse")
    assert javascript_node.NODE.process is first
    first.kill()
    first.wait()
    np.testing.assert_array_equal(loss("huber"), before)
    assert javascript_node.NODE.process is not first


def test_an_error_in_the_module_is_told() -> None:
    with pytest.raises(KernelError, match=r"^the JavaScript kernel: .*nowhere"):
        javascript_node.NODE.ask({"path": "file:///nowhere.mjs", "given": [], "samples": 0})


def test_no_node_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    k = codegen.build(derive.load("huber"), "javascript")
    with pytest.raises(KernelError, match=r"^Node.js is not installed: apt-get .*'numpy'"):
        k(**samples.arrays(k.loss))


def test_float64_only() -> None:
    with pytest.raises(KernelError, match=r"^dtype: expected one of float64, found 'float32'$"):
        codegen.build(derive.load("huber"), "javascript", dtype="float32")


def test_results_in_arrays_of_python() -> None:
    k = kernel("softmax_cross_entropy", "index")
    given = samples.arrays(k.loss)
    loss, found = k(**given)
    out = {"loss": np.empty(4), "a": given["a"]}
    total, same = k(**given, out=out, reduction="sum")
    assert same["a"] is given["a"]
    np.testing.assert_array_equal(out["loss"], loss)
    np.testing.assert_array_equal(same["a"], found["a"])
    np.testing.assert_allclose(total, loss.sum(), rtol=1e-15)


def test_the_gradient_alone_in_python() -> None:
    k = kernel("linear_softmax_cross_entropy")
    given = samples.arrays(k.loss)
    slopes = k.functions["linear_softmax_cross_entropy_gradient"](**given)
    for wrt, slope in k(**given)[1].items():
        np.testing.assert_array_equal(slopes[wrt], slope)
