"""Fits the polynomials of the C helpers: `python -m codegen.remez [--write]`.

The exchange algorithm of Remez in high precision; then the coefficients are rounded to the format.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpmath import mp, mpf

TABLE = Path(__file__).parent / "targets" / "c_polynomials.py"
PRECISIONS = {"float": 24, "double": 53}
EXPONENTS = {"float": 8, "double": 11}
DIGITS = 60
Real = Callable[[mpf], mpf]


@dataclass(frozen=True)
class Fit:
    """A polynomial p of `size` coefficients with weight |p - function| small on an interval."""

    function: Real
    weight: Real
    low: mpf
    high: mpf
    size: dict[str, int]


def fits() -> dict[str, Fit]:
    """What is fitted, by name; the weight turns an error of p into one of the function's value."""
    half = mp.log(2) / 2 * mpf("1.0001")
    # (sqrt 2 - 1) / (sqrt 2 + 1), squared: s^2 at the ends of [sqrt 1/2, sqrt 2].
    end = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.0001")

    # s^2 at 1 + e = 2.
    third = (mpf(1) / 3) ** 2 * mpf("1.0001")

    def curve(r: mpf) -> mpf:
        """(exp r - 1 - r) / r^2"""
        return mpf(1) / 2 if r == 0 else (mp.expm1(r) - r) / r**2

    def logarithm(z: mpf) -> mpf:
        """(log((1 + s) / (1 - s)) - 2s) / s^3 at s^2 = z"""
        return mpf(2) / 3 if z == 0 else 2 * (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z

    def rest(z: mpf) -> mpf:
        return mpf(2) / 5 if z == 0 else (logarithm(z) - mpf(2) / 3) / z

    def arc(z: mpf) -> mpf:
        """(asin(x) / x - 1) / x^2 at x^2 = z"""
        return mpf(1) / 6 if z == 0 else (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z

    return {
        "asin": Fit(arc, lambda z: z, mpf(0), mpf("0.25001"), {"float": 5, "double": 13}),
        "exp": Fit(curve, lambda r: r**2 / mp.exp(r), -half, half, {"float": 5, "double": 10}),
        "expm1": Fit(curve, lambda r: abs(r), -half, half, {"float": 6, "double": 11}),
        "log": Fit(logarithm, lambda z: z / 2, mpf(0), end, {"float": 3, "double": 7}),
        "softplus": Fit(logarithm, lambda z: z / 2, mpf(0), third, {"float": 4, "double": 10}),
        "log_rest": Fit(rest, lambda z: z**2 / 2, mpf(0), end, {"float": 3, "double": 8}),
    }


def rounded(value: mpf, bits: int) -> float:
    """The nearest number of that many bits."""
    with mp.workprec(bits):
        return float(+value)


def value(coefficients: Sequence[mpf | float], x: mpf) -> mpf:
    """The polynomial at x, lowest coefficient first."""
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def points(low: mpf, high: mpf, count: int) -> list[mpf]:
    """Chebyshev's points, in rising order."""
    middle, radius = (low + high) / 2, (high - low) / 2
    return [middle - radius * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]


def exchange(fit: Fit, size: int) -> list[mpf]:
    """The best `size` coefficients."""
    grid = points(fit.low, fit.high, 40 * (size + 1))
    table = [(x, fit.function(x), fit.weight(x)) for x in grid]
    chosen = [table[40 * i + 20] for i in range(size + 1)]
    for _ in range(12):
        rows = [
            [x**j for j in range(size)] + [(-1) ** i / weight]
            for i, (x, _, weight) in enumerate(chosen)
        ]
        solution = list(
            mp.lu_solve(mp.matrix(rows), mp.matrix([wanted for _, wanted, _ in chosen]))
        )
        found, level = solution[:size], abs(solution[size])
        errors = [(wanted - value(found, x)) * weight for x, wanted, weight in table]
        peaks = _peaks(errors, size + 1)
        if len(peaks) <= size or max(abs(error) for error in errors) < level * mpf("1.001"):
            break
        chosen = [table[i] for i in peaks]
    return found


def _peaks(errors: Sequence[mpf], count: int) -> list[int]:
    """Where the error is largest between its changes of sign: `count` of them, in a row."""
    peaks: list[int] = []
    for i, error in enumerate(errors):
        if peaks and (errors[peaks[-1]] > 0) == (error > 0):
            peaks[-1] = max(peaks[-1], i, key=lambda k: abs(errors[k]))
        else:
            peaks.append(i)
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    return peaks


def fitted(fit: Fit, real: str) -> tuple[float, ...]:
    """The coefficients in the format, lowest first."""
    with mp.workdps(DIGITS):
        return tuple(rounded(c, PRECISIONS[real]) for c in exchange(fit, fit.size[real]))


def error(fit: Fit, coefficients: Sequence[float]) -> float:
    """The largest weighted error on a grid."""
    with mp.workdps(DIGITS):
        grid = points(fit.low, fit.high, 400)
        return float(
            max(abs(fit.function(x) - value(coefficients, x)) * fit.weight(x) for x in grid)
        )


def constants(real: str) -> dict[str, float]:
    """Numbers that the helpers share; times an exponent, each `short` one is exact."""
    bits = PRECISIONS[real]
    short = bits - EXPONENTS[real] - 1
    with mp.workdps(DIGITS):
        log2, third = mp.log(2), mpf(2) / 3
        high, two_thirds = rounded(log2, short), rounded(third, bits)
        return {
            "log2_e": rounded(1 / log2, bits),
            "log_2_short": high,
            "log_2_rest": rounded(log2 - high, bits),
            "two_thirds": two_thirds,
            "two_thirds_rest": rounded(third - two_thirds, bits),
            "sqrt_half": rounded(mp.sqrt(mpf(1) / 2), bits),
        }


def table() -> str:
    """The text of the module of coefficients."""
    with mp.workdps(DIGITS):
        wanted = fits()
    lines = [
        '"""Coefficients of the C helpers, lowest first; written by `python -m codegen.remez`."""',
        "",
        "POLYNOMIALS = {",
    ]
    for real in PRECISIONS:
        lines.append(f'    "{real}": {{')
        for name, fit in wanted.items():
            lines.append(f'        "{name}": (')
            lines += [f"            {number!r}," for number in fitted(fit, real)]
            lines.append("        ),")
        lines.append("    },")
    lines += ["}", "", "CONSTANTS = {"]
    for real in PRECISIONS:
        lines.append(f'    "{real}": {{')
        lines += [f'        "{name}": {number!r},' for name, number in constants(real).items()]
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m codegen.remez", description=table.__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the module")
    text = table()
    if parser.parse_args().write:
        TABLE.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
