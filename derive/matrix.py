"""The result of a derivation in matrix notation, with the layout it is written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from derive.batch import BATCH
from derive.derivation import Derivation
from derive.index import Entry, Index, free_indices
from derive.letters import SUBSCRIPTS
from derive.loss import Loss
from derive.matrix_convert import Converter
from derive.matrix_leaves import NoForm
from derive.matrix_nodes import SCALAR, Mat, weight
from derive.matrix_print import Printer, signs
from derive.styles import GREEK

STYLES = ("text", "unicode", "latex")
LARGEST = 120


@dataclass(frozen=True)
class MatrixForm:
    """`left = right` in each of STYLES, and one sentence on the layout.

    `tree` is the right side as data, `stacked` the names given to samples stacked as rows.
    """

    left: Mapping[str, str]
    right: Mapping[str, str]
    convention: str
    tree: Mat
    stacked: Mapping[str, str]


def matrix_form(derivation: Derivation) -> MatrixForm | None:
    """The result in matrix notation; None where it has none, such as with three indices."""
    loss, free = derivation.loss, free_order(derivation)
    if free is None:
        return None
    try:
        tree = Converter(loss)(derivation.result, free)
        left = Converter(loss)(derivation.subject, free)
    except NoForm:
        return None
    if weight(tree) > LARGEST:
        return None
    stacked = stacked_names(loss)
    printers = {kind: _printer(kind, loss, tree, stacked) for kind in STYLES}
    return MatrixForm(
        {kind: printer.piece(left).text for kind, printer in printers.items()},
        {kind: printer.piece(tree).text for kind, printer in printers.items()},
        _convention(loss, left, tree, stacked, printers["text"]),
        tree,
        stacked,
    )


def free_order(derivation: Derivation) -> tuple[Index, ...] | None:
    """The free indices, rows first: those of what is derived, then of each name it is by."""
    entries: tuple[Entry, ...] = (derivation.of, *derivation.wrt)
    indices = [index for entry in entries for index in entry.indices]
    wanted = free_indices(derivation.subject) | free_indices(derivation.result)
    found = [index for index in indices if index in wanted]
    if len(set(found)) != len(found) or set(found) != wanted or len(found) > 2:
        return None
    return tuple(found)


def stacked_names(loss: Loss) -> dict[str, str]:
    """A capital letter for each name whose rows are samples, unless it is taken."""
    taken = {*loss.declared, *loss.defined, *(axis.name for axis in loss.axes)}
    taken |= {*_fixed(loss)}
    found: dict[str, str] = {}
    for name in (*loss.declared, *loss.defined):
        capital = name[:1].upper() + name[1:]
        if name in GREEK and capital not in GREEK:
            continue
        if _is_stacked(loss, name) and capital not in taken:
            found[name] = capital
            taken.add(capital)
    return found


def _is_stacked(loss: Loss, name: str) -> bool:
    """Whether the rows of a matrix are samples."""
    axes = loss.tensor(name).axes
    return len(axes) == 2 and axes[0].name == BATCH


def _fixed(loss: Loss) -> tuple[str, str, str]:
    """Names for the identity, unit vectors and stacked unit vectors that the loss does not use."""
    return (
        loss.unused_name("I", "Id"),
        loss.unused_name("e", "h", "unit"),
        loss.unused_name("E", "H", "onehot"),
    )


def _printer(kind: str, loss: Loss, tree: Mat, stacked: Mapping[str, str]) -> Printer:
    labels = [label for node in tree.walk() if node.op == "entry" for label in node.data[1]]
    small = all(character in SUBSCRIPTS for label in labels for character in label)
    return Printer(signs(kind, small), stacked, *_fixed(loss))


def _convention(
    loss: Loss, left: Mat, tree: Mat, stacked: Mapping[str, str], printer: Printer
) -> str:
    said = [*_layout(loss, left, tree, stacked, printer), *_signs(tree, printer)]
    if not said:
        return "Every quantity is a number."
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "."


def _layout(
    loss: Loss, left: Mat, tree: Mat, stacked: Mapping[str, str], printer: Printer
) -> Iterator[str]:
    nodes = [*left.walk(), *tree.walk()]
    if any(node.shape != SCALAR for node in nodes):
        yield "vectors are columns"
    for node in dict.fromkeys(node for node in nodes if node.op == "derivative"):
        of, wrt, _, square = node.data
        rank = len(loss.tensor(of).axes)
        name = printer.piece(node).text
        if rank == 0 and len(wrt) == 1 and node.shape != SCALAR:
            yield f"{name} has the shape of {printer.name(wrt[0])}"
        elif square or (rank == 1 and node.shape[1]):
            order = "d2" if square else "d"
            of, first = printer.name(of), printer.name(wrt[0])
            last = printer.name(wrt[-1])
            entry = f"{of}/(d{first}[i] d{last}[j])" if square else f"{of}[i]/d{first}[j]"
            yield f"{name} has {order}{entry} in row i and column j"
    used = {node.data for node in nodes if node.op == "name"}
    used |= {n for node in nodes if node.op == "derivative" for n in (node.data[0], *node.data[1])}
    samples = (name for name in (*loss.declared, *loss.defined) if name in used)
    rows = {name: stacked.get(name, name) for name in samples if _is_stacked(loss, name)}
    if rows:
        yield f"row n of {', '.join(rows.values())} is {', '.join(rows)} of sample n"


def _signs(tree: Mat, printer: Printer) -> Iterator[str]:
    """What the signs in a tree mean."""
    nodes = list(dict.fromkeys(tree.walk()))
    ops = {node.op for node in nodes if node.shape != SCALAR}
    if "ones" in ops:
        yield "a bold 1 (in plain text, 1 as a vector) is the vector of ones"
    if "identity" in ops:
        yield f"{printer.identity} is the identity"
    for node in (node for node in nodes if node.op == "unit"):
        yield f"{printer.piece(node).text} is 1 at {node.data} and 0 elsewhere"
    for node in (node for node in nodes if node.op == "onehot"):
        yield f"row n of {printer.piece(node).text} is 1 at {node.data}[n] and 0 elsewhere"
    if ops & {"had", "pow"}:
        yield "circled products, quotients and powers are taken entry by entry"
    if ops & {"call", "step", "choice"}:
        yield "functions, comparisons and choices act on each entry"
    if "reduce" in ops:
        yield "rowmax, rowmin and rowprod are taken in each row"
    if "diagonal" in ops:
        yield "diagonal is the vector of a matrix's diagonal"
    if "weights" in ops:
        yield "the weights of a largest or smallest entry are 1 where it is attained, else 0"
