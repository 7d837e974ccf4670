"""A derivation as a Jupyter notebook that runs: the derivation, a kernel, a check of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.builder import build
from codegen.documents.markdown import markdown
from codegen.documents.model import NOTHING, Wanted
from codegen.emit import render
from codegen.points import moderate
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.printing import language

REMEDY = "a notebook needs nbformat: pip install 'pminusy[documents]'"
SIZES = {"N": 2, "K": 3, "D": 2}
SEPARATOR = "# %% "


def notebook(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """The notebook as text: first what is on paper, then cells that derive and compute it."""
    try:
        import nbformat
        from nbformat import v4
    except ImportError as error:
        raise PminusyError(REMEDY) from error
    cells = [v4.new_markdown_cell(markdown(derivation, detail, wanted))]
    for kind, text in _cells(derivation):
        make = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
        cells.append(make(text))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    page = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.validate(page)
    return str(nbformat.writes(page)) + "\n"


def _cells(derivation: Derivation) -> list[tuple[str, str]]:
    """The cells after the derivation; a kernel where it is the slope of the loss itself."""
    loss = derivation.loss
    first = len(derivation.wrt) == 1 and derivation.shown is None
    if not first or derivation.of != loss.value.entry:
        return []
    wrt = derivation.wrt[0].tensor.name
    kernel = build(loss, wrt=[wrt])
    sample = moderate(kernel.loss, SIZES, "float64", "notebook").finished()
    names = [given.name for given in kernel.kernel.inputs]
    text = render(
        "notebook.txt.j2",
        lines=[repr(line) for line in loss.text.splitlines()],
        name=repr(loss.name),
        wrt=repr(wrt),
        entry=repr(language(derivation.wrt[0], loss, derivation.names)),
        claim=repr(derivation.formula),
        given=[(name, _literal(sample[name])) for name in names],
    )
    parts = (part.strip("\n").partition("\n") for part in text.split(SEPARATOR) if part.strip())
    return [(kind, body) for kind, _, body in parts]


def _literal(value: Any) -> str:
    array = np.asarray(value)
    rounded = array.round(3) if array.dtype.kind == "f" else array
    return f"np.array({rounded.tolist()})"
