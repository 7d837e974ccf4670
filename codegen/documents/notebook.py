"""A derivation as a Jupyter notebook that runs: the derivation, a kernel, a check of both."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np

from codegen.builder import build
from codegen.documents.markdown import markdown
from codegen.documents.model import NOTHING, Wanted
from codegen.documents.parts import of_loss
from codegen.emit import render
from codegen.points import moderate
from derive.batch import PER_SAMPLE, names_batch
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.loss import Loss
from derive.point import Point
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
    for kind, text in _cells(derivation, wanted.example):
        make = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
        cells.append(make(text))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    if wanted.pictures:
        cells[0]["attachments"] = {
            f"{one.name}.png": {"image/png": b64encode(one.file("png")).decode()}
            for one in wanted.pictures
        }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    page = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.validate(page)
    return str(nbformat.writes(page)) + "\n"


def _cells(derivation: Derivation, example: Point | None) -> list[tuple[str, str]]:
    """The cells after the derivation; a kernel where it is the slope of the loss itself.

    The kernel is tried at `example`, or at a drawn sample.
    """
    loss = derivation.loss
    if not of_loss(derivation):
        return []
    wrt = derivation.wrt[0].tensor.name
    kernel = build(loss, wrt=[wrt])
    if example is None:
        drawn = moderate(kernel.loss, SIZES, "float64", "notebook").finished()
        sample = {name: np.asarray(value).round(3) for name, value in drawn.items()}
    else:
        sample = _arrays(kernel.loss, example)
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


def _arrays(loss: Loss, point: Point) -> dict[str, Any]:
    """A point as arguments of a kernel: a batch of one sample."""
    arrays = {}
    for declaration in loss.declarations:
        shape = [point.sizes[axis.name] for axis in declaration.tensor.axes]
        dtype = np.float64 if declaration.tensor.label is None else np.int64
        given = point.values[declaration.name]
        array = np.array([given[place] for place in np.ndindex(*shape)]).astype(dtype)
        first = (1,) if declaration.role in PER_SAMPLE and not names_batch(loss) else ()
        arrays[declaration.name] = array.reshape(*first, *shape)
    return arrays


def _literal(value: Any) -> str:
    return f"np.array({np.asarray(value).tolist()})"
