"""What is derived for a user: in the names of the loss, and in those of what it leaves unnamed."""

from __future__ import annotations

from collections.abc import Sequence

from derive import claims, engine, forwards, products
from derive.coined import with_names
from derive.derivation import Derivation
from derive.errors import InputError
from derive.index import Entry
from derive.loss import Loss
from derive.products import Names
from derive.verdict import Verdict


def gradient(loss: Loss, wrt: str | Entry, of: str | Entry | None = None) -> Derivation:
    """The derivative of the loss (or of the definition `of`) with respect to a name.

    `wrt` is a declared or defined name, or an entry with the indices to use.  The result is an
    expression in the names of `result.loss`, with those indices free.
    Raises DerivationError for an unknown name, or where a construct has no rule.
    """
    return engine.gradient(with_names(loss), wrt, of)


def hessian(loss: Loss, first: str | Entry, second: str | Entry | None = None) -> Derivation:
    """The second derivative of the loss with respect to two entries, or one name twice."""
    return forwards.hessian(with_names(loss), first, second)


def higher(loss: Loss, *wrt: str | Entry) -> Derivation:
    """The derivative of the loss with respect to one entry after the other, mixed or repeated."""
    return forwards.higher(with_names(loss), *wrt)


def vjp(loss: Loss, of: str | Entry, wrt: str | Entry) -> Derivation:
    """sum_i u[i] dp[i]/da[j]: a cotangent u in the shape of `of`, times the Jacobian."""
    return products.vjp(with_names(loss), of, wrt)


def jvp(loss: Loss, of: str | Entry, wrt: Names) -> Derivation:
    """sum_j v[j] dp[i]/da[j]: the Jacobian times a direction v in the shape of `wrt`."""
    return products.jvp(with_names(loss), of, wrt)


def hvp(loss: Loss, wrt: str | Entry, along: Names | None = None) -> Derivation:
    """sum_k v[k] d2L/(da[j] da[k]): the Hessian times a direction v in the shape of `along`."""
    return products.hvp(with_names(loss), wrt, along)


def check(loss: Loss, wrt: str, claim: str, at: Sequence[str] = ()) -> Verdict:
    """Judge a claimed derivative of the loss, as `claims.check` does.

    The claim may use the names that the loss leaves unnamed, or those letters as it likes.
    """
    try:
        return claims.check(with_names(loss), wrt, claim, at)
    except InputError as error:
        try:
            return claims.check(loss, wrt, claim, at)
        except InputError:
            raise error from None
