"""A dense target given as class labels: the delta contracted, the numbers the same."""

from __future__ import annotations

import numpy as np
import pytest
import samples
from exact import Exact
from mpmath import mp

import codegen
import derive
from codegen.builder import default_wrt, dense_target
from derive.errors import DerivationError
from derive.index import Index
from derive.labels import with_labels
from derive.printing import language

NAMES = [name for name in derive.library() if dense_target(derive.load(name))]
named = pytest.mark.parametrize("name", NAMES)


def test_the_delta_is_contracted() -> None:
    loss = with_labels(derive.load("softmax_cross_entropy"), "y")
    assert language(loss.value.body, loss) == "-log(p[y])"
    result = derive.gradient(loss, "a").result
    assert language(result, loss) == "p[j] - delta(j, y)"


def test_terms_without_the_delta_stay() -> None:
    text = "a: input[K]\ny: target[K] in simplex\nL = sum(a[i]*y[i] + a[i]**2 for i in K)\n"
    loss = with_labels(derive.parse(text), "y")
    assert language(loss.value.body, loss) == "a[y] + sum(a[i]**2 for i in K)"


@named
def test_labels_equal_one_hot_targets(name: str) -> None:
    loss = derive.load(name)
    target = dense_target(loss)
    dense, index = codegen.build(loss), codegen.build(loss, labels="index")
    given = samples.arrays(index.loss)
    one_hot = {**given, target: np.eye(samples.SIZES["K"])[given[target]]}
    (losses, found), (expected, slopes) = index(**given), dense(**one_hot)
    np.testing.assert_allclose(losses, expected, rtol=1e-14)
    for wrt in index.wrt:
        np.testing.assert_allclose(found[wrt], slopes[wrt], rtol=1e-13, atol=1e-16)


@named
def test_engine_on_the_labelled_loss_agrees(name: str) -> None:
    """Differentiating after the contraction gives what contracting after it gives."""
    loss = with_labels(derive.load(name), dense_target(derive.load(name)) or "")
    labelled = codegen.build(derive.load(name), labels="index")
    given = samples.arrays(loss, {**samples.SIZES, "N": 1})
    sample = {d.name: d.role in ("input", "target") for d in loss.declarations}
    row = {key: x[0] if sample[key] else x for key, x in given.items()}
    _, found = labelled(**given)
    with mp.workdps(40):
        exact = Exact(loss, samples.SIZES, {key: np.asarray(x) for key, x in row.items()})
        for wrt in default_wrt(loss):
            derivation = derive.gradient(loss, wrt)
            places = [i for i in derivation.wrt[0].indices if isinstance(i, Index)]
            got = found[wrt][0] if sample[wrt] else found[wrt]
            for at in np.ndindex(np.shape(got)):
                expected = float(exact(derivation.result, dict(zip(places, at, strict=True))))
                np.testing.assert_allclose(got[at], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["a", "q"])
def test_only_a_dense_target_can_be_labels(name: str) -> None:
    with pytest.raises(DerivationError, match=rf"has no dense target '{name}'"):
        with_labels(derive.load("softmax_cross_entropy"), name)
