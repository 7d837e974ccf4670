"""Expressions over arrays in a dialect: each entry is aligned with the axes of its statement."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import sympy
from sympy import Basic, Expr, Integer, Pow, Rational, exp, log

from codegen.targets.array_dialect import ArrayDialect
from derive import functions
from derive.errors import KernelError
from derive.index import Axis, Choice, Condition, Delta, Entry, Index, order

ADD, MUL, SIGN, POW, ATOM = range(1, 6)
EXACT = 2**62  # beyond what 64 bits hold, a quotient of whole numbers is written as a float


@dataclass
class Layout:
    """The dialect, the axes of one statement, the names of arrays, and the ranges needed so far.

    `pieces` are the texts of the parts that were shown already.
    """

    dialect: ArrayDialect
    dims: tuple[Index, ...]
    names: Mapping[str, str]
    ranges: set[str] = field(default_factory=set)
    pieces: dict[Basic, tuple[str, int]] = field(default_factory=dict, repr=False)


def show(expr: Basic, at: Layout, level: int = 0) -> str:
    """The text of `expr`; brackets where the context binds more tightly than it does."""
    found = at.pieces.get(expr)
    if found is None:
        found = at.pieces[expr] = _pieces(expr, at)
    text, own = found
    return f"({text})" if own < level else text


def _pieces(expr: Basic, at: Layout) -> tuple[str, int]:
    if isinstance(expr, Entry):
        return entry(expr, at), ATOM
    if isinstance(expr, Index):
        return _range(expr, at), ATOM
    if isinstance(expr, Axis):
        return at.dialect.hooks.size(expr, expr.name), ATOM
    if isinstance(expr, Delta):
        return at.dialect.cast.format(_comparison("==", expr.args, at)), ATOM
    if isinstance(expr, Choice):
        return _choice(expr, at), ATOM
    if isinstance(expr, Condition):
        return condition(expr, at), 0
    if expr.is_number:
        return _number(expr, at)
    if expr.is_Add:
        return _add(expr, at)
    if expr.is_Mul:
        return _product(expr, at)
    if isinstance(expr, Pow):
        return _power(expr, at)
    return _call(expr, at), ATOM


def _number(expr: Expr, at: Layout) -> tuple[str, int]:
    if isinstance(expr, Integer):
        return str(expr), ATOM if expr >= 0 else SIGN
    if expr in (sympy.oo, -sympy.oo):
        text = at.dialect.infinity
        return (text, ATOM) if expr > 0 else (f"-{text}", SIGN)
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
            text = _call(functions.expm1(grown[0].args[0]), at)
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
    if not isinstance(number, Rational) or max(abs(number.p), number.q) > EXACT:
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
        return at.dialect.sqrt.format(argument(base, at)), ATOM
    below, above = show(base, at, ATOM), show(exponent, at, SIGN)
    hug = below.isidentifier() and re.fullmatch(r"-?[\w.]+(e-\d+)?", above)
    return (f"{below}**{above}" if hug else f"{below} ** {above}"), POW


def _call(expr: Basic, at: Layout) -> str:
    if isinstance(expr, log) and expr.args[0].is_Add and 1 in expr.args[0].args:
        expr = functions.log1p(expr.args[0] - 1)
    kind, args = type(expr), expr.args
    numbers = [arg for arg in args if arg.is_number]
    if kind in at.dialect.with_number and len(numbers) == 1:
        (array,) = (arg for arg in args if not arg.is_number)
        return at.dialect.with_number[kind].format(argument(array, at), show(numbers[0], at))
    template = at.dialect.functions.get(kind)
    if template is None:
        raise KernelError(f"the target {at.dialect.name} has no {kind.__name__}")
    compared = template.startswith(("np.where(", "({} "))
    return template.format(*(argument(arg, at, ADD if compared else 0) for arg in args))


def argument(expr: Basic, at: Layout, level: int = 0) -> str:
    """The text of what a function takes: an array, even where it is one number."""
    text = show(expr, at, level)
    return text if is_array(expr) else at.dialect.scalar.format(text)


def is_array(expr: Basic) -> bool:
    """Whether the value is an array of the library rather than a number of Python's."""
    return bool(expr.atoms(Entry, Index))


def _choice(expr: Choice, at: Layout) -> str:
    test, value, otherwise = expr.args
    if value == 1 and otherwise == 0 and test.op not in at.dialect.joined:
        return at.dialect.cast.format(show(test, at))
    typed = not is_array(value) and not is_array(otherwise)
    template = at.dialect.typed_choice if typed else at.dialect.choice
    return template.format(*(show(arg, at) for arg in expr.args))


def condition(expr: Condition, at: Layout) -> str:
    """The text of a condition, as an array of truth values."""
    if expr.op == "true":
        return at.dialect.true
    if expr.op == "not":
        return at.dialect.negated.format(show(expr.operands[0], at))
    if expr.op in at.dialect.joined:
        return at.dialect.joined[expr.op].join(f"({show(arg, at)})" for arg in expr.operands)
    text = _comparison(expr.op, expr.operands, at)
    return text if is_array(expr) else at.dialect.scalar_test.format(text)


def _comparison(op: str, sides: tuple[Basic, ...], at: Layout) -> str:
    left, right = (show(side, at, ADD) for side in sides)
    return f"{left} {op} {right}"


def entry(expr: Entry, at: Layout) -> str:
    """An array, with its axes where the statement has them."""
    name = at.names[expr.tensor.name]
    plain = all(isinstance(i, Index) for i in expr.indices)
    if not plain or len(set(expr.indices)) != len(expr.indices):
        return at.dialect.hooks.picked(expr, _picked(expr, name, at))
    places = [at.dims.index(i) for i in expr.indices]
    if places != sorted(places):
        turned = tuple(sorted(range(len(places)), key=lambda k: places[k]))
        name = f"{name}.T" if len(places) == 2 else at.dialect.transposed.format(name, turned)
    return name + _slots(places, len(at.dims))


def _picked(expr: Entry, name: str, at: Layout) -> str:
    """The entries of an array at labels, or on a diagonal."""
    *rows, label = expr.indices
    if at.dialect.picked and isinstance(label, Entry) and list(label.indices) == rows:
        places = [at.dims.index(i) for i in rows if isinstance(i, Index)]
        if len(places) == len(rows) and places == sorted(set(places)):
            own = Layout(at.dialect, tuple(rows), at.names, at.ranges)
            text = at.dialect.picked.format(name, place(label, own))
            return text + _slots(places, len(at.dims))
    slots = [place(i, at) for i in expr.indices]
    return f"{name}[{', '.join(slots)}]"


def place(index: Basic, at: Layout) -> str:
    """An index, or a label, where something is looked up."""
    if isinstance(index, Index):
        return at.dialect.hooks.placed(index.axis, _range(index, at))
    assert isinstance(index, Entry)
    inside = at.names.get(lookup(index.tensor.name))
    if inside is None:
        return entry(index, at)
    return entry(index, replace(at, names={**at.names, index.tensor.name: inside}))


def lookup(label: str) -> str:
    """The key under which `Layout.names` has the labels to look up with: no name is like it."""
    return f"{label} in range"


def _slots(places: list[int], rank: int) -> str:
    """Where new axes have to be put in; leading ones come by themselves."""
    if not places:
        return ""
    slots = [":" if k in places else "None" for k in range(min(places), rank)]
    return f"[{', '.join(slots)}]" if "None" in slots else ""


def _range(index: Index, at: Layout) -> str:
    at.ranges.add(index.axis.name)
    return f"index_{index.axis.name}" + _slots([at.dims.index(index)], len(at.dims))
