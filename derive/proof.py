from __future__ import annotations
def agree_numerically(loss, before, after):
    return "unknown"
