"""The C helpers: errors in ULP against ball arithmetic, special values, and that they vectorise."""

from __future__ import annotations

import ctypes
import math
import random
import re
import subprocess
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from flint import arb, ctx

from codegen import remez
from codegen.targets.c_functions import FORMATS, FUNCTIONS, HEADERS, closure, source
from codegen.targets.c_polynomials import POLYNOMIALS

PUBLIC = sorted(name for name, function in FUNCTIONS.items() if function.ulp)
REALS = {"float": np.float32, "double": np.float64}
FAST = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp-simd")
# With fused multiply-add where the machine has it; without; and without any licence.
BUILDS = {
    "native": (*FAST, "-march=native"),
    "generic": FAST,
    "strict": ("-O1", "-ffp-contract=off"),
}
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")
inf, nan = math.inf, math.nan


def softplus(x: arb) -> arb:
    return x.max(arb(0)) + (-abs(x)).exp().log1p()


def sigmoid(x: arb) -> arb:
    e = (-abs(x)).exp()
    return (e if x < 0 else 1) / (1 + e)


EXACT: dict[str, Callable[..., arb]] = {
    "positive_part": lambda x: x.max(arb(0)),
    "step": lambda x: arb(x > 0),
    "sign": lambda x: arb(int(x > 0) - int(x < 0)),
    "largest": lambda x, y: x.max(y),
    "smallest": lambda x, y: x.min(y),
    "weighted": lambda x, y: x * y,
    "exp": arb.exp,
    "exp_nonpositive": arb.exp,
    "exp_difference": lambda x, y: (x - y).exp(),
    "exp_difference_nonpositive": lambda x, y: (x - y).exp(),
    "exp_difference_fixed": lambda x, y: (x - y).exp(),
    "expm1": arb.expm1,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "log": arb.log,
    "log1p": arb.log1p,
    "pow": lambda x, y: (x.log() * y).exp(),
}


def moderate(x: float) -> bool:
    """Balls of exp(x) need not go on where both formats have reached 0 or infinity."""
    return abs(x) < 1e4


DOMAIN: dict[str, Callable[..., bool]] = {
    **dict.fromkeys(("exp", "expm1", "sinh", "cosh", "tanh", "sigmoid"), moderate),
    "exp_nonpositive": lambda x: moderate(x) and x <= 64,
    "exp_difference": lambda x, y: moderate(x - y),
    "exp_difference_nonpositive": lambda x, y: moderate(x - y) and x - y <= 64,
    "exp_difference_fixed": lambda x, y: moderate(x - y) and x - y <= 64,
    "log": lambda x: x > 0,
    "log1p": lambda x: x > -1,
    "pow": lambda x, y: x > 0 and moderate(math.log(x) * y),
}
# Arguments and results, of either format.
ENDS = [(inf, inf), (-inf, 0.0), (nan, nan)]
SPECIAL: dict[str, list[tuple[float, ...]]] = {
    "positive_part": [(inf, inf), (-inf, 0.0), (nan, nan)],
    "step": [(inf, 1.0), (-inf, 0.0), (0.0, 0.0)],
    "sign": [(inf, 1.0), (-inf, -1.0), (0.0, 0.0), (nan, nan)],
    "largest": [(nan, 1.0, nan), (1.0, nan, nan), (-inf, inf, inf)],
    "smallest": [(nan, 1.0, nan), (1.0, nan, nan), (-inf, inf, -inf)],
    "weighted": [(0.0, inf, 0.0), (0.0, nan, 0.0), (2.0, -inf, -inf), (nan, 0.0, nan)],
    "exp": [*ENDS, (0.0, 1.0), (-0.0, 1.0), (1e30, inf), (-1e30, 0.0)],
    "exp_nonpositive": [(-inf, 0.0), (nan, nan), (0.0, 1.0), (-0.0, 1.0), (-1e30, 0.0)],
    "exp_difference": [
        (1e30, -1e30, inf), (-1e30, 1.0, 0.0), (3e38, 3e38, 1.0), (-inf, 1.0, 0.0), (1.0, inf, 0.0),
        (inf, 1.0, inf), (inf, inf, nan), (-inf, -inf, nan), (nan, 0.0, nan), (0.0, nan, nan),
    ],
    "exp_difference_fixed": [
        (-1e30, 1.0, 0.0), (3e38, 3e38, 1.0), (-inf, 1.0, 0.0), (1.0, inf, 0.0), (inf, inf, nan),
        (-inf, -inf, nan), (nan, 0.0, nan), (0.0, nan, nan),
    ],
    "exp_difference_nonpositive": [
        (-1e30, 1.0, 0.0), (3e38, 3e38, 1.0), (-inf, 1.0, 0.0), (1.0, inf, 0.0), (inf, inf, nan),
        (-inf, -inf, nan), (nan, 0.0, nan), (0.0, nan, nan),
    ],
    "expm1": [
        (inf, inf), (-inf, -1.0), (nan, nan), (0.0, 0.0), (-0.0, -0.0), (1e30, inf), (-1e30, -1.0)
    ],
    "sinh": [
        (inf, inf), (-inf, -inf), (nan, nan), (0.0, 0.0), (-0.0, -0.0), (1e30, inf), (-1e30, -inf)
    ],
    "cosh": [(inf, inf), (-inf, inf), (nan, nan), (0.0, 1.0), (-0.0, 1.0), (-1e30, inf)],
    "tanh": [
        (inf, 1.0), (-inf, -1.0), (nan, nan), (0.0, 0.0), (-0.0, -0.0), (1e30, 1.0), (-1e30, -1.0)
    ],
    "sigmoid": [(inf, 1.0), (-inf, 0.0), (nan, nan), (0.0, 0.5), (1e30, 1.0), (-1e30, 0.0)],
    "softplus": [*ENDS, (1e30, 1e30), (-1e30, 0.0)],
    "log": [
        (inf, inf), (0.0, -inf), (-0.0, -inf), (-1.0, nan), (-inf, nan), (nan, nan), (1.0, 0.0)
    ],
    "log1p": [
        (inf, inf), (-1.0, -inf), (-2.0, nan), (-inf, nan), (nan, nan), (0.0, 0.0), (-0.0, -0.0)
    ],
    "pow": [
        (0.0, 0.0, 1.0), (3.0, 0.0, 1.0), (nan, 0.0, 1.0), (inf, 0.0, 1.0), (1.0, nan, 1.0),
        (1.0, inf, 1.0), (0.0, 0.5, 0.0), (0.0, -0.5, inf), (-0.0, 2.0, 0.0), (inf, 2.0, inf),
        (inf, -2.0, 0.0), (0.5, inf, 0.0), (0.5, -inf, inf), (2.0, inf, inf), (2.0, -inf, 0.0),
        (-2.0, 2.0, nan), (nan, 1.0, nan), (2.0, nan, nan), (0.0, -inf, inf), (7.0, 1.0, 7.0),
        (1e30, 1e30, inf), (1e30, -1e30, 0.0), (1e-30, 1e30, 0.0), (2.0, -1.0, 0.5),
    ],
}  # fmt: skip


def loop(name: str, real: str) -> str:
    """A function that applies the helper to arrays."""
    suffix, letters = FORMATS[real].suffix, "xy"[: FUNCTIONS[name].arguments]
    arrays = "".join(f"const {real} *{letter}, " for letter in letters)
    entries = ", ".join(f"{letter}[i]" for letter in letters)
    return (
        f"void all_{name}_{suffix}({arrays}{real} *out, long n)\n{{\n"
        f"#pragma omp simd\n    for (long i = 0; i < n; i++) "
        f"out[i] = pm_{name}_{suffix}({entries});\n}}\n"
    )


def program() -> str:
    parts = [f"#include <{header}>\n" for header in HEADERS]
    parts += [source(PUBLIC, real) for real in REALS]
    return "\n".join([*parts, *(loop(name, real) for real in REALS for name in PUBLIC)])


def succeed(*command: str | Path) -> str:
    """What the command says, once it has ended well."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module", params=sorted(BUILDS))
def library(
    request: pytest.FixtureRequest,
    require: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> ctypes.CDLL:
    compiler, folder = require("gcc"), tmp_path_factory.mktemp("c_functions")
    text = folder / "all.c"
    text.write_text(program(), encoding="utf-8")
    flags = ("-std=c99", "-shared", "-fPIC", *BUILDS[request.param])
    succeed(compiler, *flags, text, "-o", folder / "all.so")
    return ctypes.CDLL(str(folder / "all.so"))


def values(library: ctypes.CDLL, name: str, real: str, columns: np.ndarray) -> np.ndarray:
    arrays = [np.ascontiguousarray(column) for column in columns]
    out = np.empty_like(arrays[0])
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in [*arrays, out]]
    getattr(library, f"all_{name}_{FORMATS[real].suffix}")(*pointers, ctypes.c_long(out.size))
    return out


def arguments(real: str) -> list[float]:
    """Every binade within reach of exp, either sign; breaks of the reductions; subnormals."""
    shape, draw = FORMATS[real], random.Random(1)
    found = [0.0, 1.0, -1.0, 0.5, 2.0]
    for exponent in range(-shape.mantissa - 8, 11):
        found += [math.ldexp(draw.uniform(1, 2), exponent) for _ in range(6)]
    for n in range(0, shape.bias + shape.mantissa + 10, 1 if real == "float" else 7):
        edge = (n + 0.5) * math.log(2)
        found += [edge * (1 + draw.uniform(-3, 3) * 2.0**-k) for k in (5, 10, shape.mantissa - 1)]
    for centre in (math.sqrt(0.5), math.sqrt(2) - 1, 1.0, math.sqrt(2), *shape.exp_range):
        found += [centre * (1 + draw.uniform(-1, 1) * 2.0**-k) for k in range(2, shape.mantissa)]
    for exponent in range(-shape.bias - shape.mantissa + 1, shape.bias, 9):
        found.append(math.ldexp(draw.uniform(1, 2), exponent))
    found += [draw.uniform(0, width) for width in (1.0, 4.0, 20.0, 100.0) for _ in range(150)]
    return [float(REALS[real](x)) for y in found for x in (y, -y)]


@cache
def points(name: str, real: str) -> np.ndarray:
    """Where the helper is measured, a row an argument."""
    draw, first = random.Random(2), arguments(real)
    rows: list[tuple[float, ...]] = [(x,) for x in first]
    if FUNCTIONS[name].arguments == 2:
        rows = list(zip(first, draw.sample(first, len(first)), strict=True))
        span = FORMATS[real].exp_range
        if name == "pow":
            rows += [(x, draw.uniform(*span) / math.log(x)) for x in first if 0 < x != 1]
        elif "difference" in name:
            rows += [(x, x - draw.uniform(*span)) for x in first]
    inside = DOMAIN.get(name, lambda *_: True)
    columns = np.array(rows, dtype=REALS[real]).T
    kept = [all(map(math.isfinite, row)) and inside(*row) for row in columns.T.tolist()]
    return np.ascontiguousarray(columns[:, kept])


@cache
def exact(name: str, real: str) -> tuple[tuple[arb, arb], ...]:
    """The exact value and its unit in the last place, at each of the points."""
    shape, found = FORMATS[real], []
    with ctx.workprec(400):
        for row in points(name, real).T.tolist():
            value = EXACT[name](*map(arb, row))
            size = abs(value).mid()
            exponent = 1 - shape.bias
            if size > 0:
                mantissa, power = size.man_exp()
                exponent = max(exponent, int(power) + int(mantissa).bit_length() - 1)
            found.append((value, arb(2) ** (exponent - shape.mantissa)))
    return tuple(found)


def ulps(got: float, value: arb, unit: arb, largest: float) -> float:
    """|got - exact| in units; an infinity is right where rounding to nearest gives one."""
    with ctx.workprec(400):
        if math.isinf(got):
            beyond = abs(value) - arb(largest)
            return 0.0 if beyond > 0 and (value > 0) == (got > 0) else inf
        return inf if math.isnan(got) else float(abs(arb(got) - value) / unit)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", PUBLIC)
def test_error(library: ctypes.CDLL, name: str, real: str) -> None:
    columns = points(name, real)
    got = values(library, name, real, columns)
    largest = float(np.finfo(REALS[real]).max)
    errors = [
        ulps(float(value), *true, largest)
        for value, true in zip(got, exact(name, real), strict=True)
    ]
    worst = max(range(len(errors)), key=errors.__getitem__)
    bounds = FUNCTIONS[name].ulp
    assert bounds is not None
    assert len(errors) > 500
    assert errors[worst] <= bounds[list(REALS).index(real)], (columns[:, worst], got[worst])


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", PUBLIC)
def test_special_values(library: ctypes.CDLL, name: str, real: str) -> None:
    """Also the sign of a zero."""
    rows = np.array(SPECIAL[name], dtype=REALS[real]).T
    got = values(library, name, real, rows[:-1])
    for row, value in zip(rows.T, got, strict=True):
        same = value == row[-1] and np.signbit(value) == np.signbit(row[-1])
        assert same or (np.isnan(value) and np.isnan(row[-1])), (row, value)


def test_every_loop_vectorises(require: Callable[[str], str], tmp_path: Path) -> None:
    text = tmp_path / "all.c"
    text.write_text(program(), encoding="utf-8")
    flags = ("-std=gnu99", *BUILDS["native"], "-fopt-info-vec", "-c")
    said = succeed(require("gcc"), *flags, text, "-o", tmp_path / "all.o")
    done = {int(line) for line in re.findall(r"all\.c:(\d+):.*loop vectorized", said)}
    lines = dict(enumerate(program().splitlines(), start=1))
    plain = [line for number, line in lines.items() if "for (long" in line and number not in done]
    assert done and not plain, plain


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("language", [("c", "c99"), ("c++", "c++11")], ids=" ".join)
def test_each_helper_stands_alone(
    require: Callable[[str], str], tmp_path: Path, compiler: str, language: tuple[str, str]
) -> None:
    """Nothing is missing, nothing is unused, and no compiler warns."""
    kind, standard = language
    files = []
    for real in REALS:
        for name in PUBLIC:
            letters = "xy"[: FUNCTIONS[name].arguments]
            given, passed = ", ".join(f"{real} {x}" for x in letters), ", ".join(letters)
            head = f"{real} use({given});\n{real} use({given})\n"
            call = f"{{\n    return pm_{name}_{FORMATS[real].suffix}({passed});\n}}\n"
            files.append(tmp_path / f"{name}_{real}.{'c' if kind == 'c' else 'cpp'}")
            lines = [f"#include <{header}>" for header in HEADERS]
            files[-1].write_text("\n".join([*lines, source([name], real), head + call]), "utf-8")
    succeed(require(compiler), "-x", kind, f"-std={standard}", *STRICT, "-fsyntax-only", *files)


def test_helpers_come_after_what_they_call() -> None:
    order = list(FUNCTIONS)
    for name in order:
        needed = closure([name])
        assert needed[-1] == name
        text = source([name], "double")
        called = set(re.findall(r"\bpm_(\w+)_f64\(", text)) - {"real"}
        assert called == set(needed), name
        assert all(order.index(need) < order.index(name) for need in needed[:-1])


def test_coefficients_are_those_of_the_fit() -> None:
    assert remez.TABLE.read_text(encoding="utf-8") == remez.table()


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", sorted(remez.fits()))
def test_polynomial_error_is_small(name: str, real: str) -> None:
    """An eighth of the last place at the most, also once exp has taken y log x."""
    shape = FORMATS[real]
    bits = shape.mantissa + (shape.width - shape.mantissa - 2 if name == "log_rest" else 0)
    assert remez.error(remez.fits()[name], POLYNOMIALS[real][name]) < 2.0 ** (-bits - 3)


@pytest.mark.parametrize("name", sorted(remez.fits()))
def test_no_polynomial_is_better(name: str) -> None:
    """The error alternates between equal peaks, one more than there are coefficients."""
    fit = remez.fits()[name]
    with remez.mp.workdps(remez.DIGITS):
        found = remez.exchange(fit, fit.size["float"])
        grid = remez.points(fit.low, fit.high, 1000)
        errors = [(fit.function(x) - remez.value(found, x)) * fit.weight(x) for x in grid]
    level = max(abs(error) for error in errors) * 0.99
    signs = [error > 0 for error in errors if abs(error) > level]
    changes = sum(here != there for here, there in pairwise(signs))
    assert changes == fit.size["float"]
