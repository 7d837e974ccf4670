"""The kernel IR: what is legal, and what each pass leaves of it."""

from __future__ import annotations

import pytest
from sympy import Expr

import codegen
import derive
from codegen.builder import gradients
from codegen.kernel import Contract, Input, Kernel, Map, Reduce, Statement, validate
from codegen.lower import lower_loss
from derive.errors import KernelError
from derive.index import Axis, Entry, Index, Tensor, total

N, K = Axis("N"), Axis("K")
n, k = Index("n", N), Index("k", K)
a = Tensor("a", (N, K))


def kernel(*statements: Statement, outputs: tuple[tuple[str, Entry], ...] = ()) -> Kernel:
    return Kernel("case", (Input(a, "input"),), statements, outputs, N)


def test_a_legal_kernel() -> None:
    s = Tensor("s", (N,))
    validate(kernel(Reduce("s", (n,), "sum", (k,), a[n, k]), Map("t", (n,), s[n] + 1)))


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (Map("a", (n, k), a[n, k]), "a: the name is already taken"),
        (Map("s", (n,), a[n, k]), "the index kK0 is free"),
        (Map("s", (n, k), Tensor("b", (K,))[k]), "reads b before it is defined"),
        (Map("s", (n,), total(k, a[n, k])), "Total inside an expression"),
        (Reduce("s", (n,), "median", (k,), a[n, k]), "no op median"),
        (Reduce("s", (n,), "sum", (), a[n, k]), "nothing to reduce over"),
        (Reduce("s", (n, k), "sum", (k,), a[n, k]), "an index occurs twice"),
        (Map("s", (n, k), Tensor("a", (K, N))[k, n]), "does not fit the array a"),
        (Contract("s", (), (k,), (a[n, k],)), "the index nN0 is free"),
    ],
)
def test_illegal_kernels(statement: Statement, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        validate(kernel(statement))


def test_output_must_be_defined() -> None:
    with pytest.raises(KernelError, match="the output s is not defined"):
        validate(kernel(outputs=(("", Tensor("s", (N,))[n]),)))


def test_needed_keeps_what_an_output_needs() -> None:
    whole = codegen.build(derive.load("softmax_cross_entropy")).kernel
    loss_only = whole.needed("")
    names = [statement.name for statement in loss_only.statements]
    assert "L" in names
    assert "grad_a" not in names
    assert "p" not in names


def lowered(name: str) -> Kernel:
    loss = derive.load(name)
    names = [d.name for d in loss.declarations if d.role in ("input", "param")]
    pairs: list[tuple[Entry, Expr]] = [(g.wrt, g.result) for g in gradients(loss, names)]
    return lower_loss(loss, pairs)


@pytest.mark.parametrize("name", derive.library())
def test_library_lowers_to_legal_kernels(name: str) -> None:
    validate(lowered(name))
    validate(codegen.build(derive.load(name)).kernel)


def test_matrix_products_are_contractions() -> None:
    found = {
        s.name
        for s in lowered("linear_softmax_cross_entropy").statements
        if isinstance(s, Contract)
    }
    assert found >= {"grad_W", "grad_x"}


def test_equal_expressions_meet() -> None:
    """exp(a) is computed once, for the sum and for the quotient."""
    text = [str(s) for s in lowered("softmax_cross_entropy").statements]
    assert sum("exp(a[" in line for line in text) == 1
