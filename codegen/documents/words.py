"""Words with the signs of mathematics in the place of those of a keyboard."""

from __future__ import annotations

import re
from collections.abc import Collection

from derive.styles import GREEK

SIGNS = {">=": "≥", "<=": "≤", "->": "→", "**": "^"}
MINUS = re.compile(r"(?<![\w)\]])-(?=[\w.(|])|(?<= )-(?= )")
INFINITY = re.compile(r"\b(?:oo|infinity)\b")
SQUARE = re.compile(r"(?<![\w$])(\w+)\^2(?=[\s,.;:)]|$)")
PARTIAL = re.compile(r"\bd(\w+)/d(\w+)\b")
TIMES = re.compile(r"(?<=[\w)\]])( ?)\*(?=\1[\w(])")
PRIME = re.compile(r"(?<![A-Za-z]{2})'")  # v'Hv, but not the gradient's
LETTER = re.compile(r"\b[a-z]+\b")


def signs(text: str, names: Collection[str] = ()) -> str:
    """The text with ≥, −, · and the like, and Greek letters for those of `names` that are."""
    for typed, sign in SIGNS.items():
        text = text.replace(typed, sign)
    text = TIMES.sub(r"\1·", INFINITY.sub("∞", MINUS.sub("−", text)))
    text = SQUARE.sub(r"\1²", text)
    text = PARTIAL.sub(lambda found: _derivative(found, names), text)
    return LETTER.sub(lambda found: _letter(found[0], names), PRIME.sub("′", text))


def _derivative(found: re.Match[str], names: Collection[str]) -> str:
    known = found[1] in names and found[2] in names
    return f"∂{found[1]}/∂{found[2]}" if known else found[0]


def _letter(word: str, names: Collection[str]) -> str:
    return GREEK.get(word, word) if word in names else word
