"""Normal forms that are kept for a loss, with all that they have normalised."""

from __future__ import annotations

from functools import lru_cache

from derive.loss import Loss
from derive.normal.form import NormalForm


@lru_cache(maxsize=1 << 5)
def assuming_all(loss: Loss) -> NormalForm:
    """The one that assumes every domain, for where it does not matter which of them were used."""
    return NormalForm(loss, assume=True)
