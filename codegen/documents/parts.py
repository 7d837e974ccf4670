"""What a document says besides the derivation: the second derivative, the stable form, ...

Each part is a heading with chains of equations, or with sentences.  A part that a derivation
does not have (the second derivative of a Jacobian, say) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from codegen.documents.document import document, section
from codegen.documents.model import Document, Dress, Part, Section, Statement, Wanted
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.letters import names_of

if TYPE_CHECKING:
    from derive.properties import Property

NO_MATRIX = "There is none: too long, or with indices that no product of matrices can have."


def matrix(derivation: Derivation, dress: Dress) -> Part | None:
    """The result in matrix notation; of a gradient, also that of the mean over a batch."""
    from derive.batch import batched, names_batch
    from derive.engine import gradient
    from derive.matrix import matrix_form

    loss = derivation.loss
    forms = [form] if (form := matrix_form(derivation)) else []
    clauses = []
    if forms and _of_loss(derivation) and not names_batch(loss):
        whole_batch = batched(loss, "mean")
        form = matrix_form(gradient(whole_batch, derivation.wrt[0].tensor.name))
        forms += [form] if form else []
        clauses = [f"{whole_batch.value.name} is the mean of {loss.value.name} over a batch of N"]
    clauses = [c for form in forms for c in form.convention.rstrip(".").split("; ")] + clauses
    medium = dress.medium
    rows = tuple(Section("", form.left[medium], form.right[medium], ()) for form in forms)
    said = "; ".join(dict.fromkeys(clauses)) + "." if forms else NO_MATRIX
    return Part("Matrix form", rows, said=said)


def second(derivation: Derivation, dress: Dress) -> Part | None:
    """The Hessian, as one equation."""
    from derive.engine import hessian

    found = hessian(derivation.loss, derivation.wrt[0].tensor.name)
    return Part("Second derivative", (document(found, dress, "brief").main,))


def stable(derivation: Derivation, dress: Dress) -> Part | None:
    """How each definition is kept from overflowing and from losing digits."""
    from codegen.explain import stabilizations

    sections = tuple(section(each, dress, "normal") for each in stabilizations(derivation.loss))
    return Part("Stable form", sections) if sections else None


def facts(derivation: Derivation, dress: Dress) -> Part | None:
    """What holds of the loss and of this gradient: bounds, convexity, sums, limits."""
    from derive.properties import properties, value_bounds

    loss = derivation.loss
    found = [value_bounds(loss), *properties(loss, derivation.wrt[0].tensor.name)]
    statements = tuple(_statement(each, dress) for each in found if each.status != "unknown")
    return Part("Properties", statements=statements) if statements else None


def _statement(found: Property, dress: Dress) -> Statement:
    names = names_of(found.loss, *found.steps)
    return Statement(
        name=found.name,
        status=found.status,
        sentence=found.statement,
        given=" and ".join(found.hypotheses),
        steps=tuple(dress.show(step, found.loss, names) for step in found.steps),
        relation=dress.at_most if found.relation == "<=" else found.relation,
        counterexample=str(found.counterexample) if found.counterexample else "",
    )


MAKERS: dict[str, Callable[[Derivation, Dress], Part | None]] = {
    "matrix": matrix,
    "second": second,
    "stable": stable,
    "properties": facts,
}


def whole(derivation: Derivation, dress: Dress, detail: str, wanted: Wanted) -> Document:
    """The document of a derivation with these parts."""
    laid_out = document(derivation, dress, detail)
    return replace(laid_out, parts=tuple(parts(derivation, dress, wanted)))


def parts(derivation: Derivation, dress: Dress, wanted: Wanted) -> Iterator[Part]:
    """The parts that are wanted and that this derivation has, in their order."""
    unknown = [name for name in wanted.parts if name not in MAKERS]
    if unknown:
        raise PminusyError(f"no part '{unknown[0]}'; there are {', '.join(MAKERS)}")
    first = _of_loss(derivation)
    for name, make in MAKERS.items():
        asked = name in wanted.parts and (first or name == "matrix")
        part = make(derivation, dress) if asked else None
        if part is not None:
            yield part
    if not first:
        return
    if wanted.example is not None:
        from codegen.documents.example import worked

        yield worked(derivation, dress, wanted.example)


def _of_loss(derivation: Derivation) -> bool:
    """Whether it is the gradient of the loss itself, by one name."""
    first = len(derivation.wrt) == 1 and derivation.shown is None
    return first and derivation.of == derivation.loss.value.entry
