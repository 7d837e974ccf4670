"""Every registered rule keeps the value of every expression that it changes.

Samples are not written here: they are all the steps of all the derivations of the library
and of `extra_losses`, grouped by rule.  A new rule is therefore tested as soon as some loss
needs it, and a rule that no derivation uses fails until it is given a sample in `ALONE`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import pytest
from extra_losses import every_loss, extra, get
from points import assert_same_value
from sympy import Expr, S, exp, log

import derive
import derive.rules
from derive import Step, parse
from derive.index import Choice, Condition, Diff, Entry, Index, fresh, total
from derive.loss import Loss
from derive.mean import gradient_of_mean
from derive.printing import language
from derive.rewrite import in_cases, value
from derive.rules.registry import REGISTRY, register

for module in pkgutil.iter_modules(derive.rules.__path__):
    importlib.import_module(f"derive.rules.{module.name}")

MOST_A_RULE = 30


@cache
def samples() -> dict[str, list[tuple[Loss, Step]]]:
    """Every different step of every derivation, by the name of its rule."""
    found: dict[str, dict[tuple[str, Expr], tuple[Loss, Step]]] = defaultdict(dict)
    for derivation in derivations():
        for step in flat(derivation.all_steps()):
            key = (derivation.loss.name, step.before)
            found[step.name].setdefault(key, (derivation.loss, step))
    for loss, step in alone():
        found[step.name].setdefault((loss.name, step.before), (loss, step))
    return {name: list(steps.values()) for name, steps in found.items()}


def derivations() -> Iterator[derive.Derivation]:
    for name, wrt in every_loss():
        yield derive.gradient(get(name), wrt)
    for name, wrt in (("softmax_cross_entropy", "a"), ("sigmoid_mse", "z"), ("arcface", "c")):
        yield derive.hessian(derive.load(name), wrt)
    yield derive.hessian(extra("largest_entry"), "a")
    for wrt in "Wx":
        yield gradient_of_mean(derive.gradient(derive.load("linear_softmax_cross_entropy"), wrt))
    yield in_cases(derive.gradient(derive.load("softmax_cross_entropy"), "a", "p"))
    yield in_cases(derive.hessian(derive.load("softmax_cross_entropy"), "a"))
    for name in ("softmax_cross_entropy", "entropy", "kl_divergence"):
        yield value(derive.load(name), derive.load(name).value.name)
    yield value(extra("likelihood"), "L")
    for product in (derive.vjp, derive.jvp):
        yield product(derive.load("linear_softmax_cross_entropy"), "p", "W")
    yield derive.hvp(derive.load("softmax_cross_entropy"), "a")


def flat(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from flat(step.substeps)


def alone() -> Iterator[tuple[Loss, Step]]:
    """Steps of rules that no derivation needs, or that deserve more than derivations give."""
    loss = parse(
        "x: input\ny: input\nb: param > 0\na: input[K]\nW: param[K, K]\n"
        "c: target[K] in K\nt: target in K\nL = x\n"
    )
    names: dict[str, Any] = {d.name: d.tensor for d in loss.declarations}
    x, y, b = (Entry(names[name]) for name in "xyb")
    a, weight, labels, label = names["a"], names["W"], names["c"], Entry(names["t"])
    axis = a.axes[0]
    j, i, k = Index("j", axis), fresh(axis), fresh(axis)
    from derive.index import Delta, Maximum, Minimum, Product, bind

    positive = Condition(">", x, y)
    expressions = {
        "constant": [Diff(y * exp(y), x), x * Diff(total(i, a[i]), x)],
        "independent entries": [Diff(a[j], a[label]), Diff(weight[j, k], weight[k, j])],
        "linearity": [Diff(3 * x - y * x**2 + total(i, a[i]), x)],
        "sum over an axis": [
            Diff(total(i, a[i] ** 2, Condition("!=", i, label)), a[j]),
            Diff(total(i, total(k, weight[i, k] * weight[k, i])), weight[j, label]),
        ],
        "quotient rule": [Diff(exp(x) / (1 + x**2), x), Diff(x / ((2 + x**2) * exp(x)), x)],
        "product rule": [Diff(x * exp(x) * log(2 + x**2), x)],
        "power rule": [Diff((1 + x**2) ** -3, x), Diff(b ** (y + 1), b)],
        "general power rule": [Diff(b ** (x * b), b), Diff((1 + x**2) ** x, x)],
        "chain rule for functions": [Diff(log(1 + b), b), Diff(exp(x * y), x)],
        "derivative of a choice": [Diff(Choice(positive, x**3, x * y), x)],
        "derivative of an extremum": [
            Diff(bind(Maximum, i, a[i] ** 2 + x * a[i]), a[j]),
            Diff(bind(Minimum, i, a[i] * weight[i, label]), a[j]),
        ],
        "derivative of a product": [
            Diff(bind(Product, i, 2 + a[i], Condition("!=", i, label)), a[j])
        ],
        "carry out the sum": [
            total(i, Delta(i, j) * a[i] * (1 + x)),
            total(i, (Delta(i, j) - a[i]) * weight[i, label]),
            total(i, Delta(i, label) * a[i], Condition("!=", i, j)),
            total(i, total(k, Delta(i, k) * weight[i, k])),
            total(i, a[i] * Delta(i, labels[j])),
            total(i, x * y),
        ],
        "contract the delta": [total(i, Delta(i, j) * total(k, weight[k, i] * a[j]))],
        "case by case": [
            Delta(j, label) * a[j] - Delta(label, labels[j]) * a[label],
            total(i, Delta(i, j) * a[i]) + Delta(j, label),
        ],
        "split sums": [total(i, a[i] * (x + a[i]) * (y - a[i]))],
    }
    for name, wanted in expressions.items():
        for before in wanted:
            rule = REGISTRY[name]
            after = rule.apply(before)
            assert after != before, f"'{name}' does not change its sample {before}"
            yield loss, Step(rule, rule.reason, before, after)
    yield from compared()
    yield from equal()


def equal() -> Iterator[tuple[Loss, Step]]:
    """Equalities of reals: of what moves, of what does not, and where a value is put in."""
    loss = parse("x: input\ny: input\na: input[K]\nL = x if x == y else 0\n")
    x, y = Entry(loss.tensor("x")), Entry(loss.tensor("y"))
    a, k = loss.tensor("a"), fresh(loss.tensor("a").axes[0])
    j = Index("j", k.axis)
    zero, product = Condition("==", x, S.Zero), Condition("!=", x * y, y)
    mean = (exp(a[k]) - exp(y)) / (a[k] - y)
    every = {
        "equality of reals": [
            Diff(Choice(zero, 3 * x, x**2), x),
            Diff(y * Choice(product, x**2, S.One), x),
            Diff(total(k, a[k] ** 2, Condition("!=", a[k], S.One)), a[j]),
        ],
        "removable point": [
            Diff(Choice(zero, S.One, (exp(x) - 1) / x), x),
            Diff(total(k, Choice(Condition("!=", a[k], y), mean, exp(y))), a[j]),
        ],
    }
    for name, wanted in every.items():
        for before in wanted:
            rule, variable = REGISTRY[name], before.args[1].tensor.name
            after = rule.apply(before, loss=loss, name=variable)
            assert after != before, f"'{name}' does not change its sample {before}"
            bindings = (("loss", loss), ("name", variable))
            yield loss, Step(rule, rule.reason, before, after, bindings)


def compared() -> Iterator[tuple[Loss, Step]]:
    """Comparisons in other words than the loss's own, and their opposites."""
    loss = parse(
        "a: input[K]\nm: param > 0\n"
        "q[i] = a[i] if a[i] <= 2 - m else m\nL = sum(q[k] for k in K if a[k] > m)\n"
    )
    rule = REGISTRY["comparison as written"]
    a, q, m = loss.tensor("a"), loss.tensor("q"), Entry(loss.tensor("m"))
    j, i = Index("j", a.axes[0]), fresh(a.axes[0])
    above, below = Condition(">", m + a[j], S(2)), Condition("<=", a[i] - m, S.Zero)
    for before, said in (
        (Choice(above, m, q[j]), "a[j] <= 2 - m"),
        (total(i, a[i], below), "if a[i] <= m"),
        (Choice(Condition("and", above, Condition("==", m, S.One)), m, a[j]), "a[j] > 2 - m"),
    ):
        after = rule.apply(before, loss=loss)
        assert said in language(after, loss), language(after, loss)
        yield loss, Step(rule, rule.reason, before, after, (("loss", loss),))


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_rule_keeps_the_value(name: str) -> None:
    steps = samples().get(name, [])
    assert steps, f"no derivation uses the rule '{name}': give it a sample in alone()"
    for number, (loss, step) in enumerate(steps[:MOST_A_RULE]):
        assert step.before != step.after
        assert_same_value(loss, step.before, step.after, seed=number % 7)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_rule_says_what_it_does(name: str) -> None:
    rule = REGISTRY[name]
    assert rule.name == name
    assert 10 < len(rule.reason) < 120
    assert not rule.reason.endswith(".") and "\n" not in rule.reason


def test_calculus_leaves_no_derivative_of_a_name_that_does_not_vary() -> None:
    """The derivative still to be taken in a rule's answer is of something that varies."""
    for name, steps in samples().items():
        if REGISTRY[name].source == "calculus":
            for _, step in steps:
                for node in step.after.atoms(Diff) - step.before.atoms(Diff):
                    body, variable = node.args
                    assert body.has(variable.tensor), step


def test_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two rules are named 'fold'"):
        register(REGISTRY["fold"])


def test_a_wrong_rule_would_be_seen() -> None:
    """The comparison that the tests above rest on tells a wrong sign from a right one."""
    loss, step = samples()["quotient rule"][0]
    with pytest.raises(AssertionError):
        assert_same_value(loss, step.before, -step.after, seed=0)


LABELS = "a: input[K]\nc: target[K] in K\n"


@pytest.mark.parametrize("name", ["contract the delta", "carry out the sum"])
def test_delta_through_a_label_of_the_summed_index_stays(name: str) -> None:
    """sum_i delta(i, c[i]) a_i must keep its sum: the other side moves with the index."""
    loss = parse(LABELS + "L = sum(a[i]**2 * delta(i, c[i]) for i in K)\n")
    body = loss.value.body
    after = REGISTRY[name].apply(body)
    for seed in range(4):
        assert_same_value(loss, body, after, seed)


def test_cases_leave_a_delta_over_a_summed_label_alone() -> None:
    """sum_n delta(j, c[n]) has no two cases: the delta is not the same for every n."""
    loss = extra("weighted_labels")
    derivation = derive.gradient(loss, "w")
    cases = in_cases(derivation)
    assert_same_value(loss, derivation.result, cases.result, seed=1)


def test_derivative_of_a_guarded_maximum() -> None:
    loss = parse(f"{LABELS}t: target in K\nL = max(a[k]**2 for k in K if k != t)\n")
    derivation = derive.gradient(loss, "a")
    for seed in range(4):
        assert_same_value(loss, derivation.start, derivation.result, seed)
