"""Derivation and proof of gradients: from a loss, written once as mathematics, to p - y.

What is named here is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derive.claims import check_product, check_value
    from derive.derivation import Derivation, Rule, Step
    from derive.errors import InputError, KernelError, PminusyError, ReplayError
    from derive.loss import Loss
    from derive.named import check, gradient, hessian, higher, hvp, jvp, vjp
    from derive.notation import library, load, parse, parse_entries, parse_entry, parse_expression
    from derive.rewrite import in_cases, value
    from derive.verdict import Counterexample, Verdict

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

PLACES = {
    "Counterexample": "derive.verdict",
    "Derivation": "derive.derivation",
    "InputError": "derive.errors",
    "KernelError": "derive.errors",
    "Loss": "derive.loss",
    "PminusyError": "derive.errors",
    "ReplayError": "derive.errors",
    "Rule": "derive.derivation",
    "Step": "derive.derivation",
    "Verdict": "derive.verdict",
    "check": "derive.named",
    "check_product": "derive.claims",
    "check_value": "derive.claims",
    "gradient": "derive.named",
    "hessian": "derive.named",
    "higher": "derive.named",
    "hvp": "derive.named",
    "in_cases": "derive.rewrite",
    "jvp": "derive.named",
    "library": "derive.notation",
    "load": "derive.notation",
    "parse": "derive.notation",
    "parse_entries": "derive.notation",
    "parse_entry": "derive.notation",
    "parse_expression": "derive.notation",
    "value": "derive.rewrite",
    "vjp": "derive.named",
}


def __getattr__(name: str) -> Any:
    if name in PLACES:
        import importlib

        return getattr(importlib.import_module(PLACES[name]), name)
    raise AttributeError(f"module 'derive' has no attribute '{name}'")
