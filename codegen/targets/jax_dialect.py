"""JAX's words for the whole-array writer; `dtype` is a name in the code."""

from __future__ import annotations

import sympy
from sympy import exp, log

from codegen.kernel import exp_difference, weighted
from codegen.targets.array_dialect import ArrayDialect
from derive import functions

JAX = ArrayDialect(
    name="jax",
    functions={
        exp: "jnp.exp({})",
        log: "jnp.log({})",
        sympy.sin: "jnp.sin({})",
        sympy.cos: "jnp.cos({})",
        sympy.tan: "jnp.tan({})",
        sympy.asin: "jnp.arcsin({})",
        sympy.acos: "jnp.arccos({})",
        sympy.atan: "jnp.arctan({})",
        sympy.sinh: "jnp.sinh({})",
        sympy.cosh: "jnp.cosh({})",
        sympy.tanh: "jnp.tanh({})",
        sympy.erf: "jax.lax.erf({})",
        functions.erfc: "jax.lax.erfc({})",
        functions.lgamma: "jax.lax.lgamma({})",
        functions.sigmoid: "_sigmoid({})",
        functions.softplus: "_softplus({})",
        functions.log1p: "jnp.log1p({})",
        functions.expm1: "jnp.expm1({})",
        functions.relu: "jnp.maximum({}, 0)",
        functions.step: "({} > 0).astype(dtype)",
        functions.absolute: "jnp.abs({})",
        functions.signum: "jnp.sign({})",
        functions.largest: "jnp.maximum({}, {})",
        functions.smallest: "jnp.minimum({}, {})",
        exp_difference: "_exp_difference({}, {})",
        weighted: "_weighted({}, {})",
    },
    reductions={
        "sum": "jnp.sum({}, axis={})",
        "prod": "jnp.prod({}, axis={})",
        "max": "jnp.max({}, axis={})",
        "min": "jnp.min({}, axis={})",
        "argmax": "jnp.argmax({}, axis={})",
    },
    cast="({}).astype(dtype)",
    choice="jnp.where({}, {}, {})",
    typed_choice="jnp.where({}, {}, {}).astype(dtype)",
    sqrt="jnp.sqrt({})",
    infinity="jnp.inf",
    range="jnp.arange({})",
    transposed="jnp.transpose({}, {})",
    filled="jnp.full({}, {}, dtype)",
    broadcast="jnp.broadcast_to({1}, {0})",
    einsum='jnp.einsum("{}", {})',
    true="jnp.asarray(True)",
    scalar="jnp.asarray({}, dtype)",
    scalar_test="jnp.asarray({})",
    picked="_at({}, {})",
    put="_put({}, {}, {})",
    added="_added({}, {}, {})",
)
