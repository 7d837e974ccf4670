"""Time of derivations, recorded and checked, beside those of others, in a warm process.

    python bench/derive.py [--runs 20] [--json]

In one run, in turn: softmax cross-entropy's full chain (dL/dp, dp/da, dL/da, dL/dW, Hessian),
the same by tensorgrad and by plain SymPy, SymPy with K written out and ours at the same K, the
gradient of every loss of the library, and chains of layers.  Before each measurement all that
ours, SymPy and tensorgrad remember of earlier ones is forgotten; with --warm only our own normal
forms and results are.  Compare the medians of one run.  Only ours records steps and checks them;
dL/dW derives dL/dp, dp/da and dL/da on the way: the full chain is its time and the Hessian's.
"operations" are those of the result, of all its entries where K is written out.

tensorgrad (AGPL, brings torch) is measured where `pip install tensorgrad` has put it, best in
a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any

sys.path.pop(0)  # this folder, in which this file would hide the package of the same name

import sympy
from sympy.core.cache import clear_cache

import derive
from derive.index import Entry, Index

HOW_TO_GET = "tensorgrad is not installed here; `pip install tensorgrad` adds it to this table"
FEW = 3  # how often what is not one of the small parts is measured, at most


@dataclass
class Job:
    """Something to measure.  Its work gives the result, an expression or a list of them."""

    group: str
    name: str
    who: str
    work: Callable[[], Any]
    most: int = FEW
    times: list[float] = field(default_factory=list)
    result: Any = None
    late: bool = False

    def row(self, limit: float) -> dict[str, Any]:
        """What is reported; the first two of five times or more only warm up."""
        known = isinstance(self.result, sympy.Basic | list)
        times = self.times[2:] if len(self.times) >= 5 else self.times
        return {
            "group": self.group,
            "name": self.name,
            "by": self.who,
            "median_ms": round(median(times), 3) if times else None,
            "least_ms": round(min(times), 3) if times else None,
            "runs": len(times),
            "limit_ms": limit * 1e3 if self.late else None,
            "operations": operations(self.result) if known else None,
        }


def operations(expr: Any) -> int:
    """Additions, multiplications, powers, functions and sums in what is written."""
    if isinstance(expr, list):
        return sum(map(operations, expr))
    if isinstance(expr, Entry | Index | sympy.Indexed | sympy.Tuple) or not expr.args:
        return 0
    inside = sum(operations(arg) for arg in expr.args)
    return inside + (len(expr.args) - 1 if expr.is_Add or expr.is_Mul else 1)


def chain_text(layers: int) -> str:
    """A loss of that many layers h = tanh(W h), then the squared error."""
    lines = ["x: input[D]", *(f"W{n}: param[D, D]" for n in range(1, layers + 1)), "y: target[D]"]
    for n in range(1, layers + 1):
        below = f"h{n - 1}" if n > 1 else "x"
        lines.append(f"h{n}[i] = tanh(sum(W{n}[i, j] * {below}[j] for j in D))")
    lines.append(f"L = sum((h{layers}[i] - y[i])**2 for i in D)")
    return "\n".join(lines) + "\n"


def ours(loss: derive.Loss, wrt: str, of: str | None = None) -> Callable[[], Any]:
    return lambda: derive.gradient(loss, wrt, of).result


def parts(runs: int) -> Iterator[Job]:
    """The parts of the chain by ours; those over W stand on a linear layer."""
    plain = derive.load("softmax_cross_entropy")
    linear = derive.load("linear_softmax_cross_entropy")
    yield Job("parts", "dL/dp", "pminusy", ours(plain, "p"), runs)
    yield Job("parts", "dp/da", "pminusy", ours(plain, "a", "p"), runs)
    yield Job("parts", "dL/da", "pminusy", ours(plain, "a"), runs)
    yield Job("parts", "dL/dW", "pminusy", ours(linear, "W"), runs)
    yield Job("parts", "Hessian", "pminusy", lambda: derive.hessian(plain, "a").result, runs)


def tensorgrad(runs: int, layers: list[int]) -> Iterator[Job]:
    """The same by tensorgrad: differentiated, then simplified."""
    import tensorgrad.functions as F
    from tensorgrad import Variable

    k, d = sympy.symbols("k d")
    logits, target, offset = (Variable(name, k) for name in "ayb")
    weights, x = Variable("W", k, d), Variable("x", d)

    def loss(a: Any) -> tuple[Any, Any]:
        exponentials = F.exp(a)
        p = exponentials / F.sum(exponentials)
        return p, -target @ F.log(p)

    def chain(count: int, wrt: str) -> Any:
        matrices = [Variable(f"W{n}", i=d, j=d) for n in range(1, count + 1)]
        first = last = Variable("x", i=d)
        for matrix in matrices:
            last = F.tanh((matrix.rename(i="o", j="i") @ last).rename(o="i"))
        error = F.sum((last - Variable("y", i=d)) ** 2)
        return error.grad(first if wrt == "x" else matrices[0]).full_simplify()

    works: dict[str, Callable[[], Any]] = {
        "dp/da": lambda: loss(logits)[0].grad(logits).full_simplify(),
        "dL/da": lambda: loss(logits)[1].grad(logits).full_simplify(),
        "dL/dW": lambda: loss(weights @ x + offset)[1].grad(weights).full_simplify(),
        "Hessian": lambda: loss(logits)[1].grad(logits).grad(logits).full_simplify(),
    }
    for name, work in works.items():
        yield Job("parts", name, "tensorgrad", work, runs)
    for count in layers:
        for wrt in ("W1", "x"):
            work = partial(chain, count, wrt)
            yield Job("layers", f"dL/d{wrt}, layers = {count}", "tensorgrad", work)


def symbolic_sympy(runs: int) -> Job:
    """dL/da by plain SymPy, K symbolic."""
    size = sympy.Symbol("K", integer=True, positive=True)
    i, j, k = sympy.symbols("i j k", integer=True)
    a, y = sympy.IndexedBase("a"), sympy.IndexedBase("y")

    def work() -> Any:
        p = sympy.exp(a[i]) / sympy.Sum(sympy.exp(a[k]), (k, 0, size - 1))
        return sympy.diff(-sympy.Sum(y[i] * sympy.log(p), (i, 0, size - 1)), a[j])

    return Job("parts", "dL/da", "sympy", work, runs)


def written_out(size: int) -> Job:
    """All of dL/da by plain SymPy, K a number."""
    a, y = sympy.symbols(f"a:{size}"), sympy.symbols(f"y:{size}")

    def work() -> list[Any]:
        whole = sympy.Add(*map(sympy.exp, a))
        terms = (yi * sympy.log(sympy.exp(ai) / whole) for ai, yi in zip(a, y, strict=True))
        loss = -sympy.Add(*terms)
        return [sympy.diff(loss, ai) for ai in a]

    return Job("sizes", f"dL/da, K = {size}", "sympy", work)


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """Everything that is measured, in the order of the table."""
    yield from parts(options.runs)
    yield symbolic_sympy(options.runs)
    cross_entropy = derive.load("softmax_cross_entropy")
    for size in options.sizes:
        yield Job("sizes", f"dL/da, K = {size}", "pminusy", ours(cross_entropy, "a"))
        yield written_out(size)
    for name in options.losses:
        loss = derive.load(name)
        names = [d.name for d in loss.declarations if d.role in ("input", "param")]
        works = [ours(loss, name) for name in names if loss.tensor(name).label is None]
        title = f"{name}, {len(works)} gradient{'s' * (len(works) != 1)}"
        yield Job("library", title, "pminusy", lambda works=works: [work() for work in works])
    for count in options.layers:
        loss = derive.parse(chain_text(count))
        for wrt in ("W1", "x"):
            yield Job("layers", f"dL/d{wrt}, layers = {count}", "pminusy", ours(loss, wrt))
    if find_spec("tensorgrad"):
        yield from tensorgrad(options.runs, options.layers)


OWN_RESULTS = ("derive.rules", "derive.engine", "derive.forwards")


def forget(warm: bool = False) -> None:
    """Clear what is remembered of earlier runs; if warm, only our normal forms and results."""
    clear_cache() if not warm else None
    places = OWN_RESULTS if warm else ("derive", "tensorgrad")
    for name, module in list(sys.modules.items()):
        if f"{name}.".startswith(tuple(f"{place}." for place in places)):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """TimeoutError inside the block after so many seconds, where there are timers."""

    def stop(*_: object) -> None:
        raise TimeoutError

    if not hasattr(signal, "setitimer"):
        return (yield)
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def measure(job: Job, limit: float, warm: bool) -> None:
    forget(warm)
    start = perf_counter()
    try:
        with deadline(limit):
            job.result = job.work()
    except TimeoutError:
        job.late = True
    else:
        job.times.append((perf_counter() - start) * 1e3)


def run(todo: list[Job], runs: int, limit: float, warm: bool) -> None:
    """All jobs in turn, again and again; those that were late or have enough are left out.

    A chain of layers is not measured where a shorter one was late already.
    """
    late: set[tuple[str, str]] = set()
    for turn in range(runs + 2):
        for job in todo:
            kind = (job.who, job.name.partition(",")[0])
            job.late |= job.group == "layers" and kind in late
            enough = len(job.times) >= job.most + (2 if job.most > FEW else 0)
            if not job.late and not enough and (not turn or sum(job.times) < limit * 1e3):
                measure(job, limit, warm)
            if job.late and job.group == "layers":
                late.add(kind)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text, a block a group."""
    lines = [f"{'':<44}{'by':<12}{'median ms':>11}{'least ms':>11}{'runs':>6}{'operations':>12}"]
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None or row["group"] != before["group"]:
            lines.append(row["group"])
        count = "" if row["operations"] is None else row["operations"]
        start = f"  {row['name']:<42}{row['by']:<12}"
        if row["median_ms"] is None:
            lines.append(f"{start}{'> ' + format(row['limit_ms'], '.0f'):>11}")
        else:
            times = f"{row['median_ms']:>11.1f}{row['least_ms']:>11.1f}{row['runs']:>6}"
            lines.append(f"{start}{times}{count:>12}")
    return "\n".join(lines)


def full_chain(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of ours that adds up dL/dW and the Hessian."""
    found = {row["name"]: row for row in rows if row["by"] == "pminusy"}
    both = [found[name] for name in ("dL/dW", "Hessian")]
    sums = {key: sum(row[key] or 0 for row in both) or None for key in ("median_ms", "least_ms")}
    return {**both[0], "name": "full chain", "operations": None, **sums}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="how often each part is derived")
    parser.add_argument("--limit", type=float, default=20, help="seconds, for one measurement")
    parser.add_argument("--sizes", type=int, nargs="*", default=[3, 10, 30], help="numbers for K")
    parser.add_argument("--layers", type=int, nargs="*", default=[2, 4, 8, 16])
    parser.add_argument("--losses", nargs="*", default=derive.library(), help="of the library")
    parser.add_argument("--warm", action="store_true", help="keep SymPy's caches")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main() -> None:
    options = arguments().parse_args()
    todo = list(jobs(options))
    run(todo, options.runs, options.limit, options.warm)
    todo.sort(key=lambda job: ("parts", "sizes", "library", "layers").index(job.group))
    rows = [job.row(options.limit) for job in todo]
    rows.insert(0, full_chain(rows))
    notes = [] if find_spec("tensorgrad") else [HOW_TO_GET]
    if options.json:
        print(json.dumps({"rows": rows, "notes": notes}, indent=1))
    else:
        print("\n".join([table(rows), *notes]))


if __name__ == "__main__":
    main()
