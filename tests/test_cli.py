"""The command line: what it prints, its exit codes, and one clear line for every mistake."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import derive
from codegen import commands
from codegen.cli import main

CE = "softmax_cross_entropy"
LINEAR = "linear_softmax_cross_entropy"


class Result(SimpleNamespace):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """`run(*arguments)`: the exit code and what was printed."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse ends the program itself
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return Result(code=code, out=out, err=err)

    return call


@pytest.fixture
def loss_file(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "mine.loss"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


# -- what is printed ------------------------------------------------------------------------


def test_list_names_every_loss_with_its_gradient(run: Any) -> None:
    result = run("list")
    assert result.code == 0 and not result.err
    for name in derive.library():
        assert re.search(rf"^{name} ", result.out, re.MULTILINE)
    assert "dL/da[j] = p[j] - y[j]" in result.out
    rows = json.loads(run("list", "--json").out)["losses"]
    assert [row["name"] for row in rows] == list(derive.library())


def test_show_prints_the_text(run: Any) -> None:
    result = run("show", CE)
    assert result.code == 0
    assert result.out.strip() == derive.load(CE).text.strip()
    data = json.loads(run("show", CE, "--json").out)
    assert data == {"name": CE, "text": derive.load(CE).text}


def test_derive_prints_the_result_and_every_step(run: Any) -> None:
    result = run("derive", CE, "--wrt", "a")
    assert result.code == 0 and not result.err
    assert re.search(r"p\[?j\]? [-−] y\[?j\]?|pⱼ − yⱼ", result.out)
    for word in ("chain rule", "simplex"):
        assert word in result.out


def test_derive_as_json_holds_the_derivation(run: Any) -> None:
    first, again = (run("derive", CE, "--wrt", "a", "--json") for _ in range(2))
    assert first.code == 0 and first.out == again.out
    data = json.loads(first.out)
    text = json.dumps(data)
    assert "p[j] - y[j]" in text and "y in simplex" in text
    assert "0x" not in text and str(Path.cwd()) not in text
    both = json.loads(run("derive", LINEAR, "--wrt", "W,b", "--json").out)
    assert len(both) == 2


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((LINEAR, "--wrt", "W", "--to", "latex"), r"\documentclass"),
        ((LINEAR, "--wrt", "W", "--to", "latex", "--fragment"), r"\begin{align"),
        ((CE, "--wrt", "a", "--to", "markdown"), "$$"),
        ((CE, "--of", "p", "--wrt", "a", "--style", "cases"), "if"),
        ((CE, "--wrt", "a", "--order", "2"), "p[i]*(delta(i, j) - p[j])"),
        ((CE, "--wrt", "a", "--properties"), "convexity: proved"),
        (("sigmoid_mse", "--properties"), "convexity: refuted"),
        ((CE, "--stable"), "max"),
        ((LINEAR, "--wrt", "W", "--reduction", "mean"), "/N"),
    ],
)
def test_derive_in_other_forms(arguments: tuple[str, ...], wanted: str, run: Any) -> None:
    result = run("derive", *arguments)
    assert result.code == 0 and not result.err
    assert wanted in result.out


def test_fragment_has_no_preamble(run: Any) -> None:
    assert "documentclass" not in run("derive", CE, "--to", "latex", "--fragment").out


def test_check_prints_a_counterexample(run: Any) -> None:
    result = run("check", CE, "--wrt", "a[j]", "--claim", "y[j] - p[j]")
    assert result.code == 1 and not result.err
    assert result.out.startswith("refuted: ")
    assert "the sign is wrong" in result.out and "K = 2" in result.out
    data = json.loads(run("check", CE, "--wrt", "a[j]", "--claim", "y[j] - p[j]", "--json").out)
    assert data["status"] == "refuted" and data["truth"] == "p[j] - y[j]"
    example = data["counterexample"]
    assert float(example["claimed"]) == -float(example["true"]) != 0
    proved = json.loads(run("check", CE, "--wrt", "a[j]", "--claim", "p[j]-y[j]", "--json").out)
    assert proved["status"] == "proved" and proved["counterexample"] is None
    assert proved["hypotheses"] == ["y in simplex"]


# Numbers of the tutorials, and of a pocket calculator.
EVALUATED = [
    ((CE, "a=1,2,3", "y=0,0,1", "--digits", "2"), {"p": ["0.09", "0.24", "0.67"], "L": "0.41"}),
    (
        (CE, "a=1.4,3.2,5", "y=0,0,1", "--wrt", "a", "--digits", "4"),
        {
            "p": ["0.0229", "0.1386", "0.8385"],
            "L": "0.1762",
            "dL/da": ["0.0229", "0.1386", "-0.1615"],
        },
    ),
    (("mean_squared_error", "z=1/2", "y=-1", "--wrt", "z"), {"L": "1.1250", "dL/dz": "1.5000"}),
    (("sigmoid_cross_entropy", "z=0", "y=1"), {"p": "0.5000", "L": "0.6931"}),
    ((CE, "a=1000,0", "y=0,1", "--digits", "1"), {"p": ["1.0", "0.0"], "L": "1000.0"}),
    (("mean_squared_error", "z=-0.001", "y=0", "--wrt", "z", "--digits", "2"), {"dL/dz": "0.00"}),
]


@pytest.mark.parametrize(("arguments", "wanted"), EVALUATED)
def test_evaluate(arguments: tuple[str, ...], wanted: dict[str, Any], run: Any) -> None:
    values = json.loads(run("evaluate", *arguments, "--json").out)["values"]
    for name, value in wanted.items():
        assert values[name] == value
    plain = run("evaluate", *arguments)
    assert plain.code == 0 and not plain.err
    for name, value in wanted.items():
        shown = f"[{', '.join(value)}]" if isinstance(value, list) else value
        assert re.search(rf"^{name} *= {re.escape(shown)}$", plain.out, re.MULTILINE)


def test_evaluate_the_matrix_of_the_tutorial(run: Any) -> None:
    """One path gives 0 for y_1 = 0; all of them give p_1 x_1 = 0.0229."""
    result = run(
        *("evaluate", LINEAR, "x=1,2,3", "W=.1,.2,.3;.4,.5,.6;.7,.8,.9", "b=0,0,0"),
        *("y=0,0,1", "--wrt", "W", "--json"),
    )
    values = json.loads(result.out)["values"]
    assert values["a"] == ["1.4000", "3.2000", "5.0000"]
    assert values["dL/dW"][0] == ["0.0229", "0.0458", "0.0687"]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_evaluate_a_batch(reduction: str, run: Any) -> None:
    """Rows are samples, wherever the option stands; a class stands for its row."""
    option = ("--reduction", reduction)
    rows = ("a=1,2,3;1.4,3.2,5", "y=2;0", "--wrt", "a")
    batch = json.loads(run("evaluate", CE, *option, *rows, "--json").out)["values"]
    assert json.loads(run("evaluate", CE, *rows, *option, "--json").out)["values"] == batch
    for number, (a, y) in enumerate((("1,2,3", "0,0,1"), ("1.4,3.2,5", "1,0,0"))):
        single = json.loads(run("evaluate", CE, f"a={a}", f"y={y}", "--json").out)["values"]
        assert (batch["p"][number], batch["L"][number]) == (single["p"], single["L"])
    share = 2 if reduction == "mean" else 1
    assert float(batch["J"]) == pytest.approx(sum(map(float, batch["L"])) / share, abs=1e-4)
    slopes = [float(value) for row in batch["dJ/da"] for value in row]
    probabilities = [float(value) for row in batch["p"] for value in row]
    labels = (0, 0, 1, 1, 0, 0)
    wanted = [(p - y) / share for p, y in zip(probabilities, labels, strict=True)]
    assert slopes == pytest.approx(wanted, abs=2e-4)


def test_matrices_are_given_with_two_semicolons(run: Any, loss_file: Any) -> None:
    path = loss_file("A: input[H, K]\n\nL = sum(A[h, k]**2 for h in H for k in K)\n")
    given = ("evaluate", path, "--reduction", "sum", "A=1,2,3;4,5,6;;0,0,1;0,1,1", "--wrt", "A")
    values = json.loads(run(*given, "--json").out)["values"]
    assert [float(value) for value in values["L"]] == [91, 3]
    assert [float(value) for value in values["dJ/dA"][1][1]] == [0, 2, 2]


def test_a_claim_is_tried_at_given_numbers(run: Any) -> None:
    """At every place of the point, and elsewhere where it holds there."""
    given = ("--at", "a=1.4,3.2,5", "y=0,0,1", "--json")
    base = ("check", CE, "--wrt", "a[j]", "--claim")
    found = json.loads(run(*base, "p[j]*(1 - y[j])", *given).out)
    example = found["counterexample"]
    assert example["sizes"] == {"K": 3} and example["indices"] == {"j": 2}
    assert (example["claimed"], example["true"][:8]) == ("0", "-0.16151")
    agreeing = run(*base, "p[j] - y[j] + prod(y[k] for k in K)", *given)
    assert agreeing.code == 1
    assert json.loads(agreeing.out)["reason"].endswith("at the numbers given they agree")
    assert run(*base, "p[j] - y[j]", *given).code == 0


def test_evaluate_a_large_number(run: Any) -> None:
    result = run("evaluate", "mean_squared_error", "z=1e30", "y=0", "--digits", "1", "--of", "L")
    assert result.out == f"L = 5{'0' * 59}.0\n"


def test_evaluate_never_prints_a_wrong_number(run: Any, loss_file: Any) -> None:
    result = run("evaluate", loss_file("z: input\n\nL = exp(z)\n"), "z=1000", "--of", "L")
    assert result.out.startswith("L = 197007111401704699")


def test_doctor_lists_every_tool(run: Any) -> None:
    result = run("doctor")
    assert result.code == 0
    tools = json.loads(run("doctor", "--json").out)["tools"]
    names = {tool["name"] for tool in tools}
    assert {"sympy", "numpy", "python-flint", "pdflatex"} <= names
    assert all(tool["remedy"] for tool in tools)
    for tool in tools:
        assert tool["name"] in result.out
        assert (f"missing  {tool['name']}" in result.out) == (not tool["version"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("derive", CE, "--wrt", "a"),
        ("derive", CE, "--properties"),
        ("check", CE, "--wrt", "a[j]", "--claim", "p[j]"),
        ("evaluate", CE, "a=1,2", "y=0,1"),
        ("list",),
        ("show", CE),
        ("doctor",),
    ],
)
def test_json_is_one_stable_object(arguments: tuple[str, ...], run: Any) -> None:
    first, again = run(*arguments, "--json"), run(*arguments, "--json")
    assert first.out == again.out and not first.err
    json.loads(first.out)
    assert "\x1b" not in run(*arguments).out


def test_standard_input_is_a_loss(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"x: input\nL = x**3\n"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    result = run("derive", "-", "--wrt", "x")
    assert result.code == 0 and re.search(r"3\s*\*?x(\*\*2|\^2|²)", result.out)


# -- files ----------------------------------------------------------------------------------


def test_output_goes_to_a_file_and_nothing_else_is_left(run: Any, tmp_path: Path) -> None:
    target = tmp_path / "new" / "result.tex"
    result = run("derive", CE, "--wrt", "a", "--to", "latex", "-o", str(target))
    assert result.code == 0
    assert [path.name for path in target.parent.iterdir()] == ["result.tex"]
    printed = run("derive", CE, "--wrt", "a", "--to", "latex").out
    assert target.read_text(encoding="utf-8").strip() == printed.strip()
    assert target.stat().st_mode & 0o444 == 0o444 & ~umask()


def umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_failed_write_keeps_the_old_file(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "result.txt"
    target.write_text("old")

    def refuse(self: Path, other: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    result = run("derive", CE, "--wrt", "a", "-o", str(target))
    assert result.code == 2 and "No space left" in result.err
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]


def test_a_directory_is_no_file_to_write(run: Any, tmp_path: Path) -> None:
    result = run("derive", CE, "--wrt", "a", "-o", str(tmp_path))
    assert result.code == 2 and result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# -- bad input ------------------------------------------------------------------------------

BAD = [
    (("derive", "softmax_cross_entropi"), "did you mean 'softmax_cross_entropy'?"),
    (("derive", "nothing_like_it"), "expected the name of a library loss"),
    (("derive", "no/such/file.loss"), "cannot read no/such/file.loss"),
    (("show", "nothing"), "'nothing'"),
    (("derive", CE, "--wrt", "q"), "no name 'q'"),
    (("derive", CE, "--wrt", "a[i, j]"), "2 indices on 'a'"),
    (("derive", CE, "--wrt", "a["), "--wrt:1:"),
    (("derive", CE, "--of", "q", "--wrt", "a"), "'q'"),
    (("derive", CE, "--of", "y", "--wrt", "a"), "declared, not defined"),
    (("derive", CE, "--wrt", "L"), "with respect to itself"),
    (("derive", CE, "--of", "p", "--wrt", "a", "--order", "2"), "leave --of out"),
    (("derive", CE, "--value", "a"), "declared, not defined"),
    (("check", CE, "--claim", "p[j]"), "--wrt 'a[j]'"),
    (("check", CE, "--wrt", "a[j]", "--value", "L", "--claim", "1"), "--wrt 'a[j]'"),
    (("check", CE, "--wrt", "a[j]", "--claim", "p[j] - q[j]"), "<claim>:1:8: found the unknown"),
    (
        ("check", CE, "--wrt", "a[j]", "--claim", "p[j] - y[k]"),
        "<claim>:1:10: found the free index",
    ),
    (("check", CE, "--wrt", "a[j]", "--claim", "p[j] -"), "<claim>:1:"),
    (("check", CE, "--wrt", "a[j]", "--claim", ""), "<claim>:1:"),
    (("check", CE, "--wrt", "a[j]", "--claim", "p"), "no index on 'p'"),
    (("check", CE, "--wrt", "a[j]", "--claim", "__import__('os').getcwd()"), "<claim>:1:"),
    (("check", CE, "--wrt", "a[j]", "--claim", "p[j].real"), "an attribute"),
    (("check", CE, "--wrt", "a[j]", "--claim", "9**9**9**9"), "<claim>:1:"),
    (("check", CE, "--wrt", "a[j]", "--claim", "y[j] > 0"), "<claim>:1:"),
    (("check", CE, "--wrt", "q[j]", "--claim", "p[j]"), "<wrt>:1:1: found the unknown name 'q'"),
    (("check", CE, "--wrt", "a[0]", "--claim", "p[j]"), "an index letter"),
    (("evaluate", CE, "a=1,2,3"), "no value for 'y'"),
    (("evaluate", CE, "a=1,2,3", "y=0,0,1", "q=1"), "declares no 'q'"),
    (("evaluate", CE, "a=1,two,3", "y=0,0,1"), "a: 'two' is not a number"),
    (("evaluate", CE, "a=1,,3", "y=0,0,1"), "is not a number"),
    (("evaluate", CE, "a=1,2,nan", "y=0,0,1"), "a: 'nan' is not a number"),
    (("evaluate", CE, "a=1,2,1/0", "y=0,0,1"), "is not a number"),
    (("evaluate", CE, "a=1,2,1e999999999", "y=0,0,1"), "is not a number"),
    (("evaluate", CE, "a=1,2,3", "y=0,1"), "axis K has size 3 in a and 2 in y"),
    (("evaluate", CE, "a=1,2,3", "y=0,1,1"), "sum to 1, found 2"),
    (("evaluate", CE, "a=1,2,3", "y=2,-1,0"), "a negative entry"),
    (("evaluate", CE, "a=1,2;3,4", "y=0,1"), "a has 1 axis: expected no ';'"),
    (("evaluate", LINEAR, "x=1", "W=1;;2", "b=0,0", "y=0,1"), "W has 2 axes: expected at most ';'"),
    (("evaluate", LINEAR, "--reduction", "mean", "x=1;2", "W=1;2", "b=0,0"), "add y='1,2;3,4'"),
    (("evaluate", CE, "--reduction", "mean", "a=1,2;3,4", "y=0,1"), "size 2 in a and 1 in y"),
    (("check", CE, "--wrt", "a[j]", "--claim", "p[j]", "--at", "a=1,2"), "no value for 'y'"),
    (("check", CE, "--wrt", "a", "--code", "m:f", "--at", "a=1,2"), "--at goes with --claim"),
    (("evaluate", LINEAR, "x=1", "W=1;2,3", "b=0,0", "y=0,1"), "different lengths"),
    (("evaluate", "sigmoid_mse", "z=1", "y=2"), "y: 2 is outside its domain"),
    (("evaluate", "sigmoid_mse", "z=1,2", "y=0"), "single number"),
    (("evaluate", "sigmoid_mse", "z", "y=0"), "is not a number"),
    (("evaluate", "sigmoid_mse", "z=1", "y=0", "--of", "q"), "no 'q'"),
    (("evaluate", "sigmoid_mse", "z=1", "y=0", "--wrt", "q"), "no name 'q'"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_input_is_one_line_and_code_two(
    arguments: tuple[str, ...], said: str, run: Any
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert not result.out
    assert result.err.startswith("pminusy: ") and result.err.count("\n") == 1
    assert said in result.err
    as_json = run(*arguments, "--json")
    assert as_json.code == 2 and not as_json.out
    assert said in json.loads(as_json.err)["error"]


def test_a_latex_document_holds_every_derivation(run: Any) -> None:
    """And each lemma once: that of dL/da serves all three."""
    result = run("derive", LINEAR, "--to", "latex")
    assert result.code == 0 and result.out.count(r"\begin{document}") == 1
    for name in ("x", "W", "b"):
        heading = rf"\subsection*{{Derivative of $L$ with respect to ${name}$}}"
        assert result.out.count(heading) == 1
    assert result.out.count("derivative of $L$ with respect to $a$") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: input\nL = x +\n", "mine.loss:2:"),
        ("x: input\nL = x + q\n", "mine.loss:2:9: found the unknown name 'q'"),
        ("x: input in simplexx\nL = x\n", "mine.loss:1:13"),
        ("x: input\n", "expected a definition of the loss"),
        ("", "mine.loss:1:1"),
        ("import os\n", "an import"),
        ("a: input[K]\nL = a[i]\n", "mine.loss:2:7"),
    ],
)
def test_bad_loss_files_name_the_place(text: str, said: str, run: Any, loss_file: Any) -> None:
    result = run("derive", loss_file(text))
    assert result.code == 2 and not result.out
    assert said in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("derive",),
        ("nonsense",),
        ("check", CE, "--wrt", "a[j]"),
        ("derive", CE, "--order", "4"),
        ("derive", CE, "--to", "word"),
        ("evaluate", CE, "--digits", "51"),
        ("evaluate", CE, "--digits", "x"),
        ("list", "--nonsense"),
    ],
)
def test_wrong_usage_is_code_two(arguments: tuple[str, ...], run: Any) -> None:
    result = run(*arguments)
    assert result.code == 2 and not result.out
    assert "usage: pminusy" in result.err and "Traceback" not in result.err


def test_an_interrupt_is_said_and_is_no_traceback(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(derive, "load", stop)
    result = run("show", CE)
    assert result.code == 130 and result.err.count("\n") == 1


# -- help -----------------------------------------------------------------------------------

WITHOUT_EXAMPLES = {"list", "show", "doctor"}


def test_help_names_every_command_and_gives_examples(run: Any) -> None:
    result = run("--help")
    assert result.code == 0 and "pminusy derive softmax_cross_entropy --wrt a" in result.out
    for name in commands.COMMANDS:
        assert re.search(rf"^ +{name} ", result.out, re.MULTILINE)
    assert "Exit codes: 0 fine or proved, 1 refuted" in result.out


@pytest.mark.parametrize("name", sorted(commands.COMMANDS))
def test_help_of_a_command(name: str, run: Any) -> None:
    result = run(name, "--help")
    assert result.code == 0 and not result.err
    assert result.out.startswith(f"usage: pminusy {name}") and "--json" in result.out
    if name not in WITHOUT_EXAMPLES:
        assert f"pminusy {name} " in result.out.split("\n\n", 1)[1]


def test_version(run: Any) -> None:
    result = run("--version")
    assert result.code == 0 and re.fullmatch(r"pminusy \d+\.\d+(\.\d+)?\S*\n", result.out)


def test_help_needs_no_sympy() -> None:
    """What says how to use the tool does not wait for the algebra."""
    code = (
        "import sys, codegen.cli as c; c.parser().format_help(); sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
