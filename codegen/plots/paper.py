"""One look for every figure, readable in grey; the same bytes on every run."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from derive.errors import PminusyError
from derive.latex_style import latex_name

REMEDY = "pictures need matplotlib: pip install 'pminusy[plots]'"
FORMATS = ("svg", "png", "pdf")
# Told apart by the dashes where the colours are gone.
LINES = (("#0b3c6f", "-"), ("#b5541c", "--"), ("#2a7a4b", "-."), ("#7a3b8f", ":"), ("#555555", "-"))
LOOK: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "pminusy",
    "image.cmap": "cividis",
}


@contextmanager
def figure(*shape: int, size: tuple[float, float] = (5.2, 4.6), **options: Any) -> Iterator[Any]:
    """A figure with its axes; no window is ever opened."""
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PminusyError(REMEDY) from error
    with rc_context(LOOK):
        page = Figure(figsize=size)
        FigureCanvasAgg(page)
        yield page, page.subplots(*shape, squeeze=False, **options)


def lines() -> Iterator[dict[str, str]]:
    """Colour and dashes of one curve after the other."""
    return ({"color": colour, "linestyle": dash} for colour, dash in cycle(LINES))


def math(name: str) -> str:
    """A name of a loss as a label."""
    return f"${latex_name(name)}$"


def saved(page: Any, form: str) -> bytes:
    """The figure in one of FORMATS, without a date."""
    if form not in FORMATS:
        raise PminusyError(f"no picture format '{form}'; there are {', '.join(FORMATS)}")
    from matplotlib import rc_context

    metadata = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with rc_context(LOOK):
        page.savefig(buffer, format=form, dpi=160, metadata=metadata[form])
    return buffer.getvalue()
