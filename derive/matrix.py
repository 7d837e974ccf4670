"""The result of a derivation in matrix notation, with the layout it is written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

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
PLAIN_ONES = "a bold 1 (in plain text, 1 as a vector)"
NUMBERS = "Every quantity is a number."
LARGEST = 120


@dataclass(frozen=True)
class MatrixForm:
    """`left = right` in each of STYLES, and one sentence on the layout.

    `said` is that sentence in each of them; formulas in LaTeX are between dollar signs.
    `tree` is the right side as data, `stacked` the names of samples as rows.
    """

    left: Mapping[str, str]
    right: Mapping[str, str]
    said: Mapping[str, str]
    tree: Mat
    stacked: Mapping[str, str]

    @property
    def convention(self) -> str:
        """The sentence in plain text."""
        return self.said["text"]


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
        {
            kind: _convention(loss, left, tree, stacked, _Words(printer, kind))
            for kind, printer in printers.items()
        },
        tree,
        stacked,
    )


def with_values(form: MatrixForm, loss: Loss, kind: str, value: Callable[[Mat], str | None]) -> str:
    """The right side in one of STYLES, with texts in the place of the leaves that have a value."""
    printer = _printer(kind, loss, form.tree, form.stacked)
    return replace(printer, value=value).piece(form.tree).text


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
    """A capital letter for each name whose rows are samples; where it is taken by something else,
    the name with `_all`, so that it is not mistaken for one sample's."""
    taken = {*loss.declared, *loss.defined, *(axis.name for axis in loss.axes)}
    taken |= {*_fixed(loss)}
    found: dict[str, str] = {}
    for name in (*loss.declared, *loss.defined):
        capital = name[:1].upper() + name[1:]
        if not _is_stacked(loss, name) or capital == name:
            continue
        known = name not in GREEK or capital in GREEK
        free = known and capital not in taken
        found[name] = capital if free else loss.unused_name(f"{name}_all")
        taken.add(found[name])
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


@dataclass(frozen=True)
class _Words:
    """Writes what a sentence says of matrices, in one of STYLES."""

    printer: Printer
    kind: str

    def formula(self, text: str) -> str:
        return f"${text}$" if self.kind == "latex" else text

    def shown(self, node: Mat) -> str:
        return self.formula(self.printer.piece(node).text)

    def name(self, name: str) -> str:
        return self.formula(self.printer.name(name))

    def plain(self, name: str) -> str:
        """A name that stands for one sample, or for an index."""
        return self.formula(self.printer.signs.style.name(name))

    def entry(self, of: str, first: str, last: str) -> str:
        """One entry of a derivative; `last` is empty where it is taken once."""
        of, first = map(self.printer.name, (of, first))
        last = self.printer.name(last) if last else ""
        if self.kind == "latex" and last:
            return self.formula(rf"\partial^2 {of}/\partial {first}_i\,\partial {last}_j")
        if self.kind == "latex":
            return self.formula(rf"\partial {of}_i/\partial {first}_j")
        if self.kind == "unicode":
            return f"∂²{of}/∂{first}ᵢ∂{last}ⱼ" if last else f"∂{of}ᵢ/∂{first}ⱼ"
        return f"d2{of}/(d{first}[i] d{last}[j])" if last else f"d{of}[i]/d{first}[j]"


def _convention(loss: Loss, left: Mat, tree: Mat, stacked: Mapping[str, str], words: _Words) -> str:
    said = [*_layout(loss, left, tree, stacked, words), *_signs(loss, tree, words)]
    if not said:
        return NUMBERS
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "."


def _layout(
    loss: Loss, left: Mat, tree: Mat, stacked: Mapping[str, str], words: _Words
) -> Iterator[str]:
    nodes = [*left.walk(), *tree.walk()]
    if any(node.shape != SCALAR for node in nodes):
        yield "vectors are columns"
    for node in dict.fromkeys(node for node in nodes if node.op == "derivative"):
        of, wrt, _, square = node.data
        rank = len(loss.tensor(of).axes)
        if rank == 0 and len(wrt) == 1 and node.shape != SCALAR:
            yield f"{words.shown(node)} has the shape of {words.name(wrt[0])}"
        elif square or (rank == 1 and node.shape[1]):
            entry = words.entry(of, wrt[0], wrt[-1] if square else "")
            row, column = words.formula("i"), words.formula("j")
            yield f"{words.shown(node)} has {entry} in row {row} and column {column}"
    used = {node.data for node in nodes if node.op == "name"}
    used |= {n for node in nodes if node.op == "derivative" for n in (node.data[0], *node.data[1])}
    yield from _samples(loss, [n for n in (*loss.declared, *loss.defined) if n in used], words)


def _samples(loss: Loss, names: list[str], words: _Words) -> Iterator[str]:
    """Where in names with a leading axis of samples the values of one sample are."""
    stacked = [name for name in names if _is_stacked(loss, name)]
    renamed = [name for name in stacked if words.printer.names.get(name, name) != name]
    vectors = [n for n in names if [axis.name for axis in loss.tensor(n).axes] == [BATCH]]
    here = _sample(loss, words)
    whole, alike, flat = (
        ", ".join(map(words.name, some))
        for some in (renamed, [name for name in stacked if name not in renamed], vectors)
    )
    if renamed:
        yield f"row {here} of {whole} is {', '.join(map(words.plain, renamed))} of sample {here}"
    if alike:
        yield f"row {here} of {alike} is that of sample {here}"
    if vectors:
        yield f"entry {here} of {flat} is that of sample {here}"


def _sample(loss: Loss, words: _Words) -> str:
    """The index of a sample, a letter that the loss does not use."""
    return words.formula(loss.unused_name("n", "i", "k"))


def _signs(loss: Loss, tree: Mat, words: _Words) -> Iterator[str]:
    """What the signs in a tree mean."""
    nodes = list(dict.fromkeys(tree.walk()))
    ops = {node.op for node in nodes if node.shape != SCALAR}
    if "ones" in ops:
        plain = words.kind == "text"
        ones = PLAIN_ONES if plain else words.formula(words.printer.signs.ones)
        yield f"{ones} is the vector of ones"
    if "identity" in ops:
        yield f"{words.plain(words.printer.identity)} is the identity"
    for node in (node for node in nodes if node.op == "unit"):
        yield f"{words.shown(node)} is 1 at {words.plain(node.data)} and 0 elsewhere"
    for node in (node for node in nodes if node.op == "onehot"):
        row = _sample(loss, words)
        label = words.printer.signs.style.entry(node.data, [row.strip("$")])
        yield f"row {row} of {words.shown(node)} is 1 at {words.formula(label)} and 0 elsewhere"
    if any(node.op == "step" for node in nodes):
        one = "1[c]" if words.kind == "text" else words.printer.signs.style.indicator("c").text
        yield f"{words.formula(one)} is 1 where {words.formula('c')} holds and 0 elsewhere"
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
