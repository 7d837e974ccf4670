"""What a document says besides the derivation: the second derivative, the stable form, ...

Each part is a heading with chains of equations, or with sentences.  A part that a derivation
does not have (the second derivative of a Jacobian, say) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from codegen.documents.document import document, section
from codegen.documents.model import Document, Dress, Part, Statement, Wanted
from derive.derivation import Derivation
from derive.errors import PminusyError
from derive.letters import names_of

if TYPE_CHECKING:
    from derive.properties import Property


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
    loss = derivation.loss
    first = len(derivation.wrt) == 1 and derivation.shown is None
    if not first or derivation.of != loss.value.entry:
        return
    for name, make in MAKERS.items():
        part = make(derivation, dress) if name in wanted.parts else None
        if part is not None:
            yield part
    if wanted.example is not None:
        from codegen.documents.example import worked

        yield worked(derivation, dress, wanted.example)
