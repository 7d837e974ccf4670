"""From derivations to kernels and documents; what a user calls is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegen.builder import KernelFunction, build
    from codegen.library import generate
    from codegen.objectives import ObjectiveFunction, objective

__all__ = ["KernelFunction", "ObjectiveFunction", "build", "generate", "objective"]

PLACES = {
    "KernelFunction": "codegen.builder",
    "ObjectiveFunction": "codegen.objectives",
    "build": "codegen.builder",
    "generate": "codegen.library",
    "objective": "codegen.objectives",
}


def __getattr__(name: str) -> Any:
    if name in PLACES:
        import importlib

        return getattr(importlib.import_module(PLACES[name]), name)
    raise AttributeError(f"module 'codegen' has no attribute '{name}'")
