"""A kernel in float64 for arguments in float32: each result is rounded once, at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Results = tuple[Any, dict[str, Any]]


def widened(
    function: Callable[..., Results],
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    dtype: str,
) -> Results:
    """The loss and the gradients of `function`, computed in `dtype`, in the type of `given`.

    `given` may hold `out`: buffers of the type of the arguments.  Raises TypeError where the
    arguments are of two floating types, as the function itself does.
    """
    import numpy as np

    arrays = {k: np.asarray(v) for k, v in given.items() if k != "out" and v is not None}
    options = {**options, **{k: v for k, v in given.items() if v is None}}
    kinds = sorted({str(a.dtype) for a in arrays.values() if a.dtype.kind == "f" and a.ndim})
    if len(kinds) > 1:
        raise TypeError(f"the arguments are {' and '.join(kinds)}: give one floating type")
    narrow = np.dtype(kinds[0]) if kinds else np.dtype(dtype)
    wide = {k: a.astype(dtype) if a.dtype == narrow else a for k, a in arrays.items()}
    loss, gradients = function(**wide, **options)
    out = given.get("out") or {}
    results = {"loss": loss, **gradients}
    for name, value in results.items():
        if name in out:
            np.copyto(out[name], value, casting="same_kind")
            results[name] = out[name]
        else:
            rounded = np.asarray(value).astype(narrow)
            results[name] = rounded if rounded.ndim else rounded[()]
    return results.pop("loss"), results
