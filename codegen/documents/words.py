"""Words with the signs of mathematics in the place of those of a keyboard."""

from __future__ import annotations

import re
from collections.abc import Collection

from derive.styles import GREEK

SIGNS = {">=": "≥", "<=": "≤", "->": "→", "**": "^"}
MINUS = re.compile(r"(?<![\w)\]])-(?=[\w.(])|(?<= )-(?= )")
INFINITY = re.compile(r"\boo\b")
TIMES = re.compile(r"(?<=[\w)\]])( ?)\*(?=\1[\w(])")
PRIME = re.compile(r"(?<![A-Za-z]{2})'")  # v'Hv, but not the gradient's
LETTER = re.compile(r"\b[a-z]+\b")


def signs(text: str, names: Collection[str] = ()) -> str:
    """The text with ≥, −, · and the like, and Greek letters for those of `names` that are."""
    for typed, sign in SIGNS.items():
        text = text.replace(typed, sign)
    text = TIMES.sub(r"\1·", INFINITY.sub("∞", MINUS.sub("−", text)))
    return LETTER.sub(lambda found: _letter(found[0], names), PRIME.sub("′", text))


def _letter(word: str, names: Collection[str]) -> str:
    return GREEK.get(word, word) if word in names else word
