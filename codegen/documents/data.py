"""A derivation as JSON, for other programs.  The schema, derivation.schema.json, is stable:

    loss        name of the loss
    title       what is derived, in words
    of, wrt     what is differentiated; a list of what it is differentiated by ("a[j]")
    start       the expression that the first step rewrites
    result      {"language": "p[j] - y[j]", "latex": "p_{j} - y_{j}"}
    hypotheses  list of domains that the result rests on ("y in simplex")
    lemmas      list of derivations used on the way, each with these same keys
    steps       list of {"rule", "reason", "before", "after", "hypotheses", "check", "substeps"}
    definitions list of {"name": "p[k]", "value", "coined"}; a coined one is not in the loss's text
    parts       what else was asked for, by name: matrix, second, stable, properties, example

Expressions are texts in the language of .loss files, but for what is called latex or unicode.
Derivatives that are still to be taken have no form in the language and read dL/dp[i] and
d/da[j] (...).  Keys are only ever added.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from codegen.documents.model import NOTHING, Wanted
from codegen.documents.parts import matrix_forms, of_loss, place
from derive.derivation import Derivation, Step
from derive.letters import names_of
from derive.loss import Definition, Loss
from derive.point import Point, nested
from derive.printing import language, latex

if TYPE_CHECKING:
    from derive.properties import Property


def to_json(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> str:
    """The derivation as JSON text, indented, with a fixed order of keys; every step is there."""
    defined = [_definition(each, derivation.loss) for each in derivation.loss.definitions]
    whole = {**data(derivation), "definitions": defined, "parts": _parts(derivation, wanted)}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def data(derivation: Derivation) -> dict[str, Any]:
    """The derivation as plain data, in the schema above, without its parts."""
    loss, names = derivation.loss, derivation.names
    entries = names if derivation.shown is None else None  # in a product their indices are bound
    return {
        "loss": loss.name,
        "title": derivation.title,
        "of": language(derivation.of, loss, entries),
        "wrt": [language(entry, loss, entries) for entry in derivation.wrt],
        "start": language(derivation.start, loss, names),
        "result": {
            "language": derivation.formula,
            "latex": latex(derivation.result, loss, names),
        },
        "hypotheses": list(derivation.hypotheses),
        "lemmas": [data(lemma) for lemma in derivation.lemmas],
        "steps": [_step(step, derivation) for step in derivation.steps],
    }


def _definition(definition: Definition, loss: Loss) -> dict[str, Any]:
    names = names_of(loss, definition.entry, definition.body)
    name, value = (language(e, loss, names) for e in (definition.entry, definition.body))
    return {"name": name, "value": value, "coined": definition.coined}


def property_data(found: Property) -> dict[str, Any]:
    """A property of a loss, or of its gradient, as plain data."""
    return {
        "property": found.name,
        "status": found.status,
        "statement": found.statement,
        "hypotheses": list(found.hypotheses),
        "relation": found.relation,
        "steps": [language(step, found.loss) for step in found.steps],
        "counterexample": place(found) or None,
    }


def _step(step: Step, derivation: Derivation) -> dict[str, Any]:
    loss, names = derivation.loss, derivation.names
    return {
        "rule": step.name,
        "reason": step.reason,
        "before": language(step.before, loss, names),
        "after": language(step.after, loss, names),
        "hypotheses": list(step.hypotheses),
        "check": step.check,
        "substeps": [_step(substep, derivation) for substep in step.substeps],
    }


def _parts(derivation: Derivation, wanted: Wanted) -> dict[str, Any]:
    """The parts that are wanted and that this derivation has."""
    found: dict[str, Any] = {}
    if "matrix" in wanted.parts:
        found["matrix"] = _matrix(derivation)
    if not of_loss(derivation):
        return found
    loss, wrt = derivation.loss, derivation.wrt[0].tensor.name
    if "second" in wanted.parts:
        from derive.forwards import hessian

        found["second"] = data(hessian(loss, wrt))
    if "stable" in wanted.parts:
        from codegen.explain import stabilizations

        found["stable"] = [data(each) for each in stabilizations(loss)]
    if "properties" in wanted.parts:
        from derive.properties import bounds, properties

        every = (*bounds(loss), *properties(loss, wrt))
        found["properties"] = [property_data(each) for each in every]
    if "example" in wanted.parts or wanted.example is not None:
        found["example"] = _example(derivation, wanted.example)
    return found


def _matrix(derivation: Derivation) -> dict[str, Any] | None:
    forms, convention = matrix_forms(derivation, "text", str)
    if not forms:
        return None
    rows = [{"left": dict(form.left), "right": dict(form.right)} for form in forms]
    return {"rows": rows, "convention": convention}


def _example(derivation: Derivation, point: Point | None) -> dict[str, Any] | None:
    """The numbers of a worked example: what is given exactly, what follows in decimals."""
    from codegen.documents.example import DIGITS, usual
    from derive.given import Decimals

    loss, wrt = derivation.loss, derivation.wrt[0].tensor.name
    point = usual(derivation) if point is None else point
    if point is None:
        return None
    decimals = Decimals(loss, point, DIGITS)
    return {
        "given": {d.name: _texts(point, d.name) for d in loss.declarations},
        "decimals": DIGITS,
        "values": {d.name: decimals.table(d.name) for d in loss.definitions},
        "gradient": decimals.table(loss.value.name, wrt),
    }


def _texts(point: Point, name: str) -> Any:
    return nested({place: str(value) for place, value in point.values[name].items()})
