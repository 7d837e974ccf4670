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
    answer: str


class Shown:
    """The three forms of a verdict that Jupyter asks for."""

    def _repr_markdown_(self: Judged) -> str:
        first, *others = sentences(self)
        answer = [f"It is `{self.answer}`."] if self.answer else []
        return "\n\n".join([f"**{self.status}**: {first}", *others, *answer])

    def _repr_html_(self: Judged) -> str:
        first, *others = (escape(sentence) for sentence in sentences(self))
        answer = [f"It is <code>{escape(self.answer)}</code>."] if self.answer else []
        rest = "".join(f"<p>{sentence}</p>" for sentence in [*others, *answer])
        return f"<p><strong>{escape(self.status)}</strong>: {first}</p>{rest}"

    def _repr_latex_(self: Judged) -> str:
        words = latex_words(" ".join(sentences(self)))
        answer = rf" It is \texttt{{{latex_words(self.answer)}}}." if self.answer else ""
        return rf"\textbf{{{self.status}}}: {words}{answer}"


def sentences(verdict: Judged) -> list[str]:
    """What a verdict says, in words."""
    said = [f"{verdict.reason}."]
    if verdict.hypotheses and ", given " not in verdict.reason:
        said.append(f"It rests on {' and '.join(verdict.hypotheses)}.")
    if verdict.counterexample is not None:
        said.append(f"At {verdict.counterexample}.")
    if verdict.hint:
        said.append(f"Hint: {verdict.hint}.")
    return said


def titled(title: str, number: int) -> str:
    """The title of a lemma with its number, or of what the lemmas lead to, which has none."""
    return f"Lemma {number}: {title}" if number else title[:1].upper() + title[1:]


def aligned_html(title: str, rows: list[str], reasons: list[tuple[str, str]]) -> str:
    """A chain of equations in LaTeX, which the notebook typesets, and the reason of each step."""
    items = "".join(f"<li><b>{escape(rule)}</b>: {escape(why)}</li>" for rule, why in reasons)
    formula = escape("\n".join(rows))
    return f"<h4>{escape(title)}</h4>\n<div>$${formula}$$</div>\n<ol>{items}</ol>"
