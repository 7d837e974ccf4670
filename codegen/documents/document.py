"""A derivation laid out as a document: what every printed form of it says, in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sympy import Basic, Integer

from codegen.documents.model import NESTED, Document, Dress, Line, Section, Variable
from codegen.documents.words import signs
from derive.batch import batched
from derive.derivation import Derivation, Step, derivation_key, distinct_lemmas
from derive.index import Condition, Diff, Entry, total
from derive.letters import names_of
from derive.loss import Declaration, Domain, Loss
from derive.printing import language
from derive.stages import BY_CASES, EXACT, OFF_KINKS

# How the steps of a derivation are checked; what comes first in `Step.check` says which it was.
METHODS = {
    "exact normal form": "Exact normal form: both sides of a step, with every definition that it "
    "needs unfolded, are one and the same sum of products. That holds for all values, and for "
    "axes of any size.",
    OFF_KINKS: "Off the kinks: the same, away from the points where a choice or an absolute value "
    "changes over.",
    "ball arithmetic": "Ball arithmetic: rigorous bounds of both sides overlap at several points "
    "and sizes. That is evidence, not a proof for all values.",
    "unknown": "Not decided: neither way gave an answer within its limits.",
}


def document(
    derivation: Derivation, dress: Dress, detail: str = "normal", after: Sequence[Derivation] = ()
) -> Document:
    """Lay a derivation out; `detail` is brief (results), normal (steps), full (sub-steps in
    place of their step) or NESTED (sub-steps inside their step).

    Lemmas and definitions of the derivations that it stands `after` are not said again.
    """
    loss, known = derivation.loss, [*distinct_lemmas(after)]
    new = _new(derivation, after)
    number = len(known) + 1
    lemmas = [
        section(lemma, dress, detail, f"Lemma {place}") for place, lemma in enumerate(new, number)
    ]
    said = {row for each in after for row in _definitions(each.loss, dress)}
    return Document(
        name=loss.name,
        title=signs(loss.title.rstrip("."), {"pi", *loss.declared, *loss.defined}),
        source=loss.source.rstrip("."),
        variables=() if after else tuple(_variable(d, loss, dress) for d in loss.declarations),
        definitions=tuple(row for row in _definitions(loss, dress) if row not in said),
        named="" if after else _named(loss, dress),
        sections=(*lemmas, section(derivation, dress, detail)),
        hypotheses=tuple(_hypotheses(derivation, dress)),
        plain=_plain(derivation),
        verdict=_verdict(derivation.all_steps()),
        proof=tuple(_proof(derivation.all_steps())),
        before=len(known) + len(after),
    )


def with_others(
    first: Document, derivation: Derivation, others: Sequence[Derivation], dress: Dress, detail: str
) -> Document:
    """The document with further derivations of the loss; the verdict is on all of them."""
    steps = [*derivation.all_steps()]
    documents = []
    for place, other in enumerate(others):
        after = (derivation, *others[:place])
        documents.append(document(other, dress, detail, after))
        steps += [step for lemma in _new(other, after) for step in lemma.steps]
        steps += other.steps
    return replace(
        first, others=tuple(documents), verdict=_verdict(steps), proof=tuple(_proof(steps))
    )


def _new(derivation: Derivation, after: Sequence[Derivation]) -> list[Derivation]:
    """The lemmas that none of these, which come before it, has proved."""
    known = {derivation_key(each) for each in (*after, *distinct_lemmas(after))}
    return [lemma for lemma in distinct_lemmas([derivation]) if derivation_key(lemma) not in known]


def section(derivation: Derivation, dress: Dress, detail: str, kind: str = "") -> Section:
    """The heading and the rows of one derivation."""
    loss, names = derivation.loss, derivation.names
    left = dress.show(derivation.subject, loss, names)
    right = dress.show(derivation.result, loss, names)
    lines = () if detail == "brief" else tuple(_lines(derivation, dress, detail))
    heading = _heading(derivation, dress)
    heading = f"{kind}: {heading}" if kind else heading[:1].upper() + heading[1:]
    return Section(heading, left, right, lines)


def _heading(derivation: Derivation, dress: Dress) -> str:
    if len(derivation.wrt) != 1 or derivation.shown is not None:
        name = derivation.of.tensor.name
        words, _, last = derivation.title.rpartition(" of ")
        return f"{words} of {dress.inline(dress.name(name))}" if last == name else derivation.title
    entries = (derivation.of, *derivation.wrt)
    of, by = (dress.inline(dress.name(entry.tensor.name)) for entry in entries)
    plain, subject = Diff(derivation.of, *derivation.wrt), derivation.subject
    texts = {dress.show(e, derivation.loss, derivation.names) for e in (plain, subject)}
    return f"{'direct ' * (len(texts) - 1)}derivative of {of} with respect to {by}"


def _lines(derivation: Derivation, dress: Dress, detail: str) -> Iterator[Line]:
    full = detail == "full"

    def show(expr: Basic) -> str:
        return dress.show(expr, derivation.loss, derivation.names)

    left, start = show(derivation.subject), show(derivation.start)
    if start != left:
        yield Line(left, start)
        left = ""
    for number, step in enumerate(derivation.steps, 1):
        inside = [
            _line("", show(substep.after), substep, f"{number}.{part}", True)
            for part, substep in enumerate(step.substeps if full or detail == NESTED else (), 1)
        ]
        if full and inside:
            yield replace(inside[0], left=left)
            yield from inside[1:]
        else:
            line = _line(left, show(step.after), step, str(number), full)
            yield replace(line, inside=tuple(inside))
        left = ""


def _line(left: str, right: str, step: Step, number: str, full: bool) -> Line:
    """A row; what the normal form decides is said once, at the end, unless all is asked for."""
    brief = {EXACT: "", BY_CASES: "", OFF_KINKS: "off the kinks"}
    check = step.check if full else brief.get(step.check, _method(step.check))
    return Line(left, right, number, step.name, signs(step.reason.rstrip(".")), check)


def _definitions(loss: Loss, dress: Dress) -> Iterator[tuple[str, str]]:
    for definition in loss.definitions:
        names = names_of(loss, definition.entry, definition.body)
        yield (
            dress.show(definition.entry, loss, names),
            dress.show(definition.body, loss, names),
        )
    if loss.weight is not None:
        whole = batched(loss, "mean")
        names = names_of(whole, whole.value.entry, whole.value.body)
        shown = (dress.show(e, whole, names) for e in (whole.value.entry, whole.value.body))
        yield next(shown), next(shown)


def _named(loss: Loss, dress: Dress) -> str:
    """Which of the definitions the loss's text does not have."""
    names = [dress.inline(dress.name(d.name)) for d in loss.definitions if d.coined]
    return f"Named here, as it recurs; not in the loss's text: {', '.join(names)}." if names else ""


def _variable(declaration: Declaration, loss: Loss, dress: Dress) -> Variable:
    tensor = declaration.tensor
    base = dress.name(tensor.label.name) if tensor.label else ""
    if declaration.is_mark:
        base = dress.integers
    elif declaration.ignored is not None:
        opening, closing = dress.braces
        mark = dress.name(declaration.ignored.name)
        base = f"({base} {dress.union} {opening}{mark}{closing})"
    space = dress.space(base, [dress.name(axis.name) for axis in tensor.axes])
    facts = list(_facts(declaration, loss, dress))
    if declaration.default is not None:
        default = dress.show(declaration.default, loss, None)
        facts.append(f"{dress.name(tensor.name)} = {default}")
    place = f"{dress.name(tensor.name)} {dress.member} {space}"
    return Variable(place, declaration.role, tuple(facts))


def _facts(declaration: Declaration, loss: Loss, dress: Dress) -> Iterator[str]:
    """What the domain of a declared name says, as formulas."""
    entry = loss.free_entry(declaration.name)
    symbol = dress.show(entry, loss, None)
    kind, opening, closing = declaration.domain.kind, *dress.braces
    if kind == "simplex":
        yield dress.show(Condition(">=", entry, Integer(0)), loss, None)
        mass = total(entry.indices[-1], entry)
        yield dress.show(Condition("==", mass, Integer(1)), loss, None)
    elif kind in ("binary", "sign"):
        values = "0, 1" if kind == "binary" else "-1, 1"
        yield f"{symbol} {dress.member} {opening}{values}{closing}"
    elif kind == "unit":
        yield f"0 {dress.at_most} {symbol} {dress.at_most} 1"
    else:
        yield from _bounds(declaration.domain, entry, loss, dress)


def _bounds(domain: Domain, entry: Entry, loss: Loss, dress: Dress) -> Iterator[str]:
    lower, upper = domain.lower, domain.upper
    if lower is not None and upper is not None:
        low, symbol, high = (dress.show(expr, loss, None) for expr in (lower, entry, upper))
        below = dress.less if domain.lower_open else dress.at_most
        above = dress.less if domain.upper_open else dress.at_most
        yield f"{low} {below} {symbol} {above} {high}"
    elif lower is not None:
        yield dress.show(Condition(">" if domain.lower_open else ">=", entry, lower), loss, None)
    elif upper is not None:
        yield dress.show(Condition("<" if domain.upper_open else "<=", entry, upper), loss, None)


def _hypotheses(derivation: Derivation, dress: Dress) -> Iterator[tuple[str, str]]:
    """Each hypothesis as the author wrote it, and what it says as formulas."""
    loss = derivation.loss
    for hypothesis in derivation.hypotheses:
        name = hypothesis.split(" ")[0]
        declared = loss.declared.get(name)
        yield hypothesis, dress.comma.join(_facts(declared, loss, dress)) if declared else ""


def _plain(derivation: Derivation) -> str:
    """The result as one would type it: in the language of loss files."""
    loss, names = derivation.loss, derivation.names
    left, right = (language(e, loss, names) for e in (derivation.subject, derivation.result))
    return f"{left} = {right}"


def _verdict(all_steps: Iterable[Step]) -> str:
    """How the steps were checked, in a sentence."""
    checks = Counter(_method(step.check) for step in all_steps)
    unknown = checks.pop("unknown", 0)
    steps = sum(checks.values())
    parts = " and ".join(f"{count} by {method}" for method, count in sorted(checks.items()))
    if len(checks) == 1:
        parts = f"by {next(iter(checks))}"
    colon = ":" if len(checks) > 1 else ""
    noun = "step" if steps == 1 else "steps"
    confirmed = f"{steps} {noun} confirmed{colon} {parts}." if steps else ""
    return f"{confirmed} {unknown} not decided.".strip() if unknown else confirmed


def _proof(all_steps: Iterable[Step]) -> Iterator[str]:
    """What each way of checking is, in a sentence."""
    used = {_method(step.check) for step in all_steps}
    for method, sentence in METHODS.items():
        if method in used:
            yield sentence


def _method(check: str) -> str:
    if check in (EXACT, BY_CASES):
        return "exact normal form"
    return check.split(" at ")[0]
