"""Which letters the indices of a claim have."""

from __future__ import annotations

import pytest

import derive


@pytest.mark.parametrize(
    ("name", "wrt", "claim"),
    [
        ("softmax_cross_entropy", "a", "p[j] - y[j]"),
        ("softmax_cross_entropy", "a, a", "p[i]*(delta(i, j) - p[j])"),
        ("linear_softmax_cross_entropy", "W", "x[s]*(p[r] - y[r])"),
        ("linear_softmax_cross_entropy", "b", "p[r] - y[r]"),
    ],
)
def test_names_alone_have_the_letters_that_derivations_print(
    name: str, wrt: str, claim: str
) -> None:
    loss = derive.load(name)
    found = derive.higher(loss, *(part.strip() for part in wrt.split(",")))
    assert found.formula == claim
    assert derive.check(loss, wrt, claim).status == "proved"


def test_an_index_that_is_missing_is_shown_in_the_letters_at_hand() -> None:
    loss = derive.load("softmax_cross_entropy")
    with pytest.raises(derive.InputError, match=r"found no index on 'p', expected 1 index: p\[j\]"):
        derive.check(loss, "a[j]", "p - y")
    with pytest.raises(derive.InputError, match=r"the free index 'i', expected .*, here j or"):
        derive.check(loss, "a[j]", "p[i] - y[i]")
