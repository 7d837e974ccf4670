"""How Numba's Python writes numbers and functions, for one of its two real types."""

from __future__ import annotations

from functools import lru_cache, partial

import sympy
from sympy import exp, log

from codegen.kernel import (
    corrected,
    exp_difference,
    leading,
    product_lost,
    sum_lost,
    weighted,
)
from codegen.targets.numba_functions import literal
from codegen.targets.scalar_expressions import Dialect
from derive import functions

OWN: dict[type, str] = {
    exp: "exp",
    log: "log",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.tanh: "tanh",
    functions.sigmoid: "sigmoid",
    functions.softplus: "softplus",
    functions.log1p: "log1p",
    functions.expm1: "expm1",
    functions.relu: "positive_part",
    functions.step: "step",
    functions.signum: "sign",
}
PAIRS: dict[type, str] = {
    exp_difference: "exp_difference",
    weighted: "weighted",
    functions.largest: "largest",
    functions.smallest: "smallest",
    corrected: "corrected",
    leading: "leading",
}
TRIPLES: dict[type, str] = {product_lost: "product_lost", sum_lost: "sum_lost"}
LIBRARY: dict[type, str] = {
    sympy.sin: "math.sin",
    sympy.cos: "math.cos",
    sympy.tan: "math.tan",
    sympy.asin: "math.asin",
    sympy.acos: "math.acos",
    sympy.atan: "math.atan",
    sympy.erf: "math.erf",
    functions.erfc: "math.erfc",
    functions.lgamma: "math.lgamma",
    functions.absolute: "abs",
}


@lru_cache(maxsize=2)
def dialect(suffix: str) -> Dialect:
    """The dialect of expressions in f32 or f64."""
    table = {kind: f"{name}({{}})" for kind, name in LIBRARY.items()}
    table |= {kind: f"_{name}_{suffix}({{}})" for kind, name in OWN.items()}
    table |= {kind: f"_{name}_{suffix}({{}}, {{}})" for kind, name in PAIRS.items()}
    table |= {kind: f"_{name}_{suffix}({{}}, {{}}, {{}})" for kind, name in TRIPLES.items()}
    return Dialect(
        name="numba",
        functions=table,
        choice="({then} if {test} else {other})",
        relations={"true": "True", "not": "not ", "and": "and", "or": "or"},
        power=f"_pow_{suffix}({{}}, {{}})",
        whole_power=f"{suffix}(math.pow({{}}, {{}}))",
        number=partial(literal, suffix=suffix),
        size=f"{suffix}({{}})",
        infinity=f"{suffix}(np.inf)",
        sqrt="math.sqrt({})",
    )
