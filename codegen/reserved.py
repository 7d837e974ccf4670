"""Words that no target can have as the letter of an index."""

from __future__ import annotations

import keyword

from derive.index import Axis

# Of C, C++ and JavaScript, besides Python's own.
WORDS = frozenset(
    """
    asm auto bool break case catch char class const continue default delete do double else enum
    explicit export extern float for friend goto if inline int long mutable new operator private
    protected public register return short signed sizeof static struct switch template this throw
    try typedef typeid union unsigned using var virtual void volatile while
    abstract arguments await byte debugger eval final function implements instanceof interface
    let native null package super synchronized throws transient typeof yield true false
    """.split()  # noqa: SIM905
) | {word.lower() for word in keyword.kwlist}


def letter(axis: Axis) -> str:
    """The letter of an index over an axis: k for K; where that is a word of a language, if_."""
    plain = axis.name.lower()
    return f"{plain}_" if plain in WORDS else plain
