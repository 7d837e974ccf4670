"""NumPy's words for the whole-array writer."""

from __future__ import annotations

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
from codegen.targets.array_dialect import ArrayDialect
from derive import functions

NUMPY = ArrayDialect(
    name="numpy",
    functions={
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
        functions.erfc: "_erfc({})",
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
        corrected: "_corrected({}, {})",
        leading: "_leading({}, {})",
        product_lost: "_product_lost({}, {}, {})",
        sum_lost: "_sum_lost({}, {}, {})",
    },
    reductions={
        "sum": "np.sum({}, axis={})",
        "prod": "np.prod({}, axis={})",
        "max": "np.max({}, axis={})",
        "min": "np.min({}, axis={})",
        "argmax": "np.argmax({}, axis={})",
    },
    cast="({}).astype(dtype)",
    choice="_where({}, {}, {})",
    typed_choice="np.where({}, {}, {}).astype(dtype)",
    sqrt="np.sqrt({})",
    infinity="np.inf",
    range="np.arange({})",
    transposed="np.transpose({}, {})",
    filled="np.full({}, {}, dtype=dtype)",
    broadcast="np.full({}, {}, dtype=dtype)",
    einsum='np.einsum("{}", {}, optimize=True)',
)
