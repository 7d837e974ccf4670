"""From derivations to kernels and documents; what a user calls is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegen.builder import KernelFunction, build, generate

__all__ = ["KernelFunction", "build", "generate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("codegen.builder"), name)
    raise AttributeError(f"module 'codegen' has no attribute '{name}'")
