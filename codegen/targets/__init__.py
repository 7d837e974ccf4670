"""The targets: one small file and one template each."""

from codegen.targets import c, numba, numpy
from codegen.targets.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for target in (numpy.TARGET, c.TARGET, numba.TARGET)
}

__all__ = ["TARGETS", "Target"]
