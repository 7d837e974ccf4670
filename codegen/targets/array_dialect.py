"""How an array library writes what the whole-array writer has to say: a table a library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from codegen.kernel import Contract, Reduce
from derive.index import Axis, Entry


def _as_it_is(_: object, text: str) -> str:
    return text


@dataclass(frozen=True)
class Hooks:
    """What stands around the text of a statement's parts; nothing, unless arrays are sharded.

    `reduced` gets a Reduce or Contract and the text of its local result, and puts the collective
    around it; `picked` an entry read at a label; `ranged` the indices of an axis, `placed` what
    they are where an array is read at them, and `size` the number of them, all of which are local
    ones until the hook says otherwise.
    """

    reduced: Callable[[Reduce | Contract, str], str] = _as_it_is
    picked: Callable[[Entry, str], str] = _as_it_is
    ranged: Callable[[Axis, str], str] = _as_it_is
    placed: Callable[[Axis, str], str] = _as_it_is
    size: Callable[[Axis, str], str] = _as_it_is


@dataclass(frozen=True)
class ArrayDialect:
    """Templates of one library, filled with `str.format`.

    `functions` has one for each function, `with_number` for those of an array and a number;
    `reductions` one for each op of the kernel IR, over one axis or a tuple of them.  `scalar`
    makes an array of a number that a function is to take, `scalar_test` of a truth value;
    `cast` makes numbers of a comparison, `typed_choice` chooses between two numbers.
    `filled` is an array of one number, `broadcast` an array in a larger shape.

    Empty templates are for what the library has no word for: `picked` takes the entries at one
    label a row, `put` and `added` change them in a copy.
    """

    name: str
    functions: Mapping[type, str]
    reductions: Mapping[str, str]
    cast: str
    choice: str
    typed_choice: str
    sqrt: str
    infinity: str
    range: str
    transposed: str
    filled: str
    broadcast: str
    einsum: str
    true: str = "True"
    negated: str = "~({})"
    joined: Mapping[str, str] = field(default_factory=lambda: {"and": " & ", "or": " | "})
    with_number: Mapping[type, str] = field(default_factory=dict)
    scalar: str = "{}"
    scalar_test: str = "{}"
    picked: str = ""
    put: str = ""
    added: str = ""
    hooks: Hooks = Hooks()
