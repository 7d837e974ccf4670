"""What a target for an automatic differentiator is given besides the kernel."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.kernel import Kernel


@dataclass(frozen=True)
class Autograd:
    """The kernels of the backward passes, and the names of their further inputs.

    `backward` has the loss, and the gradients weighted by its input `cotangent`, a number a
    sample.  `second` also takes the `directions`, one for each gradient; its "loss" is the
    directional derivative, and its gradients, weighted, are the Hessian-vector products, printed
    as `results`.  None where they cannot be derived: `reason` says why.
    """

    backward: Kernel
    cotangent: str
    second: Kernel | None = None
    directions: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    reason: str = ""
