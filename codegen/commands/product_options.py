"""The options for products with a Jacobian or a Hessian, and the derivations they ask for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from codegen.commands import split_names
from derive.errors import PminusyError

if TYPE_CHECKING:
    from derive import Derivation, Loss
    from derive.index import Entry


def add(parser: ArgumentParser) -> None:
    """--vjp, --jvp, --hvp, one of them at the most, and --along."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--vjp", action="store_true", help="sum_i u[i] dp[i]/da[j], u a cotangent of --of"
    )
    one.add_argument(
        "--jvp", action="store_true", help="sum_j v[j] dp[i]/da[j], v a direction of --wrt"
    )
    one.add_argument(
        "--hvp", action="store_true", help="the Hessian times a direction v in the shape of --wrt"
    )
    parser.add_argument(
        "--along",
        metavar="NAMES",
        help="for --jvp and --hvp: these move together; --wrt itself if not given",
    )


def wanted(options: Namespace) -> bool:
    """Whether a product is asked for.  Raises PminusyError for options that go with none."""
    product = bool(options.vjp or options.jvp or options.hvp)
    if options.along and not (options.jvp or options.hvp):
        raise PminusyError("--along goes with --jvp or --hvp")
    if product and getattr(options, "order", 1) > 1:
        raise PminusyError("--order does not go with a product: leave it out")
    if options.hvp and options.of:
        raise PminusyError("a Hessian is of the loss itself: leave --of out")
    return product


def products(loss: Loss, options: Namespace, names: list[str]) -> list[Derivation]:
    """One product for each name of --wrt; with --jvp --along one for all of those together."""
    from derive import hvp, jvp, vjp

    along = [entry(loss, name, "--along") for name in split_names(options.along or "")]
    of = entry(loss, options.of, "--of") if options.of else loss.value.name
    if options.jvp and along:
        return [jvp(loss, of, along)]
    entries = [entry(loss, name, "--wrt") for name in names]
    if options.vjp:
        return [vjp(loss, of, one) for one in entries]
    if options.jvp:
        return [jvp(loss, of, one) for one in entries]
    return [hvp(loss, one, along or None) for one in entries]


def entry(loss: Loss, text: str, option: str) -> str | Entry:
    """A name as it is, or an entry with the user's letters: 'a[j]'."""
    from derive import parse_entry

    return parse_entry(loss, text, option) if "[" in text else text
