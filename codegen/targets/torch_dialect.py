"""PyTorch's words for the whole-array writer; `dtype` and `device` are names in the code."""

from __future__ import annotations

import sympy
from sympy import exp, log

from codegen.kernel import exp_difference, weighted
from codegen.targets.array_dialect import ArrayDialect
from derive import functions

TORCH = ArrayDialect(
    name="torch",
    functions={
        exp: "torch.exp({})",
        log: "torch.log({})",
        sympy.sin: "torch.sin({})",
        sympy.cos: "torch.cos({})",
        sympy.tan: "torch.tan({})",
        sympy.asin: "torch.asin({})",
        sympy.acos: "torch.acos({})",
        sympy.atan: "torch.atan({})",
        sympy.sinh: "torch.sinh({})",
        sympy.cosh: "torch.cosh({})",
        sympy.tanh: "torch.tanh({})",
        sympy.erf: "torch.erf({})",
        functions.erfc: "torch.erfc({})",
        functions.lgamma: "torch.lgamma({})",
        functions.sigmoid: "_sigmoid({})",
        functions.softplus: "_softplus({})",
        functions.log1p: "torch.log1p({})",
        functions.expm1: "torch.expm1({})",
        functions.relu: "torch.clamp({}, min=0)",
        functions.step: "({} > 0).to(dtype)",
        functions.absolute: "torch.abs({})",
        functions.signum: "_sign({})",
        functions.largest: "torch.maximum({}, {})",
        functions.smallest: "torch.minimum({}, {})",
        exp_difference: "_exp_difference({}, {})",
        weighted: "_weighted({}, {})",
    },
    with_number={
        functions.largest: "torch.clamp({}, min={})",
        functions.smallest: "torch.clamp({}, max={})",
    },
    reductions={
        "sum": "torch.sum({}, dim={})",
        "prod": "torch.prod({}, dim={})",
        "max": "torch.amax({}, dim={})",
        "min": "torch.amin({}, dim={})",
        "argmax": "torch.argmax({}, dim={})",
    },
    cast="({}).to(dtype)",
    choice="torch.where({}, {}, {})",
    typed_choice="_choose({}, {}, {}, dtype)",
    sqrt="torch.sqrt({})",
    infinity="math.inf",
    range="torch.arange({}, device=device)",
    transposed="{}.permute({})",
    filled="torch.full({}, {}, dtype=dtype, device=device)",
    broadcast="torch.broadcast_to({1}, {0})",
    einsum='torch.einsum("{}", {})',
    true="torch.ones((), dtype=torch.bool, device=device)",
    scalar="torch.full((), {}, dtype=dtype, device=device)",
    scalar_test="torch.full((), {}, device=device)",
    picked="_at({}, {})",
    put="_put({}, {}, {})",
    added="_added({}, {}, {})",
)
