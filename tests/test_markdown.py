"""Markdown in its dialects: what a reader of each takes for a formula is what was written.

Dollar signs are read as pandoc, Quarto and Jupyter read them, by markdown-it-py with its plugin;
GitHub's marks by markdown-it-py alone, since they are code to every reader of CommonMark.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import derive
from codegen.documents import PAGE_PARTS, write
from codegen.documents.markdown import escape

pytest.importorskip("markdown_it")
dollarmath = pytest.importorskip("mdit_py_plugins.dollarmath")
from markdown_it import MarkdownIt  # noqa: E402
from markdown_it.token import Token  # noqa: E402

WRITTEN = re.compile(r"^\$\$\n(.+?)\n\$\$$|(?<!\\)\$([^$\n]+?)\$", re.DOTALL | re.MULTILINE)
WHOLE = [
    ("arcface", "c"),
    ("info_nce", "U"),
    ("tversky", "z"),
    ("weighted_softmax_cross_entropy", "a"),
]
CASES = [
    (name, declaration.name)
    for name in derive.library()
    for declaration in derive.load(name).declarations
    if declaration.role in ("input", "param")
][::2]


def tokens(found: list[Token]) -> Iterator[Token]:
    for token in found:
        yield token
        yield from tokens(token.children or [])


def by_dollars(text: str) -> list[str]:
    reader = MarkdownIt("commonmark").use(dollarmath.dollarmath_plugin, allow_space=False)
    found = list(tokens(reader.parse(text)))
    assert not [t for t in found if t.type in ("html_inline", "code_inline", "fence")]
    return [t.content.strip() for t in found if t.type.startswith("math")]


def by_github(text: str) -> list[str]:
    """Fences named math, and code between dollar signs."""
    found = list(tokens(MarkdownIt("commonmark").parse(text)))
    formulas = []
    for number, token in enumerate(found):
        if token.type == "fence":
            assert token.info == "math"
            formulas.append(token.content.strip())
        elif token.type == "code_inline":
            before, after = found[number - 1].content, found[number + 1].content
            assert before.endswith("$") and after.startswith("$")
            assert not re.search(r"\w\$$", before) and not re.match(r"\$\w", after)
            formulas.append(token.content)
        assert token.type != "html_inline"
    return formulas


def allowed(formula: str) -> str:
    """A formula without the macro that GitHub refuses."""
    return re.sub(r"\\operatorname\*?\{(\w+)\}", r"\\mathop{\\mathrm{\1}}", formula)


@pytest.mark.parametrize(
    ("name", "wrt", "parts"),
    [*((*case, ()) for case in CASES), *((*case, PAGE_PARTS) for case in WHOLE)],
    ids=str,
)
def test_formulas_survive_in_every_dialect(name: str, wrt: str, parts: tuple[str, ...]) -> None:
    found = derive.gradient(derive.load(name), wrt)
    detail = "full" if parts else "normal"
    text = write(found, "markdown", detail=detail, parts=parts)
    written = [shown or inline for shown, inline in WRITTEN.findall(text)]
    assert len(written) > len(found.lemmas) and by_dollars(text) == written
    assert not any("\n\n" in formula for formula in written)  # pandoc ends a formula there
    github = write(found, "gfm", detail=detail, parts=parts)
    assert by_github(github) == [allowed(formula) for formula in written]
    assert r"\label" not in github and "$$" not in github


def test_katex_reads_the_formulas_for_github(node_module: Callable[[str], Path]) -> None:
    script = node_module("katex").parent.parent / "katex.mjs"
    found = derive.gradient(derive.load("multiclass_hinge"), "z")
    formulas = by_github(write(found, "gfm", parts=PAGE_PARTS))
    formulas += by_github(
        write(derive.gradient(derive.load("softmax_cross_entropy"), "a"), "gfm", parts=("stable",))
    )
    assert any(r"\mathop" in formula for formula in formulas)
    done = subprocess.run(
        ["node", str(script)],
        input=json.dumps([(formula, True) for formula in formulas]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == []


WORDS = "1. *a* _b_ `c` <b>d</b> $x^2$ e^2^ ~f~ [g](h) &lt; \\alpha @i | j"


@pytest.mark.parametrize("words", [WORDS, "# a", "- b", "+ c", "3) d", "> e", "| f"])
def test_words_are_only_words(words: str) -> None:
    """Words of the author come out as they were written, in both readings."""
    for reader in (
        MarkdownIt("commonmark").enable("strikethrough"),
        MarkdownIt("commonmark").use(dollarmath.dollarmath_plugin),
    ):
        found = list(tokens(reader.parse(escape(words))))
        assert {token.type for token in found} <= {
            "paragraph_open",
            "inline",
            "text",
            "text_special",
            "paragraph_close",
        }
        assert "".join(token.content for token in found if token.type.startswith("text")) == words
    typed = words.replace("\\", "\\\\")
    loss = derive.parse(f'"""{typed}"""\nz: input\n\nL = z**2\n', "words")
    assert f"\n# {escape(words)}\n" in write(derive.gradient(loss, "z"), "markdown")
