"""How results look in a notebook: Markdown, HTML and LaTeX that it typesets itself."""

from __future__ import annotations

from html import escape
from typing import Protocol

from derive.latex_style import escape as latex_words


class Judged(Protocol):
    """What a verdict says of itself."""

    status: str
    reason: str
    hypotheses: tuple[str, ...]
    counterexample: object | None
    hint: str


class Shown:
    """The three forms of a verdict that Jupyter asks for."""

    def _repr_markdown_(self: Judged) -> str:
        first, *others = sentences(self)
        return "\n\n".join([f"**{self.status}**: {first}", *others])

    def _repr_html_(self: Judged) -> str:
        first, *others = (escape(sentence) for sentence in sentences(self))
        rest = "".join(f"<p>{sentence}</p>" for sentence in others)
        return f"<p><strong>{escape(self.status)}</strong>: {first}</p>{rest}"

    def _repr_latex_(self: Judged) -> str:
        words = " ".join(sentences(self))
        return rf"\textbf{{{self.status}}}: {latex_words(words)}"


def sentences(verdict: Judged) -> list[str]:
    """What a verdict says, in words."""
    said = [f"{verdict.reason}."]
    if verdict.hypotheses:
        said.append(f"It rests on {' and '.join(verdict.hypotheses)}.")
    if verdict.counterexample is not None:
        said.append(f"At {verdict.counterexample}.")
    if verdict.hint:
        said.append(verdict.hint)
    return said


def aligned_html(title: str, rows: list[str], reasons: list[tuple[str, str]]) -> str:
    """A chain of equations in LaTeX, which the notebook typesets, and the reason of each step."""
    items = "".join(f"<li><b>{escape(rule)}</b>: {escape(why)}</li>" for rule, why in reasons)
    formula = escape("\n".join(rows))
    return f"<h4>{escape(title)}</h4>\n<div>$${formula}$$</div>\n<ol>{items}</ol>"
