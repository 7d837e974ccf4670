"""What the signs of a document mean: those among its formulas that a reader may not know."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.documents.model import Document, Line, Section

FUNCTIONS = {
    "softplus": r"\log(1 + e^{x})",
    "relu": r"\max(0, x)",
    "log1p": r"\log(1 + x)",
    "log1pmx": r"\log(1 + x) - x",
    "log1mexp": r"\log(1 - e^{x})",
    "expm1": r"e^{x} - 1",
    "expm1mx": r"e^{x} - 1 - x",
    "erf": r"\tfrac{2}{\sqrt{\pi}} \int_{0}^{x} e^{-t^{2}} dt",
    "erfc": r"1 - \operatorname{erf}(x)",
    "erfcx": r"e^{x^{2}} \operatorname{erfc}(x)",
}
# What a formula in LaTeX has in it, and what that says; where a loss has a name of its own for
# the sign, it is not explained.
MEANINGS = (
    (r"\delta_{", "delta", r"$\delta_{ij}$ is 1 where $i = j$ and 0 elsewhere"),
    (r"\mathbf{1}[", "", r"$\mathbf{1}[c]$ is 1 where $c$ holds and 0 elsewhere"),
    (r"\sigma(", "sigma", r"$\sigma(x) = 1/(1 + e^{-x})$"),
    *(
        (rf"\operatorname{{{name}}}(", "", rf"$\operatorname{{{name}}}(x) = {meaning}$")
        for name, meaning in FUNCTIONS.items()
    ),
    (r"\operatorname{sign}(", "", r"$\operatorname{sign}(x)$ is $-1$, 0 or 1"),
    (r"\psi(", "psi", r"$\psi$ is the derivative of $\log\Gamma$"),
    (r"\operatorname{trigamma}(", "", r"$\operatorname{trigamma}$ is that of $\psi$"),
    (
        r"\omega_{",
        "omega",
        r"$\omega_{j}(\max_{i} x_{i})$ is 1 where $x_{j}$ alone is the largest, else 0",
    ),
    (r"\text{direct}", "", "a derivative marked “direct” keeps all other definitions fixed"),
)


def notation(document: Document, names: frozenset[str]) -> str:
    """The meanings of the signs in a document of LaTeX formulas, as one sentence or none.

    `names` are those of the loss.
    """
    written = "\n".join(_formulas(document)).replace(r"\!\left", "")
    said = [meaning for mark, name, meaning in MEANINGS if mark in written and name not in names]
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if said else ""


def _formulas(document: Document) -> Iterator[str]:
    for pair in document.definitions:
        yield from pair
    for section in document.sections:
        yield from _of_section(section)
    for part in document.parts:
        for section in part.sections:
            yield from _of_section(section)
        for statement in part.statements:
            yield from statement.steps
    for other in document.others:
        yield from _formulas(other)


def _of_section(section: Section) -> Iterator[str]:
    yield section.left
    yield section.right
    yield from _of_lines(section.lines)


def _of_lines(lines: tuple[Line, ...]) -> Iterator[str]:
    for line in lines:
        yield line.left
        yield line.right
        yield from _of_lines(line.inside)
