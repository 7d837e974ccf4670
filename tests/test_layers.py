"""Deep losses: linear work, every step confirmed in its own stage, and no wrong step is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from sympy import Add, Expr, Mul, S

from derive import engine, gradient, parse
from derive.agree import agree_numerically
from derive.derivation import Derivation, Step
from derive.index import Diff, Partial, Total, fresh, substitute, total, walk
from derive.loss import Loss
from derive.normal import NormalForm
from derive.normal.hide import classed, hidden, unveiled, veiled
from derive.normal.stage import Stage, is_total
from derive.rules.fold import shallow
from derive.stages import EXACT, OFF_KINKS, Stages

NOTHING: frozenset[str] = frozenset()


def layers(count: int, function: str = "tanh", skip: bool = False) -> Loss:
    """h = f(W h), or h + f(W h), so many times, then the squared error."""
    lines = ["x: input[D]", *(f"W{n}: param[D, D]" for n in range(1, count + 1)), "y: target[D]"]
    for n in range(1, count + 1):
        below = f"h{n - 1}" if n > 1 else "x"
        front = f"{below}[i] + " * skip
        lines.append(f"h{n}[i] = {front}{function}(sum(W{n}[i, j] * {below}[j] for j in D))")
    lines.append(f"L = sum((h{count}[i] - y[i])**2 for i in D)")
    return parse("\n".join(lines) + "\n")


SHARED = parse(
    """x: input[D]
A: param[D, D]
b: param[D]
y: target[D]
u[i] = tanh(sum(A[i, j] * x[j] for j in D))
v[i] = u[i] * sum(A[i, j] * u[j] for j in D)
w[i] = exp(u[i]) + v[i]
z[i] = w[i] * u[i] + b[i]
L = sum((z[i] - y[i])**2 for i in D) + sum(u[i] * v[i] for i in D)
"""
)


def step_named(derivation: Derivation, name: str) -> Step:
    return next(step for step in derivation.steps if step.name == name)


def confirmed(loss: Loss, step: Step, after: Expr, lemmas: tuple[Derivation, ...] = ()) -> str:
    stages = Stages(loss)
    for lemma in lemmas:
        stages.learn(lemma)
    return stages.method(step.before, after, False, NOTHING)


def chain_steps() -> list[Step]:
    derivation = gradient(SHARED, "A")
    parts = (*derivation.lemmas, derivation)
    return [s for part in parts for s in part.steps if s.name == "chain rule over all paths"]


def terms(step: Step) -> list[Expr]:
    return list(Add.make_args(step.after))


@pytest.mark.parametrize("step", chain_steps(), ids=lambda s: str(s.before))
def test_the_chain_rule_is_confirmed_in_one_stage(step: Step) -> None:
    assert confirmed(SHARED, step, step.after) == EXACT


@pytest.mark.parametrize("step", chain_steps(), ids=lambda s: str(s.before))
def test_a_path_left_out_counted_twice_or_scaled_is_not_confirmed(step: Step) -> None:
    for term in terms(step):
        for wrong in (step.after - term, step.after + term, step.after - 2 * term):
            assert confirmed(SHARED, step, wrong) == ""


@pytest.mark.parametrize("step", chain_steps(), ids=lambda s: str(s.before))
def test_a_path_over_the_wrong_entries_is_not_confirmed(step: Step) -> None:
    tried = 0
    for term in terms(step):
        if not isinstance(term, Total):
            continue
        index, body, _ = term.open()
        first, direct = sorted(body.args, key=lambda p: p.args[2]) if body.is_Mul else (0, 0)
        if not isinstance(first, Partial):
            continue
        other = fresh(index.axis)
        apart = total(index, total(other, substitute(first, {index: other}) * direct))
        doubled = total(index, first**2 * direct)
        one_entry = body if index.uid else S.Zero
        for wrong in (apart, doubled, one_entry):
            tried += 1
            assert confirmed(SHARED, step, step.after - term + wrong) == ""
    assert tried or not any(isinstance(term, Total) for term in terms(step))


def test_a_path_through_another_name_is_not_confirmed() -> None:
    step = next(s for s in chain_steps() if s.before.args[1].tensor.name == "u")
    w, v = (SHARED.tensor(name) for name in ("w", "v"))
    direct = [n for n in walk(step.after) if isinstance(n, Partial) and n.args[2] == S.One]
    (mine,) = (n for n in direct if n.args[0].tensor == w)
    other = Partial(v[mine.args[0].indices], *mine.args[1:])
    assert confirmed(SHARED, step, step.after.xreplace({mine: other})) == ""


def test_a_lemma_put_in_is_confirmed_and_a_wrong_one_is_not() -> None:
    derivation = gradient(SHARED, "A")
    step = step_named(derivation, "insert the lemmas")
    assert confirmed(SHARED, step, step.after, derivation.lemmas) == EXACT
    assert confirmed(SHARED, step, step.after) == ""
    for wrong in (2 * step.after, step.after + 1, -step.after):
        assert confirmed(SHARED, step, wrong, derivation.lemmas) == ""


def test_a_lemma_with_an_unconfirmed_step_is_not_used() -> None:
    derivation = gradient(SHARED, "A")
    step = step_named(derivation, "insert the lemmas")
    for number, lemma in enumerate(derivation.lemmas):
        *others, last = lemma.steps
        doubtful = replace(lemma, steps=(*others, replace(last, check="ball arithmetic")))
        lemmas = (*derivation.lemmas[:number], doubtful, *derivation.lemmas[number + 1 :])
        used = any(start == lemma.start for start, _ in dict(step.bindings)["lemmas"])
        if used and is_total(lemma.start):
            assert confirmed(SHARED, step, step.after, lemmas) == ""


def test_off_the_kinks_is_said_of_what_rests_on_kinks() -> None:
    derivation = gradient(layers(6, "relu"), "W1")
    checks = {step.name: step.check for step in derivation.steps}
    assert checks["chain rule over all paths"] == OFF_KINKS
    assert checks["insert the lemmas"] == OFF_KINKS


def test_a_definition_is_not_unfolded_inside_a_derivative() -> None:
    """d/dx of h x with h held fixed is h, though h varies with x."""
    loss = parse("x: input\ny: target\nh = x**2\nL = h * x - y\n")
    x, h = loss.free_entry("x"), loss.free_entry("h")
    form = Stage(loss, {}, opened=frozenset({"h"}))
    assert form.same(Diff(h * x, x), x**2)
    assert not form.same(Diff(h * x, x), 3 * x**2)


@pytest.mark.parametrize("count", [3, 8])
@pytest.mark.parametrize("function", ["tanh", "relu"])
def test_deep_losses_are_confirmed_throughout(count: int, function: str) -> None:
    loss = layers(count, function)
    derivation = gradient(loss, "W1")
    derivation.replay()
    allowed = {EXACT} if function == "tanh" else {EXACT, OFF_KINKS, "normal form by cases"}
    assert {step.check for step in derivation.all_steps()} <= allowed


@pytest.mark.parametrize("skip", [False, True])
def test_the_result_of_a_deep_loss_is_the_derivative_in_balls(skip: bool) -> None:
    loss = layers(4, skip=skip)
    derivation = gradient(loss, "x")
    found = agree_numerically(loss, derivation.start, derivation.result, most=3)
    assert found.startswith("ball arithmetic")


def test_work_grows_in_line_with_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checks spend, counted and not timed; unfolding a loss made it a hundredfold."""
    spent = 0
    spend = NormalForm.spend

    def counted(form: NormalForm, work: int) -> None:
        nonlocal spent
        spent += work
        spend(form, work)

    monkeypatch.setattr(NormalForm, "spend", counted)
    works = []
    for count in (4, 8, 16):
        spent = 0
        engine._derived.cache_clear()  # another test may have derived it
        gradient(layers(count), "W1")
        works.append(spent)
    assert works[0] > 0
    assert all(after < 3 * before for before, after in pairwise(works))


def test_sums_as_variables_come_back() -> None:
    loss = layers(4)
    result = gradient(loss, "W1").result
    outer, inner = veiled(result)
    assert inner and outer != result
    assert unveiled(outer, inner) == result


def test_only_sums_of_both_sides_are_hidden() -> None:
    loss = layers(2)
    i, j = (fresh(loss.axes[0]) for _ in range(2))
    one, two = (total(j, loss.tensor(name)[i, j]) for name in ("W1", "W2"))
    left, right = hidden(one + two, one**2)
    assert not any(isinstance(node, Total) for node in walk(right))
    assert sum(isinstance(node, Total) for node in walk(left)) == 1


def test_sums_of_one_class_are_equal_and_of_two_are_not() -> None:
    loss = layers(2)
    i, j, k = (fresh(loss.axes[0]) for _ in range(3))
    weights, x = loss.tensor("W1"), loss.tensor("x")
    inner = total(k, weights[j, k] * (x[k] + 1))
    split = total(k, weights[j, k] * x[k] + weights[j, k])
    wrong = total(k, weights[k, j] * (x[k] + 1))
    one, two, three = (total(j, Mul(weights[i, j], part)) for part in (inner, split, wrong))
    form = shallow(loss)
    left, right, other = classed(form.expr, one, two, three)
    assert left == right
    assert left != other
