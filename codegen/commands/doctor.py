"""Which targets and tools are usable here, and how to get the missing ones."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from codegen.commands import as_json, say, styled
from codegen.compile import find_compiler
from derive.errors import PminusyError

HELP = "which targets and tools are usable here"

# What it is for, its distribution or program, and how to get it.
PACKAGES = (
    ("deriving", "sympy", "pip install sympy"),
    ("rigorous arithmetic", "python-flint", "pip install python-flint"),
    ("the NumPy target", "numpy", "pip install numpy"),
    ("the PyTorch target", "torch", "pip install 'pminusy[torch]'"),
    ("the JAX target", "jax", "pip install 'pminusy[jax]'"),
    ("the Numba target", "numba", "pip install 'pminusy[numba]'"),
    ("the Triton target", "triton", "pip install 'pminusy[triton]'"),
    ("objectives for XGBoost", "xgboost", "pip install 'pminusy[xgboost]'"),
    ("objectives for LightGBM", "lightgbm", "pip install 'pminusy[lightgbm]'"),
    ("objectives for CatBoost", "catboost", "pip install 'pminusy[catboost]'"),
    ("templates", "jinja2", "pip install jinja2"),
    ("the digits example", "scikit-learn", "pip install 'pminusy[sklearn]'"),
    ("L-BFGS in the digits example", "scipy", "pip install 'pminusy[sklearn]'"),
    ("pictures", "matplotlib", "pip install 'pminusy[plots]'"),
    ("HTML pages", "quickjs-ng", "pip install 'pminusy[documents]'"),
    ("notebooks", "nbformat", "pip install 'pminusy[documents]'"),
)
PROGRAMS = (
    ("the JavaScript target", "node", "apt-get install nodejs, or https://nodejs.org"),
    ("typesetting LaTeX", "pdflatex", "apt-get install texlive-latex-base"),
    ("looking at pages", "pdftoppm", "apt-get install poppler-utils"),
)


def arguments(parser: ArgumentParser) -> None:
    """This command has no arguments of its own."""


def _version(name: str) -> str:
    """The version of a distribution, or of its build without GPU; "" where neither is here."""
    from importlib.metadata import PackageNotFoundError, version

    for distribution in (name, f"{name}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return ""


def _compiler() -> tuple[str, str]:
    """The name of the C compiler, and whether it is here."""
    try:
        return Path(find_compiler()).name, "found"
    except PminusyError:
        return "cc", ""


def run(options: Namespace) -> int:
    rows = []
    for purpose, name, remedy in PACKAGES:
        rows.append((purpose, name, _version(name), remedy))
    rows.append(("the C target", *_compiler(), "apt-get install gcc, or set CC"))
    for purpose, name, remedy in PROGRAMS:
        rows.append((purpose, name, "found" if shutil.which(name) else "", remedy))
    if options.json:
        keys = ("purpose", "name", "version", "remedy")
        as_json({"tools": [dict(zip(keys, row, strict=True)) for row in rows]})
        return 0
    names, versions = (max(len(row[k]) for row in rows) + 2 for k in (1, 2))
    for purpose, name, found, remedy in rows:
        mark = styled("ok     ", "green") if found else styled("missing", "yellow")
        how = "" if found else f": {remedy}"
        say(f"{mark}  {name:<{names}}{found:<{versions}}{purpose}{how}")
    return 0
