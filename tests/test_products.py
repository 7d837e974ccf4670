"""Products with Jacobians and Hessians, held against automatic derivatives and differences."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product as cartesian
from typing import Any

import pytest
from extra_losses import get
from flint import arb
from points import assert_same_value, generic_point

import derive
from codegen.cli import main
from derive import Derivation, hvp, jvp, vjp
from derive.errors import DerivationError, ReplayError
from derive.evaluate import Point, evaluate
from derive.index import Delta, Entry, Index, Partial, free_indices, kinds
from derive.products import ONE_DERIVATIVE

SLOW = ("l_softmax_4",)  # half a minute; l_softmax_2 has the same parts
STEP = Fraction(1, 10**12)
EVERY = [
    (name, d.name)
    for name in derive.library()
    if name not in SLOW
    for d in derive.load(name).declarations
    if d.role in ("input", "param")
]


def expected(found: Derivation, text: str) -> Any:
    """A text in the names and the free indices of a product."""
    free = {index.name: index for index in free_indices(found.shown)}
    return derive.parse_expression(found.loss, text, free)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (vjp, "p[j]*(u[j] - sum(u[i]*p[i] for i in K))"),
        (jvp, "p[i]*(v[i] - sum(v[k]*p[k] for k in K))"),
    ],
)
def test_products_with_the_jacobian_of_softmax(form: Any, text: str) -> None:
    found = form(derive.load("softmax_cross_entropy"), "p", "a")
    assert found.result == expected(found, text)
    assert found.hypotheses == ()
    assert Delta not in kinds(found.result)
    found.replay()


@pytest.mark.parametrize(
    ("name", "wrt", "along", "text"),
    [
        ("softmax_cross_entropy", "a", None, "p[j]*(v[j] - sum(p[k]*v[k] for k in K))"),
        ("softmax_cross_entropy", "a", "y", "p[j]*sum(v[k] for k in K) - v[j]"),
        ("linear_softmax_cross_entropy", "b", None, "p[r]*(v[r] - sum(p[k]*v[k] for k in K))"),
        ("mean_squared_error", "z", None, "v"),
    ],
)
def test_hessian_vector_products(name: str, wrt: str, along: str | None, text: str) -> None:
    found = hvp(derive.load(name), wrt, along)
    assert found.result == expected(found, text)
    found.replay()


def test_directions_that_move_together() -> None:
    """d/dW of the change along V in W and v in b; dV x + v is how the logits change."""
    found = hvp(derive.load("linear_softmax_cross_entropy"), "W", ["W", "b"])
    change = "(v[{0}] + sum(V[{0}, d]*x[d] for d in D))"
    row, column = (index.name for index in found.wrt[-1].indices)
    inner = f"{change.format(row)} - sum(p[k]*{change.format('k')} for k in K)"
    text = f"p[{row}]*x[{column}]*({inner})"
    assert_same_value(found.loss, found.result, expected(found, text), seed=3)
    assert [d.name for d in found.loss.declarations if d.role == "direction"] == ["V", "v"]


def around(point: Point, name: str, direction: str, size: Fraction) -> Point:
    moved = {
        place: value + size * point.values[direction][place]
        for place, value in point.values[name].items()
    }
    return Point(point.sizes, {**point.values, name: moved})


def places(point: Point, entry: Entry) -> list[dict[Any, int]]:
    ranges = [range(point.sizes[i.axis.name]) for i in entry.indices if isinstance(i, Index)]
    return [dict(zip(entry.indices, chosen, strict=True)) for chosen in cartesian(*ranges)]


@pytest.mark.parametrize(("name", "wrt"), EVERY)
def test_hessian_vector_products_of_the_library_against_differences(name: str, wrt: str) -> None:
    loss = derive.load(name)
    found = hvp(loss, wrt)
    found.replay()
    assert all(step.check != "unknown" for step in found.all_steps())
    direction = found.loss.declarations[-1].name
    sizes = {axis.name: 2 + k for k, axis in enumerate(loss.axes)}
    point = generic_point(found.loss, 4, sizes)
    ahead, behind = (around(point, wrt, direction, way * STEP) for way in (1, -1))
    slope = Partial(loss.value.entry, found.wrt[-1])
    for env in places(point, found.wrt[-1])[:3]:
        one, two = (evaluate(found.loss, slope, here, env, 60) for here in (ahead, behind))
        rough = (one - two) / (2 * arb(STEP.numerator) / STEP.denominator)
        here = evaluate(found.loss, found.result, point, env, 60)
        assert abs(here - rough) < arb("1e-9") * (1 + abs(here)), (name, wrt, env)


@pytest.mark.parametrize(("name", "wrt"), EVERY)
def test_products_of_the_library_are_the_contractions_that_they_say(name: str, wrt: str) -> None:
    """Of the loss and of one name on the way: against the automatic derivative, entry by entry."""
    loss = derive.load(name)
    on_way = [d.name for d in loss.definitions if wrt in loss.below(d.name)]
    for of in dict.fromkeys((on_way[0], on_way[-1])):
        for found in (vjp(loss, of, wrt), jvp(loss, of, wrt)):
            found.replay()
            sizes = {axis.name: 2 + k for k, axis in enumerate(loss.axes)}
            assert_same_value(found.loss, found.shown, found.result, 5, sizes)


def test_a_deep_loss_and_a_batch() -> None:
    found = vjp(get("two_layer"), "p", "V")
    assert_same_value(found.loss, found.shown, found.result, seed=2)
    from derive.batch import batched

    found = hvp(batched(derive.load("linear_softmax_cross_entropy"), "mean"), "W")
    assert found.of.tensor.name == "J"
    found.replay()


def test_fresh_names_take_no_name_and_no_letter_of_the_author() -> None:
    text = "u: input[K]\nv: param[K]\ng: const = 2\ns: const = 1\n"
    text += "w[t] = u[t]*v[t]*g\nL = sum(w[c]*w[c]*s for c in K)\n"
    loss = derive.parse(text)
    found = jvp(loss, "w", ["u", "v"])
    made = [d.name for d in found.loss.declarations[len(loss.declarations) :]]
    made += [d.name for d in found.loss.definitions[len(loss.definitions) :]]
    assert len({*made, *loss.declared, *loss.defined, "t", "c", "K"}) == len(made) + 9
    assert_same_value(found.loss, found.shown, found.result, seed=1)


def test_a_forged_product_is_not_replayed() -> None:
    from dataclasses import replace

    found = vjp(derive.load("softmax_cross_entropy"), "p", "a")
    forged = replace(found, start=2 * found.start)
    with pytest.raises(ReplayError):
        forged.replay()
    twice = replace(found.steps[0], before=2 * found.steps[0].before)
    with pytest.raises(ReplayError):
        replace(found, start=twice.before, steps=(twice, *found.steps[1:])).replay()
    rule = ONE_DERIVATIVE.apply(2 * found.start, loss=found.loss, whole=found.steps[0].after)
    assert rule == 2 * found.start


@pytest.mark.parametrize(
    "wrong",
    [
        lambda loss: vjp(loss, "nothing", "a"),
        lambda loss: vjp(loss, "a", "a"),
        lambda loss: jvp(loss, "p", ["a", "a"]),
        lambda loss: jvp(loss, "p", []),
        lambda loss: hvp(loss, "nothing"),
    ],
)
def test_mistakes_are_said(wrong: Any) -> None:
    with pytest.raises(DerivationError):
        wrong(derive.load("softmax_cross_entropy"))


CLAIMS = [
    ("--wrt a[j] --hvp", "p[j]*(v[j] - sum(p[k]*v[k] for k in K))", 0),
    ("--wrt a --hvp", "p[j]*(v[j] - sum(v[k] for k in K))", 1),
    ("--of p --wrt a[m] --vjp", "p[m]*(u[m] - sum(p[k]*u[k] for k in K))", 0),
    ("--of p[m] --wrt a --jvp", "p[m]*(v[m] - sum(p[k]*v[k] for k in K))", 0),
    ("--of p[m] --wrt a --jvp", "p[m]*v[m]", 1),
    ("--of p[m] --wrt a --jvp", "p[m]*w[m]", 2),
    ("--of p --wrt a[j]", "p[j]", 2),
    ("--along y", "p[j]", 2),
    ("--wrt a,y --hvp", "p[j]", 2),
]


@pytest.mark.parametrize(("options", "claim", "code"), CLAIMS)
def test_claims_about_products(options: str, claim: str, code: int) -> None:
    assert main(["check", "softmax_cross_entropy", *options.split(), "--claim", claim]) == code


@pytest.mark.parametrize("to", ["text", "latex", "markdown", "json"])
@pytest.mark.parametrize("options", ["--of p --wrt a --vjp", "--of p --wrt a --jvp", "--hvp"])
def test_documents_of_products(options: str, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["derive", "softmax_cross_entropy", *options.split(), "--wrt", "a", "--to", to]
    assert main(asked) == 0
    if to == "json":
        data = json.loads(capsys.readouterr().out)
        assert "-" in data["title"].split()[0]
        assert "sum(p[" in data["result"]["language"]


@pytest.mark.parametrize(
    "options", ["--vjp --hvp", "--along a", "--hvp --order 2", "--hvp --of p", "--vjp --along a"]
)
def test_options_that_exclude_each_other(options: str) -> None:
    asked = ["derive", "softmax_cross_entropy", "--wrt", "a", *options.split()]
    try:
        code = main(asked)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
