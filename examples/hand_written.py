"""Gradients written by hand, to be judged: `pminusy check LOSS --wrt a --code ...:function`.

Of each there is one that is right and accurate, one that is right on paper but loses its
digits, and one that is wrong.
"""

from __future__ import annotations

import numpy as np


def softmax_accurate(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """p - y, without the difference of nearly equal numbers where the target is 1."""
    e = np.exp(a - a.max(axis=1, keepdims=True))
    whole = e.sum(axis=1, keepdims=True)
    others = whole - e  # the sum without each entry ...
    top = (np.arange(len(a)), a.argmax(axis=1))
    without_top = e.copy()
    without_top[top] = 0
    others[top] = without_top.sum(axis=1)  # ... which for the largest is added up anew
    return ((1 - y) * e - y * others) / whole


def softmax_textbook(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """p - y with the largest logit taken off: nothing overflows, but where p is near 1 ..."""
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) - y


def softmax_overflowing(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """p - y as on paper."""
    e = np.exp(a)
    return e / e.sum(axis=1, keepdims=True) - y


def softmax_wrong(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """-y/p times p (1 - p): only one path of the chain rule."""
    e = np.exp(a - a.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -y * (1 - p)


def sigmoid_accurate(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(1 - y) sigmoid(z) - y sigmoid(-z), each without overflow."""
    e = np.exp(-np.abs(z))
    above, below = np.where(z > 0, 1, e) / (1 + e), np.where(z > 0, e, 1) / (1 + e)
    return (1 - y) * above - y * below


def sigmoid_textbook(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """sigmoid(z) - y: where sigmoid(z) is near 1 and y is 1, nothing is left."""
    return 1 / (1 + np.exp(-z)) - y


def sigmoid_wrong(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sign is the other way round."""
    return y - 1 / (1 + np.exp(-z))
