"""Derivation and proof of gradients: from a loss, written once as mathematics, to p - y."""

from derive.claims import check, check_value
from derive.derivation import Derivation, Rule, Step
from derive.engine import gradient, hessian, higher
from derive.errors import InputError, KernelError, PminusyError, ReplayError
from derive.loss import Loss
from derive.notation import library, load, parse, parse_entries, parse_entry, parse_expression
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
    "check_value",
    "gradient",
    "hessian",
    "higher",
    "in_cases",
    "library",
    "load",
    "parse",
    "parse_entries",
    "parse_entry",
    "parse_expression",
    "value",
]
