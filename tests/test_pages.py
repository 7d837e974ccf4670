"""Pages, PDF files and notebooks: each formula read by a second renderer, each notebook run."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import derive
from codegen.cli import main
from codegen.documents import PAGE_PARTS, typeset, write
from codegen.documents.latex import DRESS
from codegen.documents.mathml import mathml
from codegen.documents.model import Wanted
from codegen.documents.parts import whole
from codegen.documents.words import signs
from derive.batch import batched
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.given import given_point

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
VOID = {"meta", "br", "hr", "img", "link", "input"}
FEW = [("softmax_cross_entropy", "a"), ("focal", "z"), ("huber", "z"), ("arcface", "c")]


def cases() -> list[tuple[str, str]]:
    """Every library loss with each of its inputs and params."""
    return [
        (name, declaration.name)
        for name in derive.library()
        for declaration in derive.load(name).declarations
        if declaration.role in ("input", "param")
    ]


@cache
def derivation(name: str, wrt: str) -> Derivation:
    return derive.gradient(derive.load(name), wrt)


class Page(HTMLParser):
    """What a page holds: its elements in order, their ids and addresses; open ones are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.addresses += [values[key] or "" for key in ("src", "href") if key in values]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize(("name", "wrt"), cases())
def test_a_page_stands_alone_and_is_well_formed(name: str, wrt: str) -> None:
    found = derivation(name, wrt)
    text = write(found, "html", parts=PAGE_PARTS)
    page = Page(text)
    assert not page.open
    assert not page.addresses and "url(http" not in text and "@import" not in text
    assert len(set(page.ids)) == len(page.ids)
    steps = list(found.all_steps())
    lines = sum(1 + (len(s.substeps) if len(s.substeps) > 1 else 0) for s in steps)
    assert page.tags["math"] > lines / 2  # lemmas used twice are shown once
    words = "".join(page.text)
    for step in found.steps:
        assert step.name in words
    assert found.formula in words


def test_katex_reads_every_formula(node_module: Callable[[str], Path]) -> None:
    """The formulas of every library loss, in each detail, by a renderer that is not Temml."""
    script = node_module("katex").parent.parent / "katex.mjs"
    formulas: dict[tuple[str, bool], None] = {}
    for name, wrt in cases():
        for detail in ("normal", "full"):
            parts = PAGE_PARTS if detail == "normal" else ()
            text = write(derivation(name, wrt), "markdown", detail=detail, parts=parts)
            for match in FORMULA.finditer(text):
                shown, inline = match.groups()
                formulas[(shown or inline, shown is not None)] = None
        formulas[(derivation(name, wrt)._repr_latex_().strip("$"), False)] = None
    assert len(formulas) > 5 * len(cases())
    done = subprocess.run(
        ["node", str(script)],
        input=json.dumps(list(formulas)),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(("name", "wrt"), FEW)
@pytest.mark.parametrize("to", ["text", "markdown", "latex", "html"])
def test_every_part_is_said_in_every_form(name: str, wrt: str, to: str) -> None:
    found = derivation(name, wrt)
    text = write(found, to, parts=PAGE_PARTS)
    laid_out = whole(found, DRESS, "normal", Wanted(PAGE_PARTS))
    assert {part.heading for part in laid_out.parts} >= {"Second derivative", "Properties"}
    for part in laid_out.parts:
        assert part.heading in text and part.heading not in write(found, to)
        for statement in part.statements:
            assert statement.name in text and statement.status in text
    only = write(found, to, parts=("properties",))
    assert "Properties" in only and "Second derivative" not in only


EXAMPLES = [
    (
        "softmax_cross_entropy",
        "a",
        ["a=1.4,3.2,5.0", "y=0,0,1"],
        [
            "p₀ = exp(1.4)/(exp(1.4) + exp(3.2) + exp(5)) = 0.0229",
            "p = (0.0229, 0.1386, 0.8385)",
            "L = −(0·log(0.0229) + 0·log(0.1386) + 1·log(0.8385)) = 0.1762",
            "∂L/∂a₀ = 0.0229 − 0 = 0.0229",
            "∂L/∂a = (0.0229, 0.1386, −0.1615)",
        ],
    ),
    (
        "linear_softmax_cross_entropy",
        "W",
        ["x=1,2", "W=.5,-1;0,1;1/3,0", "b=0,0,.5", "y=0,1,0"],
        ["W = (0.5, −1; 0, 1; 1/3, 0)"],
    ),
    (
        "huber",
        "z",
        ["z=3", "y=0.5", "d=1"],
        ["r = 3 − 0.5 = 2.5000"],
    ),
    (
        "focal",
        "z",
        ["z=0,1,2,3,4", "t=4", "gamma=2"],
        ["t = 4"],
    ),
]
FUNCTIONS = {"exp": math.exp, "log": math.log, "max": max, "min": min}


@pytest.mark.parametrize(("name", "wrt", "given", "lines"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_numbers_stand_in_the_formulas(
    name: str, wrt: str, given: list[str], lines: list[str]
) -> None:
    """Every line is a right equation, as its own two sides say when Python reads them."""
    found = derivation(name, wrt)
    text = write(found, "text", example=given_point(found.loss, given))
    shown = text[text.index("A numerical example") :]
    for line in lines:
        assert f"  {line}\n" in shown, shown
    for to in ("latex", "markdown", "html"):
        assert "rounded to 4 decimals" in write(found, to, example=given_point(found.loss, given))
    plain = str.maketrans({"·": "*", "−": "-"})
    checked = 0
    for right, value in re.findall(r"^  .* = ([^=\n]+) = (\S+)$", shown, re.M):
        if not re.search(r"[Σ²^|]|if", right):
            computed = eval(right.translate(plain), FUNCTIONS)
            assert abs(computed - float(value.translate(plain))) < 2e-3, right
            checked += 1
    assert checked or name == "focal"  # of five classes: sums stay sums


@pytest.mark.parametrize(
    ("name", "wrt", "reduction", "given"),
    [
        (
            "linear_softmax_cross_entropy",
            "W",
            "mean",
            ["x=1,2;2,0", "W=.1,.2;.4,-.5;.7,.8", "b=0,0,0", "y=2;0"],
        ),
        ("linear_softmax_cross_entropy", "x", "none", ["x=1,2", "W=1,-2;3,1", "b=0,0", "y=1"]),
        ("am_softmax", "c", "none", ["c=.8,.5,-.3", "t=1", "s=10"]),
    ],
)
def test_numbers_stand_in_the_matrix_form(
    name: str, wrt: str, reduction: str, given: list[str]
) -> None:
    """The last line is a right equation between matrices, as NumPy reads it."""
    loss = derive.load(name)
    loss = loss if reduction == "none" else batched(loss, reduction)
    found = derive.gradient(loss, wrt)
    text = write(found, "text", parts=("matrix",), example=given_point(loss, given))
    shown = text[text.index("A numerical example") :].split("\n\n")[0]
    equation = shown[shown.rindex("  ∂") : shown.index("  Entries are counted")]
    left, right, value = " ".join(equation.split()).split(" = ")
    assert left == f"∂{loss.value.name}/∂{wrt}"
    array = r"\(([-\d.]+(?:[,;] [-\d.]+)+)\)"
    code = re.sub(array, r"M('\1')", f"{right} - {value}".replace("−", "-"))
    code = code.replace("ᵀ", ".T").replace("·", "*")
    code = re.sub(r"(\)|\.T) (?=[M(])", r"\1 @ ", code)

    def column(text: str) -> np.ndarray:
        array = np.array([[float(x) for x in row.split(",")] for row in text.split(";")])
        return array if ";" in text else array.T

    assert np.abs(eval(code, {"M": column})).max() < 2e-3
    latex = write(found, "latex", parts=("matrix",), example=given_point(loss, given))
    assert r"\begin{pmatrix}" in latex[latex.rindex("partial") :]


def test_a_jacobian_has_a_matrix_form_only_and_an_unknown_part_is_refused() -> None:
    loss = derive.load("softmax_cross_entropy")
    jacobian = derive.gradient(loss, "a", "p")
    others = tuple(part for part in PAGE_PARTS if part != "matrix")
    assert write(jacobian, "text", parts=others) == write(jacobian, "text")
    assert "diag(p) − p pᵀ" in write(jacobian, "text", parts=PAGE_PARTS)
    with pytest.raises(PminusyError, match="no part 'colour'; there are matrix, second, stable"):
        write(jacobian, "text", parts=("colour",))


@pytest.mark.parametrize(("name", "wrt"), [*FEW, ("kl_divergence", "z"), ("tversky", "z")])
def test_an_article_with_every_part_is_typeset(
    name: str, wrt: str, require: Callable[[str], str]
) -> None:
    require("pdflatex")
    assert typeset(derivation(name, wrt), "normal", PAGE_PARTS).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("formula", "spaces"),
    [
        (r"\gamma p_{t} \log p_{t}", 2),  # one before the name, one behind it
        (r"(1 - p)^{2} \log p", 2),
        (r"-\log p", 1),
        (r"(x) \max_{k} a_{k}", 2),
        (r"\operatorname{softplus}(x)", 0),
        (r"p_{i} x", 0),
    ],
)
def test_a_function_stands_apart_from_what_it_follows(formula: str, spaces: int) -> None:
    assert mathml(formula).count('<mspace width="0.1667em">') == spaces


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("for x >= 0 it is 1/(1 + exp(-x))", "for x ≥ 0 it is 1/(1 + exp(−x))"),
        ("x^2 overflows, of T^2", "x² overflows, of T²"),
        ("v'Hv >= 0, the gradient's sum", "v′Hv ≥ 0, the gradient's sum"),
        ("psi = (-1)**k * cos(2*theta) - 2*k", "ψ = (−1)^k · cos(2·θ) − 2·k"),
        ("2*L(z) -> oo, straight-line, the delta", "2·L(z) → ∞, straight-line, the delta"),
    ],
)
def test_words_have_the_signs_of_mathematics(typed: str, shown: str) -> None:
    assert signs(typed, {"psi", "theta"}) == shown


def test_a_name_of_several_letters_is_no_function() -> None:
    loss = derive.parse("KL: input\np: input\n\nL = KL * (1 - p)\n", "product")
    assert r"\mathrm{KL} \cdot (1 - p)" in write(derive.gradient(loss, "p"), "latex")


def test_what_is_no_formula_is_refused() -> None:
    with pytest.raises(PminusyError, match="no MathML for the formula"):
        mathml(r"\frac{1")


@pytest.mark.parametrize(("name", "wrt"), FEW)
def test_words_of_the_author_are_only_words(name: str, wrt: str) -> None:
    loss = derive.load(name)
    text = loss.text.replace('"""', '"""<script>alert(1)</script> & $x$ ', 1)
    found = derive.gradient(derive.parse(text, name), wrt)
    page = Page(write(found, "html"))
    assert page.tags["script"] == 0
    assert "<script>alert(1)</script>" in "".join(page.text)


@pytest.mark.parametrize(("name", "wrt"), FEW)
def test_a_pdf_is_the_same_on_every_run(name: str, wrt: str, require: Callable[[str], str]) -> None:
    require("pdflatex")
    first = typeset(derivation(name, wrt))
    assert first.startswith(b"%PDF-") and first == typeset(derivation(name, wrt))


def test_a_pdf_is_named_after_the_loss_and_needs_a_tex(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    require: Callable[[str], str],
) -> None:
    require("pdflatex")
    monkeypatch.chdir(tmp_path)
    assert main(["derive", "huber", "--wrt", "z", "--to", "pdf"]) == 0
    assert capsys.readouterr().out.strip() == "huber.pdf"
    assert (tmp_path / "huber.pdf").read_bytes().startswith(b"%PDF")
    monkeypatch.setenv("PATH", str(tmp_path))
    out = str(tmp_path / "page.pdf")
    assert main(["derive", "huber", "--wrt", "z", "--to", "pdf", "-o", out]) == 2
    assert "apt-get install" in capsys.readouterr().err
    assert not Path(out).exists()


@pytest.mark.parametrize(("name", "wrt"), [*FEW, ("cox_partial_likelihood", "z"), ("gamma", "z")])
def test_a_notebook_runs(name: str, wrt: str) -> None:
    """In a kernel of its own: the derivation replays, the claim is proved, differences agree."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    page = nbformat.reads(write(derivation(name, wrt), "ipynb"), 4)
    nbclient.NotebookClient(page, timeout=120, resources={"metadata": {"path": "/"}}).execute()
    outputs = [cell.outputs for cell in page.cells if cell.cell_type == "code"]
    assert len(outputs) == 5
    (verdict,) = outputs[1]
    assert verdict["data"]["text/markdown"].startswith("**proved**")


@pytest.mark.parametrize(("name", "wrt"), cases())
def test_the_cells_of_every_notebook_run(name: str, wrt: str) -> None:
    """The same without the cost of a kernel for each: our own text, run as it stands."""
    page = json.loads(write(derivation(name, wrt), "ipynb"))
    cells = ["".join(c["source"]) for c in page["cells"] if c["cell_type"] == "code"]
    space: dict[str, object] = {"__name__": "notebook", "print": lambda *_: None}
    for cell in cells:
        exec(compile(cell, f"{name}.ipynb", "exec"), space)
    assert {"found", "kernel", "numeric"} <= set(space)


def test_reprs_say_the_verdict() -> None:
    loss = derive.load("softmax_cross_entropy")
    proved = derive.check(loss, "a[j]", "p[j] - y[j]")
    refuted = derive.check(loss, "a[j]", "y[j] - p[j]")
    assert proved._repr_html_().startswith("<p><strong>proved</strong>")
    assert "y in simplex" in proved._repr_markdown_()
    assert "K = 2" in refuted._repr_markdown_() and r"\textbf{refuted}" in refuted._repr_latex_()
    shown = derivation("softmax_cross_entropy", "a")._repr_html_()
    assert not Page(shown).open and r"p_{j} - y_{j}" in shown
    for said in (refuted._repr_markdown_(), refuted._repr_html_(), refuted._repr_latex_()):
        assert "Hint: the sign is wrong." in said and "p[j] - y[j]" in said
    assert "p[j] - y[j]" not in proved._repr_html_()
    product = derive.hvp(loss, "a")
    lemmas = re.findall(r"\*\*Lemma \d+: (.*)\*\*", product._repr_markdown_())
    assert len(lemmas) == len(set(lemmas)) > 3  # one that serves twice is shown once
    assert product._repr_html_().count("<h4>") == len(lemmas) + 1
