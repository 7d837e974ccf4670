"""Expressions over arrays, printed as NumPy: each entry is aligned with its statement's axes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy
from sympy import Basic, Expr, Integer, Pow, Rational, exp, log

from codegen.kernel import exp_difference, weighted
from derive import functions
from derive.errors import KernelError
from derive.index import Axis, Choice, Condition, Delta, Entry, Index, order

ADD, MUL, SIGN, POW, ATOM = range(1, 6)

FUNCTIONS: dict[type, str] = {
    exp: "np.exp({})",
    log: "np.log({})",
    sympy.sin: "np.sin({})",
    sympy.cos: "np.cos({})",
    sympy.tan: "np.tan({})",
    sympy.asin: "np.arcsin({})",
    sympy.acos: "np.arccos({})",
    sympy.atan: "np.arctan({})",
    sympy.sinh: "np.sinh({})",
    sympy.cosh: "np.cosh({})",
    sympy.tanh: "np.tanh({})",
    sympy.erf: "_erf({})",
    functions.lgamma: "_lgamma({})",
    functions.sigmoid: "_sigmoid({})",
    functions.softplus: "_softplus({})",
    functions.log1p: "np.log1p({})",
    functions.expm1: "np.expm1({})",
    functions.relu: "np.maximum({}, 0)",
    functions.step: "np.where({} > 0, 1, 0).astype(dtype)",
    functions.absolute: "np.abs({})",
    functions.signum: "np.sign({})",
    functions.largest: "np.maximum({}, {})",
    functions.smallest: "np.minimum({}, {})",
    exp_difference: "_exp_difference({}, {})",
    weighted: "_weighted({}, {})",
}
JOINED = {"and": " & ", "or": " | "}


@dataclass
class Layout:
    """The axes of one statement, the names of arrays, and the ranges that turned out needed."""

    dims: tuple[Index, ...]
    names: Mapping[str, str]
    ranges: set[str] = field(default_factory=set)


def show(expr: Basic, at: Layout, level: int = 0) -> str:
    """`expr` as NumPy; brackets where the context binds more tightly than it does."""
    text, own = _pieces(expr, at)
    return f"({text})" if own < level else text


def _pieces(expr: Basic, at: Layout) -> tuple[str, int]:
    if isinstance(expr, Entry):
        return entry(expr, at), ATOM
    if isinstance(expr, Index):
        return _range(expr, at), ATOM
    if isinstance(expr, Axis):
        return expr.name, ATOM
    if isinstance(expr, Delta):
        return f"({_comparison('==', expr.args, at)}).astype(dtype)", ATOM
    if isinstance(expr, Choice):
        return _choice(expr, at), ATOM
    if isinstance(expr, Condition):
        return _condition(expr, at), 0
    if expr.is_number:
        return _number(expr)
    if expr.is_Add:
        return _add(expr, at)
    if expr.is_Mul:
        return _product(expr, at)
    if isinstance(expr, Pow):
        return _power(expr, at)
    return _call(expr, at), ATOM


def _number(expr: Expr) -> tuple[str, int]:
    if isinstance(expr, Integer):
        return str(expr), ATOM if expr >= 0 else SIGN
    if expr in (sympy.oo, -sympy.oo):
        return ("np.inf", ATOM) if expr > 0 else ("-np.inf", SIGN)
    try:
        value = float(expr)
    except (OverflowError, TypeError):
        value = math.inf
    if math.isinf(value):
        raise KernelError(f"the constant {sympy.N(expr, 5)} is beyond the range of float64")
    return repr(value), ATOM if value >= 0 else SIGN


def _add(expr: Expr, at: Layout) -> tuple[str, int]:
    terms = sorted(expr.args, key=lambda term: (_negative(term), order(term)))
    text = ""
    if -1 in terms:
        grown = [term for term in terms if isinstance(term, exp)]
        if grown:
            terms = [term for term in terms if term not in (-1, grown[0])]
            text = f"np.expm1({show(grown[0].args[0], at)})"
    for term in terms:
        if _negative(term):
            text += f" - {show(-term, at, MUL)}" if text else show(term, at, ADD)
        else:
            text += f" + {show(term, at, MUL)}" if text else show(term, at, ADD)
    return text, ADD if terms else ATOM


def _negative(term: Expr) -> bool:
    number = term.as_coeff_Mul()[0]
    return bool(number < 0)


def _product(expr: Expr, at: Layout) -> tuple[str, int]:
    number, rest = expr.as_coeff_Mul()
    above, below = halves(rest)
    if not isinstance(number, Rational):
        above, number = [number, *above], Integer(1)
    sign = "-" if number < 0 else ""
    if abs(number.p) != 1 or not above:
        above = [Integer(abs(number.p)), *above]
    if number.q != 1:
        below = [Integer(number.q), *below]
    first = ATOM if sign else MUL
    texts = [show(f, at, SIGN if i else first) for i, f in enumerate(above)]
    text = sign + " * ".join(texts)
    if len(below) == 1:
        text += f" / {show(below[0], at, SIGN)}"
    elif below:
        text += f" / ({' * '.join(show(f, at, SIGN) for f in below)})"
    return text, SIGN if sign and len(texts) == 1 and not below else MUL


def halves(expr: Expr) -> tuple[list[Expr], list[Expr]]:
    """The factors above and below the line."""
    factors = sorted(sympy.Mul.make_args(expr), key=order)
    above, below = [], []
    for factor in factors:
        if isinstance(factor, Pow) and factor.exp.is_number and factor.exp.is_negative:
            below.append(factor.base**-factor.exp)
        elif factor != 1:
            above.append(factor)
    return above, below


def _power(expr: Expr, at: Layout) -> tuple[str, int]:
    base, exponent = expr.args
    if exponent.is_number and exponent.is_negative:
        return f"1 / {show(base**-exponent, at, SIGN)}", MUL
    if exponent == Rational(1, 2):
        return f"np.sqrt({show(base, at)})", ATOM
    below, above = show(base, at, ATOM), show(exponent, at, SIGN)
    hug = below.isidentifier() and re.fullmatch(r"-?[\w.]+(e-\d+)?", above)
    return (f"{below}**{above}" if hug else f"{below} ** {above}"), POW


def _call(expr: Basic, at: Layout) -> str:
    if isinstance(expr, log) and expr.args[0].is_Add and 1 in expr.args[0].args:
        return f"np.log1p({show(expr.args[0] - 1, at)})"
    template = FUNCTIONS.get(type(expr))
    if template is None:
        raise KernelError(f"the target numpy has no {type(expr).__name__}")
    level = ADD if template.startswith("np.where") else 0
    return template.format(*(show(arg, at, level) for arg in expr.args))


def _choice(expr: Choice, at: Layout) -> str:
    condition, value, otherwise = expr.args
    if value == 1 and otherwise == 0 and condition.op not in JOINED:
        return f"({show(condition, at)}).astype(dtype)"
    text = ", ".join(show(arg, at) for arg in expr.args)
    typed = value.is_number and otherwise.is_number
    return f"np.where({text}).astype(dtype)" if typed else f"np.where({text})"


def _condition(expr: Condition, at: Layout) -> str:
    if expr.op == "true":
        return "True"
    if expr.op == "not":
        return f"~({show(expr.operands[0], at)})"
    if expr.op in JOINED:
        return JOINED[expr.op].join(f"({show(arg, at)})" for arg in expr.operands)
    return _comparison(expr.op, expr.operands, at)


def _comparison(op: str, sides: tuple[Basic, ...], at: Layout) -> str:
    left, right = (show(side, at, ADD) for side in sides)
    return f"{left} {op} {right}"


def entry(expr: Entry, at: Layout) -> str:
    """An array, with its axes where the statement has them."""
    name = at.names[expr.tensor.name]
    plain = all(isinstance(i, Index) for i in expr.indices)
    if not plain or len(set(expr.indices)) != len(expr.indices):
        slots = [_range(i, at) if isinstance(i, Index) else entry(i, at) for i in expr.indices]
        return f"{name}[{', '.join(slots)}]"
    places = [at.dims.index(i) for i in expr.indices]
    if places != sorted(places):
        turned = tuple(sorted(range(len(places)), key=lambda k: places[k]))
        name = f"{name}.T" if len(places) == 2 else f"np.transpose({name}, {turned})"
    return name + _slots(places, len(at.dims))


def _slots(places: list[int], rank: int) -> str:
    """Where new axes have to be put in; leading ones come by themselves."""
    if not places:
        return ""
    slots = [":" if k in places else "None" for k in range(min(places), rank)]
    return f"[{', '.join(slots)}]" if "None" in slots else ""


def _range(index: Index, at: Layout) -> str:
    at.ranges.add(index.axis.name)
    return f"index_{index.axis.name}" + _slots([at.dims.index(index)], len(at.dims))
