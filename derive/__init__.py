"""Derivation and proof of gradients: from a loss, written once as mathematics, to p - y."""

from derive.claims import check, check_product, check_value
from derive.derivation import Derivation, Rule, Step
from derive.engine import gradient, hessian, higher
from derive.errors import InputError, KernelError, PminusyError, ReplayError
from derive.loss import Loss
from derive.notation import library, load, parse, parse_entries, parse_entry, parse_expression
from derive.products import hvp, jvp, vjp
from derive.proof import Counterexample, Verdict
from derive.rewrite import in_cases, value

__all__ = [
    "Counterexample",
    "Derivation",
    "InputError",
    "KernelError",
    "Loss",
    "PminusyError",
    "ReplayError",
    "Rule",
    "Step",
    "Verdict",
    "check",
    "check_product",
    "check_value",
    "gradient",
    "hessian",
    "higher",
    "hvp",
    "in_cases",
    "jvp",
    "library",
    "load",
    "parse",
    "parse_entries",
    "parse_entry",
    "parse_expression",
    "value",
    "vjp",
]
