"""Checking a claim about a loss: a derivative somebody worked out, or the value of a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, takewhile

from sympy import Expr, Mul, Rational, S, evaluate

from derive import valueless
from derive.derivation import Derivation
from derive.forwards import higher
from derive.given import given_point
from derive.index import Delta, Entry, Index, Partial, axis_of, substitute, tensors, walk
from derive.loss import Declaration, Domain, Loss
from derive.normal import NormalForm, Undecided
from derive.notation import parse, parse_entries, parse_expression
from derive.point import Point
from derive.proof import decide, differs, letters, without_value
from derive.rules.chain import consumers, insert
from derive.verdict import Verdict


def check(loss: Loss, wrt: str, claim: str, at: Sequence[str] = ()) -> Verdict:
    """Judge a claimed derivative of the loss.

    `wrt` is an entry with the letters that the claim uses, such as "a[j]", or two entries for
    a second derivative; names alone have the letters that a derivation prints.  `claim` is an
    expression in the language of .loss files.  `at` gives numbers to try first, such as "a=1,2,3".
    Raises InputError for a text that the language does not allow.
    """
    entries = parse_entries(loss, wrt, "<wrt>")
    if "[" in wrt:
        derivation = higher(loss, *entries)
        free = {i.name: i for entry in entries for i in entry.indices if isinstance(i, Index)}
    else:
        derivation = higher(loss, *(entry.tensor.name for entry in entries))
        indices = [i for entry in derivation.wrt for i in entry.indices]
        free = {derivation.names.free[i]: i for i in indices if isinstance(i, Index)}
    claimed = parse_expression(loss, claim, free, "<claim>")
    varying = derivation.loss.below(derivation.wrt[-1].tensor.name)
    verdict = decide(derivation.loss, claimed, derivation.start, varying, _point(loss, at))
    verdict = _as_written(loss, claim, free, verdict, derivation.start, derivation.loss)
    verdict = _with_truth(verdict, derivation)
    if verdict.status != "refuted":
        return verdict
    return replace(verdict, hint=hint(derivation, claimed, verdict))


def _as_written(
    loss: Loss, text: str, free: Mapping[str, Index], proved: Verdict, truth: Expr, whole: Loss
) -> Verdict:
    """What is proved of a claim as it was read, refuted where its text has no value.

    Claim and loss are read again, nothing in them simplified: x/x stays.
    """
    if proved.status != "proved" or not loss.text:
        return proved
    with evaluate(False):
        written, claim = parse(loss.text), parse_expression(loss, text, free)
    if written.declarations != loss.declarations:
        return proved  # a batch of it, say, which no text says
    if not valueless.says_more(claim, proved.claim):
        return proved
    missing = without_value(whole, claim, truth, written)
    return proved if missing is None else replace(missing, claim=proved.claim)


def _with_truth(verdict: Verdict, derivation: Derivation) -> Verdict:
    answer = "" if verdict.status == "proved" else derivation.formula
    return replace(verdict, truth=derivation.result, answer=answer)


def check_product(product: Derivation, claim: str, at: Sequence[str] = ()) -> Verdict:
    """Judge a claimed product with a Jacobian or a Hessian, as `vjp`, `jvp` or `hvp` derive it.

    The claim speaks of the cotangent or the direction by the name that `product.loss` declares,
    and of the indices that are free in the product.
    """
    slopes = [step.after for step in product.steps[:1] if isinstance(step.after, Partial)]
    along = [slope for slope in slopes if slope.args[1] == product.wrt[-1]]
    truth = (along or [product.start])[0]
    loss = _without_helpers(product.loss, truth)
    free = {i.name: i for i in letters(product.subject) if i.name}
    claimed = parse_expression(loss, claim, free, "<claim>")
    varying = frozenset().union(*(loss.below(entry.tensor.name) for entry in product.wrt))
    verdict = decide(loss, claimed, truth, varying, _point(loss, at))
    verdict = _with_truth(verdict, product)
    if verdict.status != "refuted":
        return verdict
    return replace(verdict, hint=hint(product, claimed, verdict))


def _without_helpers(loss: Loss, truth: Expr) -> Loss:
    """The loss without a cotangent that served a derivation only, and what is made of it."""
    below = {name for tensor in tensors(truth) for name in loss.below(tensor.name)}
    gone = {d.tensor for d in loss.declarations if d.role == "cotangent" and d.name not in below}
    if not gone:
        return loss
    kept = takewhile(lambda d: not tensors(d.body) & gone, loss.definitions)
    declared = tuple(d for d in loss.declarations if d.tensor not in gone)
    return replace(loss, declarations=declared, definitions=tuple(kept))


def check_value(loss: Loss, name: str, claim: str, at: Sequence[str] = ()) -> Verdict:
    """Judge a claimed value of a definition: `name` may carry index letters, as in "p[i]"."""
    (entry,) = parse_entries(loss, name, "<value>")
    free = {i.name: i for i in entry.indices if isinstance(i, Index)}
    claimed = parse_expression(loss, claim, free, "<claim>")
    verdict = decide(loss, claimed, entry, at=_point(loss, at))
    return _as_written(loss, claim, free, verdict, entry, loss)


def _point(loss: Loss, at: Sequence[str]) -> Point | None:
    return given_point(loss, at) if at else None


def hint(derivation: Derivation, claim: Expr, verdict: Verdict) -> str:
    """What went wrong, where one simple slip explains it; each hint is proved, not guessed."""
    for text, candidate in _slips(derivation, verdict):
        near = _may_be_equal(derivation.loss, claim, candidate, verdict)
        if near and _equal(derivation.loss, claim, candidate):
            return text
    return _needs_simplex(derivation, claim)


def _may_be_equal(loss: Loss, claim: Expr, candidate: Expr, verdict: Verdict) -> bool:
    """Whether numbers leave it open: a normal form is worth its time only then."""
    found = verdict.counterexample
    return found is None or differs(loss, claim, candidate, found.point)[0] is None


def _equal(loss: Loss, left: Expr, right: Expr) -> bool:
    try:
        return any(NormalForm(loss, assume=assume).equal(left, right) for assume in (False, True))
    except Undecided:
        return False


def _slips(derivation: Derivation, verdict: Verdict) -> Iterator[tuple[str, Expr]]:
    truth, loss = derivation.result, derivation.loss
    yield "the sign is wrong", -truth
    yield from _single_paths(derivation)
    yield from _deltas(truth)
    for name, factor in _factors(loss):
        yield f"a factor is wrong: the truth is the claim divided by {name}", truth * factor
        yield f"a factor is missing: the truth is the claim times {name}", truth / factor
    ratio = _ratio(verdict)
    if ratio is not None:
        yield (
            f"a factor is wrong: the truth is the claim times {1 / ratio}",
            truth * Rational(ratio.numerator, ratio.denominator),
        )


def _ratio(verdict: Verdict) -> Fraction | None:
    """claim/truth at the counterexample, where it is near a simple fraction."""
    example = verdict.counterexample
    if example is None or not example.claimed.is_finite() or 0 in example.true:
        return None
    value = float((example.claimed / example.true).mid())
    simple = Fraction(value).limit_denominator(24)
    return simple if simple and abs(float(simple) - value) < 1e-9 else None


def _factors(loss: Loss) -> list[tuple[str, Expr]]:
    found: list[tuple[str, Expr]] = [(axis.name, axis) for axis in loss.axes]
    for declaration in loss.declarations:
        if declaration.role == "const" and not declaration.tensor.axes:
            found.append((declaration.name, Entry(declaration.tensor)))
    return found


def _deltas(truth: Expr) -> Iterator[tuple[str, Expr]]:
    deltas = sorted({node for node in walk(truth) if isinstance(node, Delta)}, key=str)
    if deltas:
        text = "a delta is missing: the entries with equal indices are treated like the others"
        yield text, substitute(truth, dict.fromkeys(deltas, S.Zero))
        text = "a delta is missing: the entries with different indices are treated like equal ones"
        yield text, substitute(truth, dict.fromkeys(deltas, S.One))


def _single_paths(derivation: Derivation) -> Iterator[tuple[str, Expr]]:
    """The chain rule along one entry of each definition instead of all of them."""
    loss, variable = derivation.loss, derivation.wrt[-1]
    lemmas = tuple((lemma.start, lemma.result) for lemma in derivation.lemmas)
    by_axis = {axis_of(index): index for index in variable.indices}
    chain = [variable]
    name = variable.tensor.name
    while name != derivation.of.tensor.name:
        users = consumers(loss, name)
        if len(users) != 1:
            return
        name = users[0]
        axes = loss.tensor(name).axes
        if any(axis not in by_axis for axis in axes):
            return
        chain.append(loss.tensor(name)[tuple(by_axis[axis] for axis in axes)])
    if len(chain) < 3:
        return
    chain[-1] = derivation.of
    links = [Partial(upper, lower, S.One) for lower, upper in pairwise(chain)]
    links[-1] = Partial(chain[-1], chain[-2])
    product = insert.apply(Mul(*links), lemmas=lemmas)
    path = chain[-2]
    letters = ", ".join(str(i.name) for i in path.indices if isinstance(i, Index))
    where = f"{path.tensor.name}[{letters}]" if letters else path.tensor.name
    yield (
        f"paths are missing: only the one through {where} is followed, "
        f"but every entry of {path.tensor.name} depends on {variable.tensor.name}",
        product,
    )


def _needs_simplex(derivation: Derivation, claim: Expr) -> str:
    """Whether the claim would be right if a target summed to 1."""
    loss = derivation.loss
    for declaration in loss.declarations:
        if declaration.tensor.axes and declaration.domain.kind not in ("simplex", "label"):
            narrowed = replace(
                loss, declarations=tuple(_simplex(d, declaration) for d in loss.declarations)
            )
            try:
                if NormalForm(narrowed, assume=True).equal(claim, derivation.result):
                    return f"right only where {declaration.name} sums to 1, which is not declared"
            except Undecided:
                continue
    return ""


def _simplex(declaration: Declaration, chosen: Declaration) -> Declaration:
    return replace(declaration, domain=Domain("simplex")) if declaration is chosen else declaration
