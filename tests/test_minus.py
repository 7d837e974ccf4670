"""Minus signs: as few as there can be, and where a person has them."""

from __future__ import annotations

import pytest
from points import assert_same_value

import derive
from derive.index import Index
from derive.loss import Loss
from derive.notation import parse_entry, parse_expression
from derive.printing import language
from derive.rules.minus import signs

LOSS = """p: input[K]
z: input
u: input[D]
y: target[K] in simplex
t: target in K
b: const in unit = 0.5
q: const > 1 = 2
r = z - b
L = sum((p[i] - y[i])**2 for i in K) + r + u[0]*q
""".replace("u[0]", "sum(u[d] for d in D)")

# as found, as written
WRITTEN = [
    ("-2*p[j]*(p[j] - 1)*(p[j] - y[j])", "2*p[j]*(1 - p[j])*(p[j] - y[j])"),
    ("p[j]*(b - 1)*(y[j] - p[j])", "p[j]*(1 - b)*(p[j] - y[j])"),
    ("(p[j] - 1)*(-z - b)", "(1 - p[j])*(b + z)"),
    ("z*(p[j] - delta(j, t))", "z*(p[j] - delta(j, t))"),
    ("p[j]*(delta(j, t) - p[j])", "p[j]*(delta(j, t) - p[j])"),
    ("-z*(delta(j, t) - p[j])", "z*(p[j] - delta(j, t))"),
    ("z - b*(y[j] - p[j])", "z + b*(p[j] - y[j])"),
    ("z + b*(p[j] - 1)", "z - b*(1 - p[j])"),
    ("z*sum(p[i]*(y[i] - p[i]) for i in K)", "-z*sum(p[i]*(p[i] - y[i]) for i in K)"),
    ("-sum(p[i]*(y[i] - p[i]) for i in K)/(b - 1)", "sum(p[i]*(p[i] - y[i]) for i in K)/(b - 1)"),
    ("z*(p[j] - 1)**2*(p[j] - 1)**3", "z*(p[j] - 1)**5"),
    ("-p[j]/(1 - q)", "p[j]/(q - 1)"),
    ("z/(exp(z) - 1)", "z/(exp(z) - 1)"),
    ("exp(b - z)", "exp(b - z)"),
    ("-y[j]*(1 if z > b else 0)", "-y[j]*(1 if z > b else 0)"),
    ("sign(y[j] - p[j])*(p[j] - 1)", "sign(p[j] - y[j])*(1 - p[j])"),
    ("-tanh(b - z)", "tanh(z - b)"),
    ("-z*(p[j] - 1) if z > b else 1 - p[j]", "z*(1 - p[j]) if z > b else 1 - p[j]"),
]


def loss_and_index() -> tuple[Loss, dict[str, Index]]:
    loss = derive.parse(LOSS)
    return loss, {i.name: i for i in parse_entry(loss, "p[j]").indices if isinstance(i, Index)}


@pytest.mark.parametrize(("found", "written"), WRITTEN)
def test_signs(found: str, written: str) -> None:
    loss, free = loss_and_index()
    before = parse_expression(loss, found, free)
    after = signs.apply(before, loss=loss)
    assert language(after, loss) == written
    assert signs.apply(after, loss=loss) == after
    assert_same_value(loss, before, after, seed=4)


def test_results_are_written_so() -> None:
    for name, wrt, formula in (
        ("jensen_shannon", "z", "p[j]*(1 - b)*(log(p[j]/m[j]) - KL)"),
        ("dice", "z", "p[j]*(1 - p[j])*(1 - L - 2*y[j])/S"),
        ("log_cosh", "z", "tanh(z - y)"),
        ("sigmoid_mse", "z", "p*(1 - p)*(p - y)"),
    ):
        assert derive.gradient(derive.load(name), wrt).formula == formula


PEARSON = """z: input[N]
y: target[N]
mz = mean(z[n] for n in N)
my = mean(y[n] for n in N)
c = sum((z[n] - mz)*(y[n] - my) for n in N)
vz = sum((z[n] - mz)**2 for n in N)
vy = sum((y[n] - my)**2 for n in N)
L = 1 - c/sqrt(vz*vy)
"""


def test_a_difference_has_the_signs_of_the_loss_and_sums_of_one_vanish() -> None:
    found = derive.gradient(derive.parse(PEARSON), "z")
    assert found.formula == "(1 - L)*(z[m] - mz)/vz - (y[m] - my)/sqrt(vy*vz)"
    assert "0" in {language(lemma.result, found.loss) for lemma in found.lemmas}
