"""The targets: one small file and one template each."""

from codegen.targets import c, javascript, jax, numba, numpy, torch, triton
from codegen.targets.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        numpy.TARGET,
        c.TARGET,
        numba.TARGET,
        javascript.TARGET,
        torch.TARGET,
        jax.TARGET,
        triton.TARGET,
    )
}

__all__ = ["TARGETS", "Target"]
