"""Switches of the test run.

`--update` rewrites golden and generated files instead of comparing with them.
`PMINUSY_REQUIRE=all` in the environment turns every skipped test into a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from codegen import builder, oracle
from derive import engine

ROOT = Path(__file__).resolve().parent.parent

# Tests run side by side; threads inside each of them would only wait for each other.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# The same examples in every run and no deadline: a slow machine is not a failure.
settings.register_profile("pminusy", derandomize=True, deadline=None, database=None)
settings.load_profile("pminusy")

# A run asks for more derivations and kernels than any program, again and again in many files:
# what these modules keep of theirs is kept to the end.
for module in (engine, builder, oracle):
    for name, kept in list(vars(module).items()):
        if hasattr(kept, "cache_parameters") and kept.__module__ == module.__name__:
            setattr(module, name, cache(kept.__wrapped__))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite golden and generated files, then pass"
    )


@pytest.fixture(scope="session")
def update(pytestconfig: pytest.Config) -> bool:
    """Whether golden and generated files are to be rewritten."""
    return bool(pytestconfig.getoption("--update"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """`require(tool)`: the path of a program that a test needs; without it the test is skipped."""

    def find(tool: str) -> str:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"{tool} is not installed")
        return found

    return find


@pytest.fixture(scope="session")
def node_module(require: Callable[[str], str], root: Path) -> Callable[[str], Path]:
    """`node_module(name)`: the folder of an npm package that a test needs, as `make test` puts
    it there; without it, or without Node, the test is skipped."""

    def find(name: str) -> Path:
        require("node")
        folder = root / "tests" / "js" / "node_modules" / name
        if not folder.is_dir():
            pytest.skip(f"the npm package {name} is not installed: npm ci --prefix tests/js")
        return folder

    return find


def everything_required() -> bool:
    return os.environ.get("PMINUSY_REQUIRE") == "all"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test where everything is required; expected failures stay as they are."""
    report = yield
    if everything_required() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {skip_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that was skipped while it was collected."""
    report = yield
    if everything_required() and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped: {skip_reason(report.longrepr)}"
    return report


def skip_reason(longrepr: object) -> str:
    """The reason in a skip report: pytest gives (file, line, reason)."""
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
