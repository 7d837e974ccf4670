"""Second derivatives as a person would write them, and means over a batch from one sample."""

from __future__ import annotations

import pytest
from points import assert_same_value

import derive
from derive.batch import batched, names_batch
from derive.index import Index, tensors
from derive.mean import gradient_of_mean
from derive.notation import parse_entry, parse_expression
from derive.rules.shorten import length

W = "(sin(m + theta)/sin(theta) if {} == t else 1)"
SIGN = "(1 if theta <= pi/2 else -1)"
V = f"(4*cos(theta)*{SIGN} if {{}} == t else 1)"

# (loss, name, d2L/da[i] da[j])
HESSIANS = [
    ("softmax_cross_entropy", "a", "p[i]*(delta(i, j) - p[j])"),
    (
        "entropy",
        "z",
        "p[i]*(p[j]*(1 + 2*H + log(p[i]) + log(p[j])) - delta(i, j)*(1 + H + log(p[i])))",
    ),
    (
        "arcface",
        "c",
        "s*(delta(i, t)*delta(j, t)*(p[t] - 1)*sin(m)/sin(theta)**3"
        f" + s*p[i]*(delta(i, j) - p[j])*{W.format('i')}*{W.format('j')}"
        " if theta <= pi - m else s*p[i]*(delta(i, j) - p[j]))",
    ),
    (
        "l_softmax_2",
        "c",
        f"s*(4*delta(i, t)*delta(j, t)*(p[t] - 1)*{SIGN}"
        f" + s*p[i]*(delta(i, j) - p[j])*{V.format('i')}*{V.format('j')})",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wrt", "form"), HESSIANS)
def test_hessians_are_as_short_as_a_person_would_write_them(name: str, wrt: str, form: str) -> None:
    loss = derive.load(name)
    entries = parse_entry(loss, f"{wrt}[i]"), parse_entry(loss, f"{wrt}[j]")
    letters = {i.name: i for entry in entries for i in entry.indices if isinstance(i, Index)}
    known = parse_expression(loss, form, letters)
    found = derive.hessian(loss, *entries)
    assert length(found.result) <= length(known), found.formula
    assert derive.check(loss, f"{wrt}[i],{wrt}[j]", form).status == "proved"


SIN2 = "s*p[t]*sin({0})**2"
FOUR = "((1 if theta <= pi/4 else -1) if theta <= pi/2 else 1 if theta <= 3*pi/4 else -1)"
ANGLES = [
    (
        "arcface",
        f"s*(1 - p[t])*({SIN2.format('m + theta')} + cos(m + theta)) if theta <= pi - m else 0",
    ),
    ("l_softmax_2", f"4*s*(1 - p[t])*(cos(2*theta)*{SIGN} + {SIN2.format('2*theta')})"),
    ("l_softmax_4", f"16*s*(1 - p[t])*(cos(4*theta)*{FOUR} + {SIN2.format('4*theta')})"),
]


@pytest.mark.parametrize(("name", "form"), ANGLES)
def test_a_square_of_a_sine_is_written_as_one(name: str, form: str) -> None:
    assert derive.hessian(derive.load(name), "theta").formula == form


@pytest.mark.parametrize(("first", "second"), [("i", "j"), ("r", "s1"), ("i", "k"), ("k", "i")])
@pytest.mark.parametrize(("name", "wrt"), [("arcface", "c"), ("dice", "z"), ("entropy", "z")])
def test_letters_of_a_second_derivative_do_not_matter(
    name: str, wrt: str, first: str, second: str
) -> None:
    loss = derive.load(name)
    usual = derive.hessian(loss, wrt)
    asked = [parse_entry(loss, f"{wrt}[{letter}]") for letter in (first, second)]
    found = derive.hessian(loss, *asked)
    found.replay()
    assert length(found.result) == length(usual.result), found.formula
    assert derive.check(loss, f"{wrt}[{first}],{wrt}[{second}]", found.formula).status == "proved"


SAMPLES = [
    (name, declaration.name)
    for name in derive.library()
    if not names_batch(loss := derive.load(name))
    for declaration in loss.declarations
    if declaration.role in ("input", "param")
]


@pytest.mark.parametrize(("name", "wrt"), SAMPLES)
def test_gradient_of_a_mean_from_that_of_one_sample(name: str, wrt: str) -> None:
    """It is proved against the loss over the batch, which is differentiated as a whole."""
    loss = derive.load(name)
    found = gradient_of_mean(derive.gradient(loss, wrt))
    found.replay()
    assert {step.check for step in found.all_steps()}.isdisjoint({"unknown"})
    (variable,) = found.wrt
    entry = ", ".join(index.name for index in variable.indices)
    verdict = derive.check(
        batched(loss, "mean"), f"{wrt}[{entry}]" if entry else wrt, found.formula
    )
    assert verdict.status == "proved", verdict


def test_gradient_of_a_mean_by_a_definition() -> None:
    loss = derive.load("softmax_cross_entropy")
    found = gradient_of_mean(derive.gradient(loss, "p"))
    assert found.formula == "-y[m, j]/(N*p[m, j])"
    assert derive.check(batched(loss, "mean"), "p[m, j]", found.formula).status == "proved"


def test_what_every_sample_shares_leaves_the_sum() -> None:
    loss = derive.parse(
        "w: param[D]\nx: input[D]\ny: target\n"
        "z = sum(w[i]*x[i] for i in D)\nL = (z - y)**2/2 + 3*sum(w[i]**2 for i in D)\n"
    )
    found = gradient_of_mean(derive.gradient(loss, "w"))
    assert found.formula.startswith("6*w[j] + sum(") and found.formula.endswith("/N")


DEEP = """q: input[D]
M: param[N2, D]
V: param[N2, D]
y: target[D]
s[i] = sum(q[d] * M[i, d] for d in D)
w[i] = exp(s[i]) / sum(exp(s[j]) for j in N2)
h[d] = sum(w[i] * V[i, d] for i in N2)
m = sum(h[d] for d in D) / D
v = sum((h[d] - m)**2 for d in D) / D
u[d] = (h[d] - m) / sqrt(v + 1)
L = sum(y[d] * u[d] for d in D)
"""


def test_sums_that_stand_for_others_do_not_stay() -> None:
    """Attention under a normalisation: a sum three levels down moves up as names are folded."""
    loss = derive.parse(DEEP)
    found = derive.hessian(loss, "M")
    assert tensors(found.result) <= {loss.tensor(n) for n in (*loss.declared, *loss.defined)}
    assert "unknown" not in {step.check for step in found.all_steps()}
    assert_same_value(found.loss, found.start, found.result, seed=1)
