"""The measurements run and say what they measured; no time is asserted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

TINY = ["--runs", "1", "--sizes", "2", "3", "--layers", "1", "--losses", "mean_squared_error"]


def bench(root: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "bench/derive.py", *TINY, *options],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(bench(root, "--json"))
    return answer


def by(found: dict[str, Any], who: str) -> dict[str, Any]:
    return {row["name"]: row for row in found["rows"] if row["by"] == who}


def test_everything_is_measured(found: dict[str, Any]) -> None:
    assert set(by(found, "pminusy")) == {
        "full chain", "dL/dp", "dp/da", "dL/da", "dL/dW", "Hessian",
        "dL/da, K = 2", "dL/da, K = 3", "mean_squared_error, 1 gradient",
        "dL/dW1, layers = 1", "dL/dx, layers = 1",
    }  # fmt: skip
    assert all(row["runs"] >= 1 and row["median_ms"] > 0 for row in found["rows"])


def test_operations_of_the_results(found: dict[str, Any]) -> None:
    """p[j] - y[j] is a product by -1 and an addition, whatever K; SymPy's grows with K."""
    ours, others = by(found, "pminusy"), by(found, "sympy")
    sizes = ("dL/da, K = 2", "dL/da, K = 3")
    assert [ours[name]["operations"] for name in sizes] == [2, 2]
    assert others[sizes[0]]["operations"] < others[sizes[1]]["operations"]
    assert others["dL/da"]["operations"] > ours["dL/da"]["operations"]


def test_a_peer_that_is_missing_is_named(found: dict[str, Any]) -> None:
    if find_spec("tensorgrad"):
        assert {"dL/da", "dL/dx, layers = 1"} <= set(by(found, "tensorgrad"))
    else:
        assert [note for note in found["notes"] if "pip install tensorgrad" in note]


def test_what_takes_too_long_is_said(root: Path) -> None:
    lines = bench(root, "--limit", "0.001").splitlines()
    late = [line for line in lines if line.startswith("  dL/dx, layers = 1") and "pminusy" in line]
    assert len(late) == 1
    assert "> 1" in late[0]


def kernels(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bench/kernels.py", "--quick", "--runs", "1", "--threads", "1", *options],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_kernels_are_checked_and_measured(root: Path, tmp_path: Path) -> None:
    picture = tmp_path / "ratios.png"
    peers = ["--peers", "numpy", "numpy, fresh", "numpy by hand", "torch"]
    shapes = ["--only", "ce:100000x10", "bce", "--dtype", "float64"]
    done = kernels(root, *shapes, *peers, "--json", "--plot", str(picture))
    assert done.returncode == (0 if shutil.which("cc") else 1), done.stderr
    answer = json.loads(done.stdout)
    rows = [row for row in answer["rows"] if not row["is_roof"]]
    assert {row["case"] for row in rows} == {"ce 1562x10", "bce 156250"}
    assert {"numpy", "numpy, fresh", "numpy by hand"} <= {row["peer"] for row in rows}
    assert all(row["median_ms"] > 0 and row["error"] < 1e-12 for row in rows)
    roofs = [row for row in answer["rows"] if row["is_roof"]]
    assert len(roofs) == 4
    assert all(row["median_ms"] > 0 for row in roofs if shutil.which("cc"))
    assert bool(find_spec("torch")) != any("torch" in note for note in answer["notes"])
    assert picture.stat().st_size > 0


def test_parts_are_put_together(root: Path, tmp_path: Path) -> None:
    """A later part counts; the roof is the faster copy, and a peer that failed has no figure."""
    shared = {"case": "ce 8x3", "dtype": "float32", "threads": 2, "error": 0.0, "extra_mib": 1.0}
    shared |= {"is_ours": False, "runs": 1, "least_ms": 1.0, "note": ""}
    times = [("copy", 2.0), ("copy past the cache", 1.5), ("c", 9.0), ("jax", None)], [("c", 3.0)]
    for number, part in enumerate(times):
        rows = [
            {**shared, "peer": name, "median_ms": time, "is_roof": name.startswith("copy")}
            for name, time in part
        ]
        text = json.dumps({"rows": rows, "notes": ["said twice"]})
        (tmp_path / f"{number}.json").write_text(text, encoding="utf-8")
    done = kernels(root, "--summary", "--from", *map(str, sorted(tmp_path.glob("*.json"))))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "| ms | roof | c | jax |"
    assert lines[2] == "| ce 8x3, float32, 2 threads | 1.5 | 3 |  |"
    assert lines[-1] == "said twice" and lines.count("said twice") == 1


def test_an_unknown_case_or_peer_is_named(root: Path) -> None:
    assert "expected some of ce:1000000x3" in kernels(root, "--only", "none").stderr
    assert "no 'nobody'" in kernels(root, "--peers", "nobody").stderr


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=root, capture_output=True, text=True, timeout=300
    )


def test_the_gpu_bench_runs_dry(root: Path, tmp_path: Path) -> None:
    """Every part but the times, without a GPU: data, peers, checks, turns, and the table."""
    place = tmp_path / "gpu.json"
    done = run(root, "bench/gpu.py", "--dry-run", "--output", str(place))
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(place.read_text())["rows"] if row["peer"] != "roof"]
    assert {row["case"].partition(":")[0] for row in rows} == {"ce", "focal", "kl", "linear"}
    assert {"pminusy", "torch eager", "torch.compile"} <= {row["peer"] for row in rows}
    assert all(row["error"] < 1e-6 for row in rows if row["dtype"] == "float32")
    assert all(row["error"] < 2e-2 and row["median_ms"] > 0 for row in rows)
    assert all(row["case"] in done.stdout for row in rows)


BROKEN = """
import runpy, sys, torch
def broken(*_, **__):
    raise RuntimeError("no memory\\nleft")
torch.compile = lambda *_, **__: broken
sys.argv = ["bench/gpu.py", "--dry-run", "--json", "--cases", "ce", "--dtype", "float32"]
runpy.run_path("bench/gpu.py", run_name="__main__")
"""


def test_a_peer_that_fails_on_the_gpu_is_a_row(root: Path) -> None:
    """Of several lines the first is said, and the rest is measured."""
    done = run(root, "-c", BROKEN)
    assert done.returncode == 1, done.stderr
    rows = {row["peer"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["torch.compile"]["note"] == "RuntimeError: no memory"
    assert rows["torch.compile"]["median_ms"] is None
    assert rows["pminusy"]["median_ms"] > 0 and not rows["pminusy"]["note"]


def test_every_target_is_timed_on_one_loss(root: Path) -> None:
    """Those that are installed, each checked."""
    words = ("--quick", "--runs", "1", "--only", "ce:100000x10", "--json")
    done = run(root, "bench/targets.py", *words)
    rows = [row for row in json.loads(done.stdout)["rows"] if not row["is_roof"]]
    found = {(row["peer"], row["dtype"]) for row in rows}
    assert {("numpy", "float32"), ("generated javascript", "float64")} <= found
    assert ("generated torch", "float32") in found or not find_spec("torch")
    good = [row for row in rows if not row["note"]]
    assert all(row["is_ours"] and row["error"] < 1e-6 and row["median_ms"] > 0 for row in good)
    if shutil.which("cc") and shutil.which("node"):
        assert (done.returncode, len(good)) == (0, len(rows)), done.stderr


def test_pages_are_measured_beside_what_they_cannot_do_without(root: Path) -> None:
    command = [sys.executable, "bench/pages.py", "hinge", "--runs", "1"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    page, sympy, verdict = done.stdout.splitlines()
    assert page.split()[2:] == ["hinge"] and sympy.split()[2:] == ["import", "sympy"]
    assert all(float(number) > 0 for number in (*page.split()[:2], *sympy.split()[:2]))
    assert verdict.endswith("least of 1")
    as_json = subprocess.run([*command, "--json"], cwd=root, capture_output=True, text=True)
    assert [row["name"] for row in json.loads(as_json.stdout)["rows"]] == ["import sympy", "hinge"]
