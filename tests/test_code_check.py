"""Gradients given as code: verdicts, the other process, and the oracle they are judged by."""

from __future__ import annotations

import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import derive
from codegen.cli import main
from codegen.code_check import Report, check_code, written
from codegen.code_inputs import cases
from codegen.code_process import TimeLimit, UserFunction
from codegen.oracle import Oracle
from derive.errors import PminusyError

HAND_WRITTEN = Path(__file__).resolve().parent.parent / "examples" / "hand_written.py"
CE, BCE, MSE = "softmax_cross_entropy", "sigmoid_cross_entropy", "mean_squared_error"
CODE = """
import os, sys, time
import numpy as np

number = 3

def right(z, y): return z - y
def keywords(**given): return given["z"] - given["y"]
def half(z, y): return (z - y) / 2
def mean(z, y): return (z - y) / len(z)
def slightly(z, y): return (z - y) * (1 + 1e-9)
def narrow(z, y): return (z - y).astype(np.float16)
def short(z, y): return (z - y)[:1]
def pair(z, y): return np.sum((z - y)**2) / 2, z - y
def complex_(z, y): return z - y + 0j
def few(z): return z
def positional(z, y, /): return z - y
def printing(z, y):
    print("the user's own words")
    os.write(1, b"more of them")
    return z - y
def changing(z, y):
    z -= y
    return z
def single(z, y): return z - y.astype(z.dtype) if z.dtype == np.float32 else 2 * (z - y)
def half_as_long(z, y): return (z - y).astype(np.float32)
def batches(z, y): return z - y if len(z) > 1 else z
def nonempty(z, y): return z - y if len(z) else z[0]
def hiding(z, y): return np.nan_to_num(z - y)
def leaking(z, y): return z - y + 0 * z.sum()
def raising(z, y): raise ValueError("two\\nlines")
def leaving(z, y): sys.exit(5)
def dying(z, y): os._exit(5)
def sleeping(z, y): time.sleep(60)
def forking(z, y):
    os.fork()
    time.sleep(60)
def smoothed(z, y, w=0.25): return 2 * w * (z - y)
def fixed(z, y): return (z - y) / 2
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a module `mine` and some that cannot be imported."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "looping.py").write_text("while True:\n    pass\n")
    (tmp_path / "dependent.py").write_text("import no_such_thing\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged(loss: str, wrt: str, target: str, **options: Any) -> Report:
    return check_code(derive.load(loss), wrt, target, **options)


# -- verdicts -------------------------------------------------------------------------------


@cache
def example(loss: str, wrt: str, name: str) -> Report:
    """The report on a function of examples/hand_written.py."""
    return judged(loss, wrt, f"{HAND_WRITTEN}:{name}")


@pytest.mark.parametrize(("loss", "wrt", "stem"), [(CE, "a", "softmax"), (BCE, "z", "sigmoid")])
def test_verdicts_on_the_examples(loss: str, wrt: str, stem: str) -> None:
    accurate, textbook, wrong = (
        example(loss, wrt, f"{stem}_{kind}") for kind in ("accurate", "textbook", "wrong")
    )
    assert accurate.status == "accurate" and accurate.example is None
    assert {line.dtype for line in accurate.regimes} == {"float32", "float64"}
    assert max(line.worst for line in accurate.regimes) < 512
    assert textbook.status == "inaccurate"
    kinds = {(line.name, line.dtype): line.kind for line in textbook.regimes}
    assert kinds["target far above", "float64"] == "inaccurate"
    for name in ("plain", "target equal", "target far below", "ties"):
        assert kinds[name, "float64"] == kinds[name, "float32"] == "accurate"
    assert wrong.status == "wrong" and "plain inputs already" in wrong.reason


def test_the_smallest_input_that_shows_it() -> None:
    found = example(CE, "a", "softmax_wrong").example
    assert found is not None and found.known is not None
    assert dict(found.case.sizes) == {"N": 1, "K": 2}
    values = {name: written(value) for name, value in found.case.values.items()}
    assert values == {"a": [["0", "0"]], "y": [["0", "1"]]}
    assert found.got == 0 and float(found.known.exact) == 0.5  # p = 1/2, and y is not there
    found = example(CE, "a", "softmax_textbook").example
    assert found is not None and found.known is not None
    assert dict(found.case.sizes) == {"N": 1, "K": 2}
    [[low, high]] = found.case.values["a"]
    exact = -1 / (1 + np.exp(np.longdouble(high - low)))
    assert float(found.known.exact) == pytest.approx(float(exact), rel=1e-15)
    assert abs(found.got - exact) > 512 * np.spacing(abs(float(exact)))


def test_overflow_is_wrong_but_right_on_plain_inputs() -> None:
    report = example(CE, "a", "softmax_overflowing")
    assert report.status == "wrong" and report.reason.startswith("right on plain inputs")
    assert "offset 1e4" in report.reason and report.example is not None
    assert np.isnan(report.example.got) and report.example.case.sizes["N"] == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("right", "accurate"),
        ("keywords", "accurate"),
        ("half", "wrong"),
        ("mean", "wrong"),
        ("slightly", "inaccurate"),
        ("narrow", "wrong"),
    ],
)
def test_verdict(name: str, status: str, mine: Path) -> None:
    assert judged(MSE, "z", f"mine:{name}").status == status


def test_a_mean_is_the_gradient_of_the_mean(mine: Path) -> None:
    assert judged(MSE, "z", "mine:mean", reduction="mean").status == "accurate"
    wrong = judged(MSE, "z", "mine:right", reduction="mean")
    assert wrong.status == "wrong" and wrong.example is not None
    assert wrong.example.case.sizes["N"] == 2  # at N = 1 the two are the same


def test_the_limit_is_the_users(mine: Path) -> None:
    assert judged(MSE, "z", "mine:slightly", max_ulp=1e9).status == "accurate"


def test_a_const_with_a_default_may_be_left_out(mine: Path) -> None:
    loss = derive.parse("z: input\ny: target\nw: const > 0 = 0.25\nL = w * (z - y)**2", "weighted")
    assert check_code(loss, "z", "mine:smoothed").status == "accurate"
    assert check_code(loss, "z", "mine:fixed").status == "accurate"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("short", r"returns shape (1,), expected "),
        ("pair", "returns tuple, expected an array"),
        ("complex_", "returns an array of complex128"),
        ("raising", "raises ValueError: two lines"),
        ("leaving", "raises SystemExit: 5"),
        ("dying", "ends the process"),
    ],
)
def test_what_comes_instead_of_an_array_is_said(name: str, said: str, mine: Path) -> None:
    report = judged(MSE, "z", f"mine:{name}")
    assert report.status == "wrong" and said in report.reason
    assert report.example is not None and report.example.failed


def test_a_definition_becomes_an_argument(mine: Path) -> None:
    (mine / "cut.py").write_text("def f(p, y): return p - y\n")
    mse = derive.parse("x: input\ny: target\np = sin(x)\nL = (p - y)**2 / 2", "cut_at_p")
    assert check_code(mse, "p", "cut:f").status == "accurate"


# -- the other process ----------------------------------------------------------------------


def test_what_the_code_prints_goes_nowhere(mine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert judged(MSE, "z", "mine:printing").status == "accurate"
    assert capfd.readouterr() == ("", "")


def test_changed_arguments_are_noted(mine: Path) -> None:
    report = judged(MSE, "z", "mine:changing")
    assert report.status == "accurate" and "it changes its arguments: z" in report.notes
    assert not any("changes" in note for note in judged(MSE, "z", "mine:right").notes)


@pytest.mark.parametrize("target", ["mine:sleeping", "mine:forking", "looping:f"])
def test_the_time_limit_ends_it(target: str, mine: Path) -> None:
    begun = time.monotonic()
    report = judged(MSE, "z", target, timeout=1)
    assert report.status == "undecided" and "within 1 s" in report.reason
    assert time.monotonic() - begun < 20


def test_the_process_is_gone_afterwards(mine: Path) -> None:
    with UserFunction("mine:right", 20, ["z", "y"]) as function:
        process = function._process
        assert process is not None
        assert list(function({"z": np.ones(2), "y": np.zeros(2)}, [2]).array) == [1, 1]
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    with (
        UserFunction("mine:sleeping", 1, ["z", "y"]) as function,
        pytest.raises(TimeLimit, match="1 s"),
    ):
        function({"z": np.ones(2), "y": np.zeros(2)}, [2])


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mine", "expected module:function, found 'mine'"),
        ("nowhere:f", "there is no module 'nowhere'"),
        ("nowhere.py:f", "there is no module 'nowhere.py'"),
        ("mine:absent", "mine has no 'absent'"),
        ("mine:number", "is of type int, not a function"),
        ("mine:few", "mine:few(z) cannot be called by keyword with z, y"),
        ("mine:positional", "cannot be called by keyword with z, y"),
        ("broken:f", "importing broken raises ZeroDivisionError"),
        ("dependent:f", "importing dependent raises ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_called_is_one_clear_line(
    target: str, said: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["check", MSE, "--wrt", "z", "--code", target])
    out, err = capsys.readouterr()
    notice, line = err.splitlines()
    assert code == 2 and not out
    assert notice.startswith("running your code: ") and said in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--wrt", "q"], "has no name 'q'"),
        (["--wrt", "L"], "'L' is the loss"),
        (["--wrt", "z", "--timeout", "0"], "--timeout"),
        (["--wrt", "z", "--max-ulp", "nan"], "--max-ulp"),
        (["--value", "L"], "--code takes --wrt"),
    ],
)
def test_bad_options(
    options: list[str], said: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", MSE, "--code", "mine:right", *options]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_command_prints_the_verdict(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", MSE, "--wrt", "z", "--code", "mine:right"]) == 0
    out, err = capsys.readouterr()
    assert err == "running your code: mine:right, in a process of its own, for at most 20 s\n"
    assert out.startswith("accurate: right, and at most ") and "offset 1e8" in out
    assert main(["check", MSE, "--wrt", "z[n]", "--code", "mine:half", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["status"], data["runs_user_code"]) == ("wrong", True)
    assert data["example"]["sizes"] == {"N": 1} and data["regimes"][0]["regime"] == "plain"
    assert main(["check", MSE, "--wrt", "z", "--code", "mine:sleeping", "--timeout", "1"]) == 3


# -- the oracle -----------------------------------------------------------------------------


def test_oracle_counts_in_units_of_the_last_place() -> None:
    oracle = Oracle(derive.load(BCE), "z")
    known = oracle.entries({"z": np.array([40.0]), "y": np.array([1.0])}, {"N": 1}, "float64")[0,]
    exact = -1 / (1 + np.exp(40.0))  # the same to one rounding or two
    assert float(known.exact) == pytest.approx(exact, rel=1e-15)
    assert float(known.unit) == np.spacing(abs(exact))
    assert known.ulps(exact + 3 * np.spacing(exact), "float64") == pytest.approx(3, abs=2)
    assert known.ulps(float("nan"), "float64") == float("inf")
    assert not known.is_wrong(0.0, "float64")  # every digit is lost, as sigmoid(z) - y loses it
    assert known.is_wrong(1e-3, "float64")


def test_oracle_at_a_root_counts_in_units_of_the_terms() -> None:
    values = {"a": np.zeros((1, 2)), "y": np.array([[0.5, 0.5]])}
    sizes = {"N": 1, "K": 2}
    entries = Oracle(derive.load(CE), "a").entries(values, sizes, "float64")
    for known in entries.values():  # the terms are between 1/4 and 1, whichever form is taken
        assert 0 in known.exact
        assert np.spacing(0.25) <= float(known.unit) <= np.spacing(1.0)


def test_oracle_allows_for_the_rounding_of_a_sum_of_products() -> None:
    oracle = Oracle(derive.load("linear_sigmoid_cross_entropy"), "b")
    values = {
        "x": np.array([[1e8, 1e8]]),
        "w": np.array([1.0, -1.0]),
        "b": np.array(0.5),
        "y": np.array([0.0]),
    }
    known = oracle.entries(values, {"N": 1, "D": 2}, "float64")[()]
    slope = np.exp(0.5) / (1 + np.exp(0.5)) ** 2
    assert float(known.unit) == pytest.approx(slope * np.spacing(2e8), rel=1e-3)


def test_oracle_sums_over_the_batch_for_a_param() -> None:
    oracle = Oracle(derive.load("linear_sigmoid_cross_entropy"), "b")
    values = {"x": np.zeros((3, 1)), "w": np.ones(1), "b": np.array(0.0), "y": np.ones(3)}
    sizes = {"N": 3, "D": 1}
    assert float(oracle.entries(values, sizes, "float64")[()].exact) == -1.5
    mean = Oracle(oracle.loss, "b", "mean").entries(values, sizes, "float64")
    assert float(mean[()].exact) == -0.5


def test_oracle_leaves_out_kinks_and_takes_limits() -> None:
    relu = derive.parse("z: input\nL = relu(z)", "relu")
    entries = Oracle(relu, "z").entries({"z": np.array([0.0, 1.0])}, {"N": 2}, "float64")
    assert list(entries) == [(1,)]
    values = {"a": np.array([[0.0, -np.inf]]), "y": np.array([[1.0, 0.0]])}
    entries = Oracle(derive.load(CE), "a").entries(values, {"N": 1, "K": 2}, "float64")
    assert [known.ulps(0.0, "float64") for known in entries.values()] == [0, 0]


def test_a_loss_over_the_batch_takes_no_reduction(mine: Path) -> None:
    loss = derive.parse("z: input[N]\nL = sum(z[n]**2 for n in N)", "over_batch")
    with pytest.raises(PminusyError, match="whole batch"):
        check_code(loss, "z", "mine:right", reduction="mean")
    (mine / "whole.py").write_text("def f(z): return 2 * z\n")
    assert check_code(loss, "z", "whole:f").status == "accurate"


LABELLED = """
import numpy as np

def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

def index(a, y):
    assert y.dtype.kind == "i" and y.shape == a.shape[:1]
    return softmax(a) - np.eye(a.shape[1])[y]

def rows(a, y):
    assert y.shape == a.shape and set(np.unique(y)) <= {0, 1} and (y.sum(axis=1) == 1).all()
    return softmax(a) - y

def off_by_one(a, y): return softmax(a) - np.eye(a.shape[1])[y - 1]

def hinge(z, t):
    assert t.dtype.kind == "i" and t.shape == z.shape[:1]
    mine = np.eye(z.shape[1], dtype=bool)[t]
    active = (1 + z - z[mine][:, None] > 0) & ~mine
    return active - mine * active.sum(axis=1, keepdims=True)

def hinge_rows(z, t):
    assert t.shape == z.shape and t.dtype == z.dtype
    return hinge(z, t.argmax(axis=1))

def contrast(U, V, tau):
    return (softmax(U @ V.T / tau) @ V - V) / (tau * len(U))

def small_batches(U, V, tau): return contrast(U, V, tau) * (len(U) < 10)

def narrow(U, V, tau): return contrast(U, V, tau) * (U.shape[1] < 10)
"""


@pytest.fixture
def labelled_code(tmp_path: Path) -> Path:
    (tmp_path / "labelled.py").write_text(LABELLED, encoding="utf-8")
    return tmp_path / "labelled.py"


@pytest.mark.parametrize(
    ("loss", "wrt", "name", "labels", "wrong_at"),
    [
        (CE, "a", "index", "index", None),
        (CE, "a", "rows", "one-hot", None),
        (CE, "a", "off_by_one", "index", "plain"),
        (CE, "a", "index", "declared", "plain"),
        (CE, "a", "rows", "declared", "plain"),
        ("multiclass_hinge", "z", "hinge", "declared", "offset 1e8"),
        ("multiclass_hinge", "z", "hinge", "index", "offset 1e8"),
        ("multiclass_hinge", "z", "hinge_rows", "one-hot", "offset 1e8"),
        ("multiclass_hinge", "z", "hinge_rows", "declared", "plain"),
    ],
)
def test_labels_come_as_asked(
    loss: str, wrt: str, name: str, labels: str, wrong_at: str | None, labelled_code: Path
) -> None:
    """1 + z - z[t] loses its 1 at 1e8 in float32; of the softmax only accuracy is lost."""
    report = check_code(derive.load(loss), wrt, f"{labelled_code}:{name}", labels=labels)
    wrong = [line.name for line in report.regimes if line.kind == "wrong"]
    assert wrong[:1] == ([wrong_at] if wrong_at else []), report.reason


@pytest.mark.parametrize(("name", "axis"), [("small_batches", "N"), ("narrow", "D")])
def test_batch_coupled_losses_are_tried_at_ten(name: str, axis: str, labelled_code: Path) -> None:
    loss = derive.load("info_nce")
    report = check_code(loss, "U", f"{labelled_code}:{name}", timeout=60)
    assert report.status == "wrong" and report.example is not None
    assert report.example.case.sizes[axis] == 10
    tried = {case.sizes[axis] for case in cases(Oracle(loss, "U"), ("tau",))}
    assert {2, 3, 10} <= tried


def test_labels_that_a_loss_does_not_have() -> None:
    with pytest.raises(PminusyError, match="neither a class label"):
        check_code(derive.load(MSE), "z", "nowhere:f", labels="index")
    with pytest.raises(PminusyError, match="labels: expected"):
        check_code(derive.load(CE), "a", "nowhere:f", labels="sparse")


def test_claims_about_class_labels() -> None:
    asked = ["check", CE, "--wrt", "a[j]", "--labels", "index", "--claim"]
    assert main([*asked, "p[j] - delta(j, y)"]) == 0
    assert main([*asked, "p[j]"]) == 1
    one_hot = ["check", CE, "--wrt", "a[j]", "--labels", "one-hot", "--claim", "p[j]"]
    assert main(one_hot) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("half_as_long", "it returns float32 where it is given float64"),
        ("nonempty", "given a batch of 0 samples it raises IndexError"),
        ("hiding", "a NaN in z is hidden"),
        ("leaking", "a NaN in one sample of z changes the gradient of the others"),
    ],
)
def test_what_is_no_error_of_a_number_is_noted(name: str, said: str, mine: Path) -> None:
    notes = judged(MSE, "z", f"mine:{name}").notes
    assert any(note.startswith(said) for note in notes), notes
    right = judged(MSE, "z", "mine:right").notes
    assert not any(note.startswith(said) for note in right)


def test_wrong_in_one_dtype_or_for_one_sample_only(mine: Path) -> None:
    report = judged(MSE, "z", "mine:single")
    assert report.status == "wrong"
    assert report.reason == "on plain inputs it is right in float32, but wrong in float64"
    report = judged(MSE, "z", "mine:batches")
    assert report.status == "wrong" and report.example is not None
    assert report.example.case.sizes == {"N": 1}
