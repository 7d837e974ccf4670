"""What a document says besides the derivation: the second derivative, the stable form, ...

Each part is a heading with chains of equations, or with sentences.  A part that a derivation
does not have (the second derivative of a Jacobian, say) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from codegen.documents.document import document, section, with_others
from codegen.documents.model import PARTS, Document, Dress, Part, Section, Statement, Wanted
from codegen.documents.words import signs
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.letters import names_of
from derive.printing import language

if TYPE_CHECKING:
    from derive.matrix import MatrixForm
    from derive.properties import Property

OF_EACH = ("matrix", "second")  # the others speak of the loss, or are said of its first gradient
NO_MATRIX = "There is none: too long, or with indices that no product of matrices can have."


def matrix(derivation: Derivation, dress: Dress) -> Part | None:
    """The result in matrix notation; of a gradient, also that of the mean over a batch."""
    medium = dress.medium
    forms, said = matrix_forms(derivation, medium, lambda name: dress.inline(dress.name(name)))
    rows = tuple(Section("", form.left[medium], form.right[medium], ()) for form in forms)
    return Part("Matrix form", rows, said=said if forms else NO_MATRIX)


def matrix_forms(
    derivation: Derivation, medium: str, show: Callable[[str], str]
) -> tuple[list[MatrixForm], str]:
    """The forms of a derivation and of the mean over a batch, and the layout of both."""
    from derive.batch import names_batch
    from derive.matrix import matrix_form
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
    sentences = [form.typeset if medium == "latex" else form.convention for form in forms]
    clauses = [clause for said in sentences for clause in said.rstrip(".").split("; ")]
    return forms, f"{'; '.join(dict.fromkeys(clauses))}{mean}."


def second(derivation: Derivation, dress: Dress) -> Part | None:
    """The Hessian, as one equation."""
    from derive.forwards import hessian

    found = hessian(derivation.loss, derivation.wrt[0].tensor.name)
    return Part("Second derivative", (document(found, dress, "brief").main,))


def stable(derivation: Derivation, dress: Dress) -> Part | None:
    """How each definition is kept from overflowing and from losing digits."""
    from codegen.explain import stabilizations

    sections = tuple(section(each, dress, "normal") for each in stabilizations(derivation.loss))
    return Part("Stable form", sections) if sections else None


def facts(derivation: Derivation, dress: Dress) -> Part | None:
    """What holds of the loss and of this gradient: bounds, convexity, sums, limits."""
    from derive.properties import bounds, properties

    loss = derivation.loss
    found = [*bounds(loss), *properties(loss, derivation.wrt[0].tensor.name)]
    statements = tuple(_statement(each, dress) for each in found if each.status != "unknown")
    return Part("Properties", statements=statements) if statements else None


def _statement(found: Property, dress: Dress) -> Statement:
    loss, names = found.loss, names_of(found.loss, *found.steps)
    used = loss.declared.keys() | loss.defined.keys()
    return Statement(
        name=found.name,
        status=found.status,
        sentence=signs(found.statement, used),
        given=signs(" and ".join(found.hypotheses), used),
        steps=tuple(dress.show(step, loss, names) for step in found.steps),
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


def example(derivation: Derivation, dress: Dress, wanted: Wanted) -> Part | None:
    """Numbers in every formula: those given, else usual ones."""
    from codegen.documents.example import worked, worked_usual
    from derive.matrix import matrix_form

    form = matrix_form(derivation) if "matrix" in wanted.parts else None
    if wanted.example is not None:
        return worked(derivation, dress, wanted.example, form)
    return worked_usual(derivation, dress, form)


MAKERS: dict[str, Callable[[Derivation, Dress], Part | None]] = {
    "matrix": matrix,
    "second": second,
    "stable": stable,
    "properties": facts,
}


def whole(derivation: Derivation, dress: Dress, detail: str, wanted: Wanted) -> Document:
    """The document of a derivation with these parts."""
    laid_out = document(derivation, dress, detail)
    laid_out = replace(laid_out, parts=tuple(parts(derivation, dress, wanted)))
    if not wanted.others:
        return laid_out
    laid_out = with_others(laid_out, derivation, wanted.others, dress, detail)
    own = Wanted(tuple(part for part in wanted.parts if part in OF_EACH))
    others = zip(laid_out.others, wanted.others, strict=True)
    more = (replace(text, parts=tuple(parts(each, dress, own))) for text, each in others)
    return replace(laid_out, others=tuple(more))


def parts(derivation: Derivation, dress: Dress, wanted: Wanted) -> Iterator[Part]:
    """The parts that are wanted and that this derivation has, in their order."""
    unknown = [name for name in wanted.parts if name not in PARTS]
    if unknown:
        raise PminusyError(f"no part '{unknown[0]}'; there are {', '.join(PARTS)}")
    first = of_loss(derivation)
    for name, make in MAKERS.items():
        asked = name in wanted.parts and (first or name == "matrix")
        part = make(derivation, dress) if asked else None
        if part is not None:
            yield part
    if not first:
        return
    if wanted.example is not None or "example" in wanted.parts:
        part = example(derivation, dress, wanted)
        if part is not None:
            yield part
    if wanted.pictures:
        placed = tuple((wanted.picture_at.format(one.name), one) for one in wanted.pictures)
        yield Part("Pictures", pictures=placed)


def of_loss(derivation: Derivation) -> bool:
    """Whether it is the gradient of the loss itself, by one name."""
    first = len(derivation.wrt) == 1 and derivation.shown is None
    return first and derivation.of == derivation.loss.value.entry
