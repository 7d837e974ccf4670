"""How JavaScript writes numbers and functions, and the functions that it does not have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import sympy
from mpmath import loggamma, mp, mpf, polygamma
from sympy import exp, log

from codegen.emit import render
from codegen.kernel import (
    corrected,
    exp_difference,
    leading,
    product_lost,
    sum_lost,
    weighted,
)
from codegen.targets.scalar_expressions import Dialect
from derive import functions

FUNCTIONS: dict[type, str] = {
    exp: "Math.exp({})",
    log: "Math.log({})",
    sympy.sin: "Math.sin({})",
    sympy.cos: "Math.cos({})",
    sympy.tan: "Math.tan({})",
    sympy.asin: "Math.asin({})",
    sympy.acos: "Math.acos({})",
    sympy.atan: "Math.atan({})",
    sympy.sinh: "Math.sinh({})",
    sympy.cosh: "Math.cosh({})",
    sympy.tanh: "Math.tanh({})",
    sympy.erf: "_erf({})",
    functions.erfc: "_erfc({})",
    functions.lgamma: "_lgamma({})",
    functions.sigmoid: "_sigmoid({})",
    functions.softplus: "_softplus({})",
    functions.log1p: "Math.log1p({})",
    functions.expm1: "Math.expm1({})",
    functions.relu: "Math.max({}, 0)",
    functions.step: "_step({})",
    functions.absolute: "Math.abs({})",
    functions.signum: "Math.sign({})",
    functions.largest: "Math.max({}, {})",
    functions.smallest: "Math.min({}, {})",
    exp_difference: "_exp_difference({}, {})",
    weighted: "_weighted({}, {})",
    corrected: "_corrected({}, {})",
    leading: "_leading({}, {})",
    product_lost: "_product_lost({}, {}, {})",
    sum_lost: "_sum_lost({}, {}, {})",
}
# Each after those that it calls.
HELPERS = (
    *("inside", "exp_difference", "sigmoid", "softplus", "step", "weighted", "power"),
    *("product_tail", "polynomial", "erfc_tail", "erf", "erfc", "lgamma", "lost", "total"),
    *("sum_lost", "product_lost", "leading", "corrected"),
)
NEEDS = {
    "erf": ("polynomial", "product_tail", "erfc_tail"),
    "erfc": ("polynomial", "product_tail", "erfc_tail", "erf"),
    "lgamma": ("polynomial",),
}
DIALECT = Dialect(
    name="javascript",
    functions=FUNCTIONS,
    choice="({test} ? {then} : {other})",
    relations={"true": "true", "not": "!", "and": "&&", "or": "||", "==": "===", "!=": "!=="},
    power="_power({}, {})",
    whole_power="Math.pow({}, {})",
    number=repr,
    size="{}",
    infinity="Infinity",
    sqrt="Math.sqrt({})",
)
DIGITS = 40


def helpers(lines: Iterable[str], always: tuple[str, ...] = ()) -> str:
    """The functions that these lines call, and those that they call."""
    found = {*always, *re.findall(r"\b_(\w+)\(", "\n".join(lines))} & set(HELPERS)
    found |= {need for name in found for need in NEEDS.get(name, ())}
    names = [name for name in HELPERS if name in found]
    return render("javascript_functions.js.j2", names=names, c=constants())


@lru_cache(maxsize=1)
def constants() -> dict[str, tuple[str, ...]]:
    """Coefficients of the power series that the functions are made of, lowest first."""
    with mp.workdps(DIGITS):
        root = 2 / mp.sqrt(mp.pi)
        erf = [root * (-1) ** k / (mp.factorial(k) * (2 * k + 1)) for k in range(20)]
        stirling = [mp.bernoulli(2 * k) / (2 * k * (2 * k - 1)) for k in range(1, 10)]
        return {
            "erf": _literals(erf),
            "stirling": _literals(stirling),
            "near_1": _literals(_log_gamma(mpf(1), 28)),
            "near_3_2": _literals(_log_gamma(mpf(3) / 2, 22)),
            "near_2": _literals(_log_gamma(mpf(2), 28)),
            "root_pi": _literals([mp.sqrt(mp.pi)]),
            "half_log_2_pi_less_half": _literals([(mp.log(2 * mp.pi) - 1) / 2]),
        }


def _log_gamma(center: mpf, terms: int) -> list[mpf]:
    """The Taylor coefficients of log Gamma."""
    found = [loggamma(center) if center != int(center) else mpf(0)]
    return found + [polygamma(k - 1, center) / mp.factorial(k) for k in range(1, terms)]


def _literals(numbers: Iterable[mpf]) -> tuple[str, ...]:
    return tuple(repr(float(number)) for number in numbers)
