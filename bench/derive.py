"""Time of a derivation, recorded and checked, in a warm process.

    python bench/derive.py [--runs 20]

Prints the median and the least time in milliseconds of softmax cross-entropy's full chain
(dL/dp, dp/da, dL/da, dL/dW and the Hessian) and of each of its parts.  K is symbolic
throughout, so the time is the same for every K.  The derivation of dL/dW derives dL/dp,
dp/da, dL/da and da/dW on the way: the full chain is its time and the Hessian's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

sys.path.pop(0)  # this folder, in which this file would hide the package of the same name

import derive
from derive.rules import fold


def chain() -> dict[str, Callable[[], derive.Derivation]]:
    """The parts of the chain; those over W stand on a linear layer."""
    plain, linear = (
        derive.load("softmax_cross_entropy"),
        derive.load("linear_softmax_cross_entropy"),
    )
    return {
        "dL/dp": lambda: derive.gradient(plain, "p"),
        "dp/da": lambda: derive.gradient(plain, "a", of="p"),
        "dL/da": lambda: derive.gradient(plain, "a"),
        "dL/dW": lambda: derive.gradient(linear, "W"),
        "Hessian": lambda: derive.hessian(plain, "a"),
    }


def milliseconds(work: Callable[[], object]) -> float:
    fold.shallow.cache_clear()  # what an earlier run has normalised does not count
    fold.unfolded.cache_clear()
    start = perf_counter()
    work()
    return (perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=20, help="how often each part is derived")
    runs = parser.parse_args().runs
    parts = chain()
    times: dict[str, list[float]] = {name: [] for name in [*parts, "full chain"]}
    for _ in range(runs + 2):
        spent = {name: milliseconds(work) for name, work in parts.items()}
        for name, value in spent.items():
            times[name].append(value)
        times["full chain"].append(spent["dL/dW"] + spent["Hessian"])
    print(f"{'part':<12}{'median ms':>12}{'least ms':>12}   ({runs} runs, 2 to warm up)")
    for name, values in times.items():
        print(f"{name:<12}{median(values[2:]):>12.1f}{min(values[2:]):>12.1f}")


if __name__ == "__main__":
    main()
