"""Documents: every library loss in every format; LaTeX compiles without a word of complaint."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import derive
from codegen.documents import DETAILS, FORMATS, write
from codegen.documents.latex import escape
from codegen.documents.text import dress_of
from derive.derivation import Derivation, Step
from derive.errors import PminusyError
from derive.loss import Loss

COMPLAINT = re.compile(r"Warning|Overfull|Underfull|Missing|Undefined|^!", re.MULTILINE)


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


def compile_latex(text: str, folder: Path, pdflatex: str) -> str:
    """Run pdflatex; its log, lines joined."""
    (folder / "page.tex").write_text(text, encoding="utf-8")
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return (folder / "page.log").read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("detail", ["normal", "full"])
@pytest.mark.parametrize(("name", "wrt"), cases())
def test_article_compiles(
    name: str, wrt: str, detail: str, tmp_path: Path, require: Callable[[str], str]
) -> None:
    log = compile_latex(
        write(derivation(name, wrt), "latex", detail=detail), tmp_path, require("pdflatex")
    )
    assert not COMPLAINT.search(log)


def test_fragments_and_methods_compile(tmp_path: Path, require: Callable[[str], str]) -> None:
    parts = []
    for name, wrt in cases():
        d = derivation(name, wrt)
        parts += [write(d, "latex", fragment=True), d.latex(), d._repr_latex_()]
    head = "\\documentclass[landscape]{article}\\usepackage{amsmath}\\textwidth=25cm"
    page = "\n\n".join([head, "\\begin{document}", *parts, "\\end{document}"])
    compile_latex(page, tmp_path, require("pdflatex"))


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(("name", "wrt"), cases())
def test_each_format_says_the_result_and_every_rule(name: str, wrt: str, to: str) -> None:
    d = derivation(name, wrt)
    text = write(d, to)
    assert text == write(d, to)
    assert text.endswith("\n")
    shown = text.replace("│", " ") if to == "text" else text
    dress = dress_of(d)
    sides = (dress.show(each, d.loss, d.names) for each in (d.subject, d.result))
    expected = {"text": " = ".join(sides), "json": json.dumps(d.formula)[1:-1]}.get(to, "")
    assert "".join(expected.split()) in "".join(shown.split())
    for step in d.steps:
        assert step.name in text
    for hypothesis in d.hypotheses:
        assert hypothesis in text


@pytest.mark.parametrize(("name", "wrt"), cases())
def test_text_fits_a_terminal(name: str, wrt: str) -> None:
    for detail in DETAILS:
        d = derivation(name, wrt)
        lines = write(d, "text", detail=detail).splitlines()
        lines = [line for line in lines if not line.endswith(f" = {d.formula}")]  # to copy
        assert max(map(len, lines)) <= 100
        assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("name", "wrt"), cases())
def test_json_holds_every_step(name: str, wrt: str) -> None:
    d = derivation(name, wrt)
    found = json.loads(write(d, "json"))
    assert list(found) == [
        *("loss", "title", "of", "wrt", "start", "result", "hypotheses", "lemmas", "steps"),
        *("definitions", "parts"),
    ]
    assert found["result"]["language"] == d.formula
    assert len(found["steps"]) == len(d.steps)
    for step in found["steps"]:
        assert list(step) == [
            *("rule", "reason", "before", "after", "hypotheses", "check", "substeps")
        ]


def test_the_result_of_softmax_cross_entropy() -> None:
    d = derivation("softmax_cross_entropy", "a")
    assert d.formula == "p[j] - y[j]"
    assert str(d) == "∂L/∂aⱼ = pⱼ − yⱼ"
    assert d._repr_latex_() == r"$\displaystyle \frac{\partial L}{\partial a_{j}} = p_{j} - y_{j}$"
    assert r"\boxed{\frac{\partial L}{\partial a_{j}} = p_{j} - y_{j}}" in write(d, "markdown")
    assert "y in simplex: yᵢ ≥ 0, Σᵢ yᵢ = 1" in write(d, "text")


def test_full_detail_shows_the_sub_steps() -> None:
    d = derivation("softmax_cross_entropy", "a")
    assert "multiply out" not in re.sub(r"\(.*\)", "", write(d, "text"))
    assert "multiply out" in write(d, "text", detail="full")
    assert "carry out the sum" not in write(d, "text", detail="brief")


def test_a_second_derivative_compiles(tmp_path: Path, require: Callable[[str], str]) -> None:
    d = derive.hessian(derive.load("softmax_cross_entropy"), "a")
    assert "/∂aᵢ∂aⱼ = pᵢ·(δᵢⱼ − pⱼ)" in str(d)
    assert not COMPLAINT.search(compile_latex(write(d, "latex"), tmp_path, require("pdflatex")))


def test_two_paths_tell_the_direct_derivative_from_the_total_one() -> None:
    d = derive.gradient(derive.parse("z: input\n\ns = z**2\nL = s * z\n"), "z")
    assert "∂L/∂z = (∂L/∂s)·(∂s/∂z) + (∂L/∂z)|direct" in write(d, "text")
    assert "direct derivative of $L$ with respect to $z$" in write(d, "latex")


def test_domains_are_written_out(tmp_path: Path, require: Callable[[str], str]) -> None:
    loss = derive.parse(
        '''"""50% of α & β_1: {a} < b | c ~ ^ \\\\ é – ΠΩ.

        Source: O'Neill & Søn (2020), <k>.
        """
z: input[N, K]
t: target[N] in K
s: target in sign
b: target in binary
r: target in unit
alpha: const in unit = 0.25
gamma: const > 0 = 2
m: 0 < const < 1
Δx: param

L = sum(z[n, t[n]] for n in N) * s * b * r * alpha * gamma * m * Δx
'''
    )
    d = derive.gradient(loss, "Δx")
    text = write(d, "text")
    for fact in ("t ∈ K^N", "s ∈ {-1, 1}", "b ∈ {0, 1}", "0 ≤ r ≤ 1", "γ = 2", "0 < m < 1"):
        assert fact in text
    assert not COMPLAINT.search(compile_latex(write(d, "latex"), tmp_path, require("pdflatex")))


def test_a_formula_wider_than_the_page_is_fitted(
    tmp_path: Path, require: Callable[[str], str]
) -> None:
    names = [f"parameter{number}" for number in range(30)]
    declared = "\n".join(f"{name}: param" for name in names)
    loss = derive.parse(f"{declared}\n\nL = {' + '.join(f'{n} * log({n})' for n in names)}\n")
    d = derive.gradient(loss, "parameter3")
    assert max(map(len, write(d, "text").splitlines())) <= 100
    assert not COMPLAINT.search(compile_latex(write(d, "latex"), tmp_path, require("pdflatex")))
    text = subprocess.run(
        [require("pdftotext"), str(next(tmp_path.glob("*.pdf"))), "-"],
        capture_output=True,
        text=True,
    ).stdout
    assert re.search(r"a formula about \d+\s+times as wide as this page", text)


def test_words_are_escaped() -> None:
    assert escape("50% a_b & {c}") == r"50\% a\_b \& \{c\}"
    assert escape("α of 语") == r"\(\alpha\) of \(\mathrm{U8BED}\)"


def test_unknown_formats_and_details_are_refused() -> None:
    d = derivation("mean_squared_error", "z")
    with pytest.raises(PminusyError, match="no document format 'pdf'; there are text, latex"):
        write(d, "pdf")
    with pytest.raises(PminusyError, match="no detail 'long'; there are brief, normal, full"):
        write(d, "text", detail="long")


def test_an_undecided_step_is_said_to_be_so() -> None:
    d = derivation("mean_squared_error", "z")
    doubtful = [Step(**{**vars(step), "check": "unknown"}) for step in d.steps]
    text = write(Derivation(**{**_fields(d), "steps": tuple(doubtful)}), "text")
    assert "[unknown]" in text
    assert f"{len(doubtful)} not decided." in text


def _fields(d: Derivation) -> dict[str, object]:
    names = ("loss", "title", "of", "wrt", "start", "result", "steps", "lemmas")
    return {name: getattr(d, name) for name in names}


def test_a_loss_without_words_has_a_document() -> None:
    d = derivation("mean_squared_error", "z")
    bare = Loss("bare", "", d.loss.declarations, d.loss.definitions)
    assert write(derive.gradient(bare, "z"), "text").startswith("bare\n")


@pytest.mark.parametrize("to", ["latex", "markdown", "html", "ipynb"])
def test_one_document_holds_several_gradients(to: str) -> None:
    """What was said for the first gradient, lemmas too, is not said again for the next."""
    first, *others = (derivation("linear_softmax_cross_entropy", name) for name in ("x", "W", "b"))
    text = write(first, to, others=others)
    lemmas = [int(found) for found in re.findall(r"Lemma (\d+): derivative", text)]
    assert lemmas == [1, 2, 3, 4, 5, 6]
    headings = ("Result", "The loss", "What was proved, and how")
    assert [len(re.findall(rf"[>{{ ]{one}[<}}\\\n]", text)) for one in headings[:2]] == [3, 1]
    assert text.count(headings[2]) == 1


def test_labels_of_pasted_fragments_differ() -> None:
    loss = derive.load("softmax_cross_entropy")
    found = [derive.gradient(loss, "a"), derive.gradient(loss, "a", loss.free_entry("p"))]
    texts = [write(each, fragment=True) for each in found]
    labels = re.findall(r"\\label\{([^}]*)\}", "".join(texts))
    assert len(set(labels)) == len(labels) > 10
    assert all(r"\usepackage{amsmath}" in text for text in texts)
