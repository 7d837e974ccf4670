"""The project itself: its layout, its tools, its layers, and that its output is always the same."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

LONGEST_FILE = 300
SCRIPTS = Path(sysconfig.get_path("scripts"))
TOP_LEVEL = {
    "derive", "codegen", "generated", "tests", "bench", "examples",
    "pyproject.toml", "README.md", "LICENSE", "Makefile", ".ci", ".gitignore",
}  # fmt: skip


def run(
    command: list[str | Path], cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def sources(root: Path, *folders: str) -> list[Path]:
    found = (path for folder in folders for path in (root / folder).rglob("*.py"))
    return sorted(path for path in found if "node_modules" not in path.parts)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "--strict", "derive", "codegen"],
        ["lint-imports"],
    ],
    ids=lambda command: " ".join(command),
)
def test_tool_is_content(command: list[str], root: Path) -> None:
    done = run([SCRIPTS / command[0], *command[1:]], root)
    assert done.returncode == 0, done.stdout + done.stderr


def test_top_level(root: Path) -> None:
    """Nothing is added to or missing from the top level, but for what git ignores."""
    ignored = [line.rstrip("/") for line in (root / ".gitignore").read_text("utf-8").split()]
    ignored.append(".git")
    present = {
        path.name
        for path in root.iterdir()
        if not any(fnmatch(path.name, pattern) for pattern in ignored)
    }
    assert present == TOP_LEVEL


def test_files_are_short(root: Path) -> None:
    lengths = {
        path.relative_to(root).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(root, "derive", "codegen")
    }
    longer = {name: length for name, length in lengths.items() if length > LONGEST_FILE}
    assert not longer, f"longer than {LONGEST_FILE} lines: {longer}"


def test_public_modules_have_docstrings(root: Path) -> None:
    bare = [
        path.relative_to(root).as_posix()
        for path in sources(root, "derive", "codegen", "tests", "examples", "bench")
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not bare, f"without a docstring: {bare}"


def test_generated_files_stand_alone(root: Path) -> None:
    """What is generated imports nothing of ours."""
    ours = re.compile(r"^\s*(?:from|import)\s+(?:derive|codegen)\b", re.MULTILINE)
    guilty = [path.name for path in sources(root, "generated") if ours.search(path.read_text())]
    assert not guilty, f"import our packages: {guilty}"


def test_importing_the_mathematics_is_light(tmp_path: Path) -> None:
    """`import derive` loads neither arrays nor templates nor plots."""
    heavy = "{'numpy', 'jinja2', 'matplotlib', 'scipy', 'codegen'}"
    code = f"import sys, derive; print(sorted({heavy} & set(sys.modules)))"
    done = run([sys.executable, "-c", code], tmp_path)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("[]", "", 0)


@pytest.mark.parametrize("form", ["text", "latex", "json"])
@pytest.mark.parametrize("wrt", ["a", "W"])
def test_output_does_not_depend_on_hash_seed(form: str, wrt: str, tmp_path: Path) -> None:
    command = [SCRIPTS / "pminusy", "derive", "linear_softmax_cross_entropy", "--wrt", wrt]
    outputs = set()
    for seed in ("0", "1", "12345"):
        done = run([*command, "--to", form], tmp_path, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_tools_with_a_say_in_golden_files_are_pinned(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = {
        line.split("==")[0] for line in project["optional-dependencies"]["test"] if "==" in line
    }
    assert {"ruff", "mypy"} <= pinned
