"""What a document says besides the derivation: the second derivative, the stable form, ...

Each part is a heading with chains of equations, or with sentences.  A part that a derivation
does not have (the second derivative of a Jacobian, say) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from codegen.beside import beside
from codegen.documents.document import document, section, with_others
from codegen.documents.model import (
    PAGE_PARTS,
    PARTS,
    Document,
    Dress,
    Part,
    Section,
    Statement,
    Wanted,
)
from codegen.documents.notation import notation
from codegen.documents.words import signs
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.functions import signum, step
from derive.index import Choice, Share, nodes, tensors
from derive.letters import names_of
from derive.loss import Loss
from derive.printing import language

if TYPE_CHECKING:
    from derive.matrix import MatrixForm
    from derive.properties import Property

PROPERTIES = "Properties"
LATE = {"second", "properties"}  # parts that rest on second derivatives
OFF_KINKS_ONLY = "This holds away from where a condition in the gradient changes over."
LONGEST = 400  # characters of a formula that is shown for what does not hold
NO_MATRIX = "There is none: too long, or with indices that no product of matrices can have."


def matrix(derivation: Derivation, dress: Dress) -> Part | None:
    """The result in matrix notation; of a gradient, also that of the mean over a batch."""
    from derive.matrix_nodes import SCALAR

    medium = dress.medium
    forms, said = matrix_forms(derivation, medium, lambda name: dress.inline(dress.name(name)))
    if len(forms) > 1 and forms[0].tree.shape == SCALAR:
        forms = forms[1:]  # The first is the result as it stands above.
    rows = tuple(Section("", form.left[medium], form.right[medium], ()) for form in forms)
    return Part("Matrix form", rows, said=said if forms else NO_MATRIX)


def matrix_forms(
    derivation: Derivation, medium: str, show: Callable[[str], str]
) -> tuple[list[MatrixForm], str]:
    """The forms of a derivation and of the mean over a batch, and the layout of both."""
    from derive.batch import names_batch
    from derive.matrix import NUMBERS, matrix_form
    from derive.mean import gradient_of_mean

    loss = derivation.loss
    forms = [form] if (form := matrix_form(derivation)) else []
    mean = ""
    if forms and of_loss(derivation) and not names_batch(loss):
        slope = gradient_of_mean(derivation)
        form = matrix_form(slope)
        forms += [form] if form else []
        of, mean_of = (show(each.value.name) for each in (loss, slope.loss))
        weighted = "" if loss.weight is None else f", weighted by {language(loss.weight, loss)}"
        mean = f"; {mean_of} is the mean of {of} over a batch of {show('N')}{weighted}"
    sentences = [form.said[medium] for form in forms]
    if len(sentences) > 1:  # Numbers become vectors over a batch.
        sentences = [said for said in sentences if said != NUMBERS]
    clauses = [clause for said in sentences for clause in said.rstrip(".").split("; ")]
    return forms, f"{'; '.join(dict.fromkeys(clauses))}{mean}."


def second(derivation: Derivation, dress: Dress) -> Part | None:
    """The Hessian, as one equation."""
    from derive.forwards import hessian

    found = hessian(derivation.loss, derivation.wrt[0].tensor.name)
    said = OFF_KINKS_ONLY if _has_kinks(derivation) or _has_kinks(found) else ""
    return Part("Second derivative", (section(found, dress, "brief"),), said=said)


def _has_kinks(derivation: Derivation) -> bool:
    """Whether a derivative chooses between values as the variable moves."""
    loss, name = derivation.loss, derivation.wrt[0].tensor.name
    choices = (n for n in nodes(derivation.result) if isinstance(n, Choice | Share | step | signum))
    decided = (n.args[0] for n in choices)
    return any(name in loss.below(t.name) for what in decided for t in tensors(what))


def stable(every: Sequence[Derivation], dress: Dress) -> Part | None:
    """How each definition is kept from overflowing and from losing digits."""
    from codegen.explain import stabilizations

    sections = tuple(section(each, dress, "normal") for each in stabilizations(every[0].loss))
    return Part("Stable form", sections) if sections else None


def slope_facts(every: Sequence[Derivation], dress: Dress) -> tuple[Statement, ...]:
    """What holds of the values of the loss and of its gradients: bounds, sums, limits."""
    from derive.properties import bounds, slope_properties

    found = [*bounds(every[0].loss)]
    for each in every:
        loss, name = each.loss, each.wrt[0].tensor.name
        found += [fact for fact in slope_properties(loss, name) if _tells(fact, loss, name)]
    return _statements(found, dress)


def bend_facts(every: Sequence[Derivation], dress: Dress) -> tuple[Statement, ...]:
    """What holds of the second derivatives: convexity, and how fast the gradients change."""
    from derive.properties import bend_properties

    names = [each.wrt[0].tensor.name for each in every]
    found = [fact for name in names for fact in bend_properties(every[0].loss, name)]
    return _statements(found, dress)


def _statements(found: Sequence[Property], dress: Dress) -> tuple[Statement, ...]:
    return tuple(_statement(each, dress) for each in found if each.status != "unknown")


def _tells(found: Property, loss: Loss, name: str) -> bool:
    """Whether a reader may have expected it: scores of classes only may be shifted for nothing."""
    if found.name != "gradient sums to zero" or found.status == "proved":
        return True
    targets = [d for d in loss.declarations if d.role == "target"]
    classes = {d.tensor.label for d in targets}
    classes |= {d.tensor.axes[-1] for d in targets if d.domain.kind == "simplex"}
    return loss.tensor(name).axes[-1] in classes


def _statement(found: Property, dress: Dress) -> Statement:
    loss, names = found.loss, names_of(found.loss, *found.steps)
    used = loss.declared.keys() | loss.defined.keys()
    steps = tuple(dress.show(step, loss, names) for step in found.steps)
    if found.status == "refuted" and max(map(len, steps), default=0) > LONGEST:
        steps = ()  # The counterexample tells more.
    return Statement(
        name=found.name,
        status=found.status,
        sentence=signs(found.statement, used),
        given=signs(" and ".join(found.hypotheses), used),
        steps=steps,
        relation=dress.at_most if found.relation == "<=" else found.relation,
        counterexample=signs(place(found), used),
    )


def place(found: Property) -> str:
    """Where a property fails, and what stands there instead; "" for one that holds."""
    from derive.point import show
    from derive.verdict import decimal

    example = found.counterexample
    if example is None:
        return ""
    where = [f"{name} = {size}" for name, size in example.sizes.items()]
    where += [f"{name} = {show(value)}" for name, value in example.values.items()]
    return f"{', '.join(where)}: it is {decimal(example.true)}"


def example(every: Sequence[Derivation], dress: Dress, wanted: Wanted) -> Part | None:
    """Numbers in every formula: those given, else usual ones."""
    from codegen.documents.example import usual, worked
    from derive.matrix import matrix_form

    forms = [matrix_form(each) if "matrix" in wanted.parts else None for each in every]
    point = wanted.example if wanted.example is not None else usual(every[0])
    return None if point is None else worked(every, dress, point, forms)


@dataclass(frozen=True)
class Bends:
    """What rests on second derivatives: the part of each derivation, and what it shows."""

    seconds: tuple[Part | None, ...]
    facts: tuple[Statement, ...] = ()


def whole(derivation: Derivation, dress: Dress, detail: str, wanted: Wanted) -> Document:
    """The document of a derivation with these parts."""
    return begun(derivation, dress, detail, wanted)[1]()


def begun(
    derivation: Derivation, dress: Dress, detail: str, wanted: Wanted
) -> tuple[Document, Callable[[], Document]]:
    """The document but for what rests on second derivatives, and what waits for the whole.

    With two `wanted.processes` the second derivatives are derived in the meantime.
    """
    if unknown := [name for name in wanted.parts if name not in PARTS]:
        raise PminusyError(f"no part '{unknown[0]}'; there are {', '.join(PARTS)}")
    every = (derivation, *wanted.others)
    processes = wanted.processes if LATE & {*wanted.parts} else 1
    finish = beside(partial(_bends, every, dress, wanted), processes)
    laid_out = document(derivation, dress, detail)
    if wanted.others:
        laid_out = with_others(laid_out, derivation, wanted.others, dress, detail)
    matrices = [_matrix_part(each, dress, wanted) for each in every]
    shared = tuple(_shared_parts(every, dress, wanted))
    put_together = partial(_put_together, laid_out, matrices, shared, dress, _names(derivation))
    return put_together(Bends((None,) * len(every))), lambda: put_together(finish())


def _names(derivation: Derivation) -> frozenset[str]:
    return frozenset((*derivation.loss.declared, *derivation.loss.defined))


def _put_together(
    laid_out: Document,
    matrices: Sequence[Part | None],
    shared: Sequence[Part],
    dress: Dress,
    names: frozenset[str],
    bends: Bends,
) -> Document:
    texts = [
        replace(text, parts=tuple(part for part in own if part is not None))
        for text, *own in zip((laid_out, *laid_out.others), matrices, bends.seconds, strict=True)
    ]
    # What is said of the loss and of all its gradients comes after the last of them.
    texts[-1] = replace(texts[-1], parts=(*texts[-1].parts, *_with_facts(shared, bends.facts)))
    laid_out = replace(texts[0], others=tuple(texts[1:]))
    said = notation(laid_out, names) if dress.medium == "latex" else ""
    return replace(laid_out, notation=said)


def _with_facts(shared: Sequence[Part], more: tuple[Statement, ...]) -> Iterator[Part]:
    """The shared parts with more statements among the properties; without any, no such part."""
    for part in shared:
        if part.heading == PROPERTIES:
            part = replace(part, statements=(*part.statements, *more))
        if part.heading != PROPERTIES or part.statements:
            yield part


def _bends(every: Sequence[Derivation], dress: Dress, wanted: Wanted) -> Bends:
    asked = "second" in wanted.parts
    seconds = tuple(second(each, dress) if asked and of_loss(each) else None for each in every)
    slopes = _slopes(every)
    told = "properties" in wanted.parts and slopes
    return Bends(seconds, bend_facts(slopes, dress) if told else ())


def _matrix_part(derivation: Derivation, dress: Dress, wanted: Wanted) -> Part | None:
    part = matrix(derivation, dress) if "matrix" in wanted.parts else None
    # Where all is asked for, what there is not need not be said.
    quiet = part is not None and part.said == NO_MATRIX and set(PAGE_PARTS) <= {*wanted.parts}
    return None if quiet else part


def _slopes(every: Sequence[Derivation]) -> list[Derivation]:
    """The gradients of the first one's loss; none if that is the derivative of something else."""
    if not of_loss(every[0]):
        return []
    return [each for each in every if of_loss(each) and each.loss == every[0].loss]


def _shared_parts(every: Sequence[Derivation], dress: Dress, wanted: Wanted) -> Iterator[Part]:
    """The parts on the loss, and on all of these gradients together."""
    slopes = _slopes(every)
    if not slopes:
        return
    if "stable" in wanted.parts and (part := stable(slopes, dress)):
        yield part
    if "properties" in wanted.parts:
        yield Part(PROPERTIES, statements=slope_facts(slopes, dress))
    if wanted.example is not None or "example" in wanted.parts:
        part = example(slopes, dress, wanted)
        if part is not None:
            yield part
    if wanted.pictures:
        placed = tuple((wanted.picture_at.format(one.name), one) for one in wanted.pictures)
        yield Part("Pictures", pictures=placed)


def of_loss(derivation: Derivation) -> bool:
    """Whether it is the gradient of the loss itself, by one name."""
    first = len(derivation.wrt) == 1 and derivation.shown is None
    return first and derivation.of == derivation.loss.value.entry
