"""Parts of documents: plots, examples and JSON; and every form of losses that nobody foresaw."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import pytest
from test_documents import COMPLAINT, cases, compile_latex
from test_pages import FORMULA, Page

import derive
from codegen.cli import main
from codegen.documents import FORMATS, PAGE_PARTS, write
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.given import Decimals, given_point
from derive.properties import properties

FEW = [("softmax_cross_entropy", "a"), ("arcface", "c"), ("huber", "z"), ("info_nce", "U")]
# Several sums, consts and choices; matrices; a kink inside a sum; names in Greek and long ones.
UNFORESEEN = {
    "ragged": (
        "z",
        '''"""Ragged margin: two sums and a choice in each, of scores z.

Source: none; 100 % made up & unforeseen.
"""
z: input[K]
t: target in K
mu: const > 0 = 1/3
kappa: const in unit = 0.25

s[i] = z[i] - mu * (1 if i == t else 0)
q[i] = exp(s[i]) / sum(exp(s[k]) for k in K)
h[i] = q[i]**2 if q[i] > kappa else 2*kappa*q[i] - kappa**2
L = sum(h[i] for i in K if i != t) - (1 - kappa) * log(q[t])
''',
    ),
    "bilinear": (
        "A",
        '''"""A bilinear score, squashed, with a penalty on rows and on columns.
"""
u: input[D]
v: input[E]
A: param[D, E]
y: target in binary
lambda_rows: const >= 0 = 0.1
rho: const >= 0 = 0.01

f = sum(u[i] * A[i, j] * v[j] for i in D for j in E)
g = 1 / (1 + exp(-f))
r = sum(sqrt(1 + sum(A[i, j]**2 for j in E)) for i in D)
c = sum(abs(sum(A[i, j] for i in D)) for j in E)
L = -(y*log(g) + (1 - y)*log(1 - g)) + lambda_rows * r + rho * c
''',
    ),
    "pairwise": (
        "x",
        '''"""Every pair of entries that the weights put in order, by a logistic margin.
"""
x: input[K]
w: input[K] >= 0
theta: const > 0 = 2

d[i, k] = x[i] - x[k]
e[i, k] = log(1 + exp(-theta * d[i, k])) if w[i] > w[k] else 0
m = sum(w[i]**2 for i in K)
L = sum(e[i, k] for i in K for k in K if i != k) / (1 + m)
''',
    ),
}


@cache
def found(name: str) -> Derivation:
    wrt, text = UNFORESEEN[name]
    return derive.gradient(derive.parse(text, name), wrt)


@cache
def schema() -> Any:
    library = pytest.importorskip("jsonschema")
    text = (resources("codegen") / "documents" / "derivation.schema.json").read_text("utf-8")
    library.Draft202012Validator.check_schema(json.loads(text))
    return library.Draft202012Validator(json.loads(text))


def checked(text: str) -> Any:
    data = json.loads(text)
    assert [error.message for error in schema().iter_errors(data)] == []
    return data


@pytest.mark.parametrize("name", UNFORESEEN)
def test_an_unforeseen_loss_has_every_form(name: str) -> None:
    derivation = found(name)
    for to in FORMATS:
        text = write(derivation, to, parts=PAGE_PARTS)
        assert derivation.loss.title.rstrip(".").partition(":")[0] in text or to == "json"
        assert "Lemma 1" in text or to == "json"
    page = Page(write(derivation, "html", parts=PAGE_PARTS))
    assert not page.open and page.tags["math"] > 20
    assert "A numerical example" in "".join(page.text) and "Properties" in "".join(page.text)
    data = checked(write(derivation, "json", parts=PAGE_PARTS))
    assert list(data["parts"]) == list(PAGE_PARTS)
    assert data["parts"]["second"]["steps"]


@pytest.mark.parametrize("name", UNFORESEEN)
def test_an_unforeseen_loss_is_typeset(
    name: str, tmp_path: Path, require: Callable[[str], str]
) -> None:
    text = write(found(name), "latex", parts=PAGE_PARTS)
    assert not COMPLAINT.findall(compile_latex(text, tmp_path, require("pdflatex")))


def test_katex_reads_the_formulas_of_the_unforeseen(node_module: Callable[[str], Path]) -> None:
    script = node_module("katex").parent.parent / "katex.mjs"
    formulas = [
        (match[1] or match[2], match[1] is not None)
        for name in UNFORESEEN
        for match in FORMULA.finditer(write(found(name), "markdown", parts=PAGE_PARTS))
    ]
    done = subprocess.run(
        ["node", str(script)],
        input=json.dumps(formulas),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert len(formulas) > 50 and json.loads(done.stdout) == []


@pytest.mark.parametrize("name", UNFORESEEN)
def test_the_notebook_of_an_unforeseen_loss_runs(name: str) -> None:
    page = json.loads(write(found(name), "ipynb"))
    space: dict[str, object] = {"__name__": "notebook", "print": lambda *_: None}
    for cell in page["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{name}.ipynb", "exec"), space)
    assert "numeric" in space


@pytest.mark.parametrize(("name", "wrt"), cases())
def test_json_keeps_to_its_schema(name: str, wrt: str) -> None:
    checked(write(derive.gradient(derive.load(name), wrt), "json"))


STAGED = [name for name in derive.library() if len(derive.load(name).definitions) > 1]


@pytest.mark.parametrize("name", STAGED)
def test_a_derivative_by_a_definition_has_every_part(name: str) -> None:
    """What is said of dL/dp is said of the loss as a function of p, whatever p is made of."""
    loss = derive.load(name)
    derivation = derive.gradient(loss, loss.definitions[-2].name)
    parts = checked(write(derivation, "json", parts=PAGE_PARTS))["parts"]
    assert {one["property"] for one in parts["properties"]} >= {"convexity"}
    assert parts["second"]["result"]["language"]


def test_a_property_of_probabilities_is_shown_where_the_loss_has_a_value() -> None:
    facts = properties(derive.load("softmax_cross_entropy"), "p")
    (sums,) = (fact for fact in facts if fact.name == "gradient sums to zero")
    assert sums.status == "refuted" and sums.counterexample is not None
    assert all(value > 0 for value in sums.counterexample.point.values["p"].values())


@pytest.mark.parametrize(("name", "wrt"), FEW)
def test_json_holds_every_part(name: str, wrt: str) -> None:
    derivation = derive.gradient(derive.load(name), wrt)
    parts = checked(write(derivation, "json", parts=PAGE_PARTS))["parts"]
    second = derive.hessian(derivation.loss, wrt)
    assert parts["second"]["result"]["language"] == second.formula
    assert {one["property"] for one in parts["properties"]} >= {"convexity"}
    assert parts["example"]["decimals"] == 4 and parts["example"]["gradient"]
    if parts["matrix"] is not None:
        assert parts["matrix"]["rows"][0]["left"]["text"] == f"dL/d{wrt}"


def test_json_of_other_derivations_keeps_to_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["derive", "softmax_cross_entropy", "--json"]
    for more in (
        ["--style", "matrix", "--wrt", "a"],
        ["--of", "p", "--wrt", "a", "--style", "cases", "--with", "matrix"],
        ["--of", "p", "--wrt", "a", "--vjp"],
        ["--order", "2", "--wrt", "a"],
        ["--stable"],
        ["--wrt", "a", "--example", "a=1,2,3", "y=2"],
    ):
        assert main([*base, *more]) == 0
        data = checked(capsys.readouterr().out)
    assert data["parts"]["example"]["given"]["y"] == ["0", "0", "1"]
    assert main(["derive", "linear_softmax_cross_entropy", "--json"]) == 0
    assert len(checked(capsys.readouterr().out)) == 3


@pytest.mark.parametrize(("name", "wrt"), cases())
def test_every_loss_has_an_example_that_says_something(name: str, wrt: str) -> None:
    """Numbers of a slope that is not 0, which the reader can find again with `evaluate`."""
    loss = derive.load(name)
    data = checked(write(derive.gradient(loss, wrt), "json", parts=("example",)))
    example = data["parts"]["example"]
    texts = [f"{key}={as_typed(value)}" for key, value in example["given"].items()]
    point = given_point(loss, texts)
    assert Decimals(loss, point, 4).table(loss.value.name, wrt) == example["gradient"]
    assert any(digit in json.dumps(example["gradient"]) for digit in "123456789")


def as_typed(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    rows = [as_typed(each) for each in value]
    return (";" if isinstance(value[0], list) else ",").join(rows)


def test_the_numbers_of_the_tutorials_are_the_usual_ones() -> None:
    text = write(
        derive.gradient(derive.load("linear_softmax_cross_entropy"), "W"),
        "text",
        parts=("example",),
    )
    assert "x = (1, 2, 3)" in text and "W = (0.1, 0.2, 0.3; 0.4, 0.5, 0.6; 0.7, 0.8, 0.9)" in text
    assert "a = (1.4000, 3.2000, 5.0000)" in text and "p = (0.0229, 0.1386, 0.8385)" in text
    assert "= 0.1762" in text


def test_a_class_stands_for_a_distribution() -> None:
    loss = derive.load("softmax_cross_entropy")
    dense, label = (given_point(loss, ["a=1.4,3.2,5", y]) for y in ("y=0,0,1", "y=2"))
    assert dense == label
    assert given_point(loss, ["a=1", "y=1"]).values["y"] == {(0,): 1}
    for wrong in ("3", "-1", "0.5"):
        with pytest.raises(PminusyError, match="no class of K: there are 3, counted from 0 to 2"):
            given_point(loss, ["a=1.4,3.2,5", f"y={wrong}"])
    with pytest.raises(PminusyError, match="no class of K: there are 3, counted from 0 to 2"):
        given_point(derive.load("focal"), ["z=1.4,3.2,5", "t=3"])


def test_plots_stand_in_documents(
    tmp_path: Path, require: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    base = ["derive", "softmax_cross_entropy", "--wrt", "a", "--with", "plots"]
    for to, form in (("latex", "pdf"), ("markdown", "svg")):
        assert main([*base, "--to", to, "-o", str(tmp_path / "a b.txt")]) == 0
        text = (tmp_path / "a b.txt").read_text("utf-8")
        for name in ("line", "plane"):
            assert f"a_b-{name}.{form}" in text and (tmp_path / f"a_b-{name}.{form}").is_file()
        assert main([*base, "--to", to]) == 2
        assert "-o FILE" in capsys.readouterr().err
    assert main([*base, "--to", "latex", "-o", str(tmp_path / "a b.txt")]) == 0
    text = (tmp_path / "a b.txt").read_text("utf-8")
    assert not COMPLAINT.findall(compile_latex(text, tmp_path, require("pdflatex")))
    loss = derive.load("softmax_cross_entropy")
    page = Page(write(derive.gradient(loss, "a"), "html", parts=("plots",)))
    assert page.tags["svg"] == page.tags["figure"] == 2
    cells = json.loads(write(derive.gradient(loss, "a"), "ipynb", parts=("plots",)))["cells"]
    assert sorted(cells[0]["attachments"]) == ["line.png", "plane.png"]
    assert "(attachment:line.png)" in "".join(cells[0]["source"])


def test_the_notebook_takes_the_example() -> None:
    loss = derive.load("softmax_cross_entropy")
    point = given_point(loss, ["a=1.4,3.2,5", "y=2"])
    text = write(derive.gradient(loss, "a"), "ipynb", example=point)
    assert "np.array([[1.4, 3.2, 5.0]])" in text and "np.array([[0.0, 0.0, 1.0]])" in text
    assert "0.1762" in text
