"""JavaScript identifiers: made for modules, never copied from what a user wrote."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from codegen.kernel import Kernel
from codegen.schedule import Phase, Schedule, tensors_of

# Words of the language, values that the kernels use, and names that every object has.
RESERVED = frozenset(
    """
    arguments async await break case catch class const continue debugger default delete do else
    enum eval export extends false finally for function get if implements import in instanceof
    interface let new null of package private protected public return set static super switch
    this throw true try typeof undefined var void while with yield
    Array Boolean Float64Array Infinity Int32Array JSON Math NaN Number Object RangeError Set
    String Symbol TypeError globalThis
    constructor hasOwnProperty isPrototypeOf propertyIsEnumerable then toLocaleString toString
    valueOf
    scale row at
    """.split()  # noqa: SIM905
)
ENDINGS = ("", "_all", "_now", "_lost", "_term", "_next", "_best")


def identifier(name: str, taken: set[str], endings: tuple[str, ...] = ("",)) -> str:
    """An identifier for a name, new among those taken, and so with each of the endings.

    Letters stay as they are; what else there is becomes its code point.  None begins with the
    line that begins the module's own names.
    """
    plain = "".join(c if _is_plain(c) else f"u{ord(c):x}" for c in name)
    if not plain or not (plain[0].isalpha()):
        plain = f"v{plain}"
    while plain in RESERVED or any(f"{plain}{ending}" in taken for ending in endings):
        plain += "_"
    taken |= {f"{plain}{ending}" for ending in endings}
    return plain


def _is_plain(c: str) -> bool:
    """Whether JavaScript takes the character in a name, in every version of Unicode."""
    if c.isascii():
        return c.isalnum() or c == "_"
    letter = unicodedata.category(c) in ("Ll", "Lu", "Lo") and ord(c) < 0x3000
    return letter and unicodedata.normalize("NFKC", c) == c


def keys_of(kernel: Kernel) -> tuple[dict[str, str], dict[str, str]]:
    """What a caller writes: a name for each axis of an argument, and for each argument."""
    taken: set[str] = set()
    axes = {axis.name: "" for given in kernel.inputs for axis in given.tensor.axes}
    # The arguments first: an axis is rarely written.
    names = {given.name: identifier(given.name, taken) for given in kernel.inputs}
    return {axis: identifier(axis, taken) for axis in axes}, names


def module_names(name: str) -> dict[str, str]:
    """The exported functions, by the ending of their Python names."""
    stem = identifier(name, set())
    return {suffix: stem + suffix for suffix in ("", "_gradient", "_value_and_gradient", "_weight")}


def local_names(
    plan: Schedule, outputs: Mapping[str, str], taken: set[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Names inside a function: for each index, and for each array."""
    letters = {letter: identifier(letter, taken) for letter in _letters(plan) if letter != "row"}
    names: dict[str, str] = {}
    for tensor in tensors_of(plan.kernel):
        key = outputs.get(tensor)
        wanted = tensor if key is None else f"d{key}" if key else "loss"
        names[tensor] = identifier(wanted, taken, ENDINGS)
    return {"row": "row", **letters}, names


def _letters(plan: Schedule) -> Iterable[str]:
    found: list[str] = []
    for phase in plan.phases:
        if isinstance(phase, Phase):
            found += [index.name for loop in phase.loops for index in loop.indices]
        else:
            found += [i.name for i in (*phase.statement.indices, *phase.statement.over)]
    return dict.fromkeys(found)
