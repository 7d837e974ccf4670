"""Losses that name no softmax, sigmoid or norm: the derivation names what recurs, and says so."""

from __future__ import annotations

import json

import pytest
from points import assert_same_value

import derive
from codegen.documents import write
from derive.coined import with_names
from derive.loss import Loss
from derive.printing import language

LOGITS = "a: input[K]\nt: target in K\n"
SCORE = "z: input\ny: target in unit\n"
PAIRS = "u: input[N, D]\nv: input[N, D]\ntau: const > 0 = 0.1\n"
SIMILAR = "exp(sum(u[i, d]*v[{}, d] for d in D)/tau)"
NCE = f"L = -mean(log({SIMILAR.format('i')}/sum({SIMILAR.format('j')} for j in N)) for i in N)\n"
NORM = "sqrt(sum({0}[d]**2 for d in D))"

# text, what is named, by what, the gradient, the second derivative
UNNAMED = {
    "cross_entropy": (
        LOGITS + "L = log(sum(exp(a[k]) for k in K)) - a[t]\n",
        ["p[k] = exp(a[k])/sum(exp(a[i]) for i in K)"],
        "a",
        "p[j] - delta(j, t)",
        "p[j]*(delta(j, k) - p[k])",
    ),
    "its_quotient": (
        LOGITS + "p = a[t]\nL = -log(exp(p)/sum(exp(a[k]) for k in K))\n",
        ["q[k] = exp(a[k])/sum(exp(a[i]) for i in K)"],
        "a",
        "q[j] - delta(j, t)",
        "q[j]*(delta(j, k) - q[k])",
    ),
    "weighted": (
        LOGITS + "w: const[K] > 0 = 1\nL = -log(w[t]*exp(a[t])/sum(w[k]*exp(a[k]) for k in K))\n",
        ["p[k] = w[k]*exp(a[k])/sum(w[i]*exp(a[i]) for i in K)"],
        "a",
        "p[j] - delta(j, t)",
        "p[j]*(delta(j, k) - p[k])",
    ),
    "logistic": (
        SCORE + "L = -y*log(1/(1 + exp(-z))) - (1 - y)*log(1 - 1/(1 + exp(-z)))\n",
        ["p = 1/(1 + exp(-z))"],
        "z",
        "p - y",
        "p*(1 - p)",
    ),
    "softplus": (
        SCORE + "L = log(1 + exp(z)) - y*z\n",
        ["p = exp(z)/(1 + exp(z))"],
        "z",
        "p - y",
        "p*(1 - p)",
    ),
    "info_nce": (
        PAIRS + NCE,
        [f"p[j, i] = {SIMILAR}/sum({SIMILAR} for n in N)".replace("i,", "j,").format("i", "n")],
        "v",
        "(sum(p[j, n]*u[j, r] for j in N) - u[n, r])/(N*tau)",
        "sum(p[i, j]*u[i, d]*u[i, r]*(delta(j, n) - p[i, n]) for i in N)/(N*tau**2)",
    ),
    "three_terms": (
        "u: input\nv: input\nL = log(1 + exp(u) + exp(v)) - u\n",
        ["p = exp(u)/(1 + exp(u) + exp(v))", "q = exp(v)/(1 + exp(u) + exp(v))"],
        "u",
        "p - 1",
        "p*(1 - p)",
    ),
    "two_sums": (
        LOGITS + "y: target[K] in binary\n"
        "L = log(1 + sum(exp(-a[i]) for i in K if y[i] == 1))"
        " + log(1 + sum(exp(a[i]) for i in K if y[i] == 0))\n",
        [
            "p[i] = exp(-a[i])/(1 + sum(exp(-a[j]) for j in K if y[j] == 1))",
            "q[i] = exp(a[i])/(1 + sum(exp(a[j]) for j in K if y[j] == 0))",
        ],
        "a",
        "q[j] - y[j]*(p[j] + q[j])",
        "",
    ),
    "at_risk": (
        "z: input[N]\nt: target[N]\n"
        "L = sum(log(sum(exp(z[k]) for k in N if t[k] >= t[i])) - z[i] for i in N)\n",
        ["p[k, i] = exp(z[i])/sum(exp(z[n]) for n in N if t[n] >= t[k])"],
        "z",
        "sum(p[k, n] for k in N if t[n] >= t[k]) - 1",
        "",
    ),
    "cosine": (
        "u: input[D]\nv: input[D]\n"
        f"L = 1 - sum(u[d]*v[d] for d in D)/({NORM.format('u')}*{NORM.format('v')})\n",
        [f"r = {NORM.format('u')}", f"c = {NORM.format('v')}"],
        "u",
        "(u[j]*sum(u[d]*v[d] for d in D)/r**3 - v[j]/r)/c",
        "",
    ),
}


def coined(loss: Loss) -> list[str]:
    named = [d for d in with_names(loss).definitions if d.coined]
    return [f"{language(d.entry, loss)} = {language(d.body, loss)}" for d in named]


@pytest.mark.parametrize("name", UNNAMED)
def test_what_recurs_is_named(name: str) -> None:
    text, named, wrt, slope, second = UNNAMED[name]
    loss = derive.parse(text, name)
    assert coined(loss) == named
    found = derive.gradient(loss, wrt)
    assert found.formula == slope
    found.replay()
    twice = derive.hessian(loss, wrt)
    assert second in ("", twice.formula)
    twice.replay()
    for each in (found, twice):
        assert "unknown" not in {step.check for step in each.all_steps()}
    assert_same_value(found.loss, found.start, found.result, seed=5)


@pytest.mark.parametrize("name", UNNAMED)
def test_a_claim_may_use_the_names_or_not(name: str) -> None:
    text, _, wrt, slope, _ = UNNAMED[name]
    loss = derive.parse(text, name)
    found = derive.gradient(loss, wrt)
    entry = language(found.wrt[0], found.loss, found.names)
    own = frozenset(loss.defined)
    plain = language(found.loss.unfold(found.result, own), found.loss, found.names)
    for claim in (slope, plain):
        assert derive.check(loss, entry, claim).status == "proved"
    assert derive.check(loss, entry, f"2*({slope}) + 1").status == "refuted"


def test_a_claim_may_use_the_letters_that_names_would_have() -> None:
    loss = derive.parse(UNNAMED["cross_entropy"][0])
    claim = "exp(a[p])/sum(exp(a[q]) for q in K) - delta(p, t)"
    assert derive.check(loss, "a[p]", claim).status == "proved"
    with pytest.raises(derive.InputError, match="dlta"):
        derive.check(loss, "a[j]", "p[j] - dlta(j, t)")


@pytest.mark.parametrize("name", [n for n in derive.library() if n != "cox_partial_likelihood"])
def test_the_library_names_its_own_parts(name: str) -> None:
    loss = derive.load(name)
    assert with_names(loss) == loss


OWN = [
    SCORE + "p = 1/(1 + exp(-z))\nL = (1/(1 + exp(-z)) - y)**2 + p\n",
    LOGITS + "s[k] = exp(a[k])/sum(exp(a[i]) for i in K)\nL = log(sum(exp(a[j]) for j in K))\n",
    "x: input[D]\nL = sqrt(sum(x[d]**2 for d in D))\n",
    SCORE + "L = log(1 - exp(-y)/2) + z**2/(1 + y)\n",
]


@pytest.mark.parametrize("text", OWN)
def test_nothing_is_named_twice_or_without_need(text: str) -> None:
    assert coined(derive.parse(text)) == []


@pytest.mark.parametrize("form", ["text", "markdown", "gfm", "latex", "html", "ipynb"])
def test_every_document_says_what_it_named(form: str) -> None:
    own = derive.gradient(derive.load("softmax_cross_entropy"), "a")
    named = derive.gradient(derive.parse(UNNAMED["cross_entropy"][0]), "a")
    said = "not in the loss"
    assert said in write(named, form) and said not in write(own, form)


def test_json_says_which_definitions_are_its_own() -> None:
    found = json.loads(
        write(derive.gradient(derive.parse(UNNAMED["cross_entropy"][0]), "a"), "json")
    )
    assert [d["coined"] for d in found["definitions"]] == [True, False]
    assert found["definitions"][0]["value"] == "exp(a[k])/sum(exp(a[i]) for i in K)"
