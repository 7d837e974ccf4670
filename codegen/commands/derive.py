"""Derive a gradient, a second derivative, a Jacobian or a value, step by step.

Every step is named, justified and checked.  Without --wrt: every input and param.

  pminusy derive softmax_cross_entropy --wrt a
  pminusy derive softmax_cross_entropy --of p --wrt a --style cases     the softmax's Jacobian
  pminusy derive softmax_cross_entropy --wrt a --order 2                the Hessian
  pminusy derive softmax_cross_entropy --of p --wrt a --vjp             a cotangent u times dp/da
  pminusy derive softmax_cross_entropy --wrt a --hvp                    the Hessian times v
  pminusy derive linear_softmax_cross_entropy --wrt W --hvp --along W,b ... W and b moving together
  pminusy derive linear_softmax_cross_entropy --wrt W --reduction mean --to latex
  pminusy derive softmax_cross_entropy --wrt a --properties             convexity and the like
  pminusy derive softmax_cross_entropy --stable                         safe from overflow
  pminusy derive examples/kl_as_difference.loss --value KL              a value, rewritten
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen.commands import (
    as_json,
    deliver,
    product_options,
    say,
    split_names,
    text_width,
    write_file,
)
from derive.errors import PminusyError

if TYPE_CHECKING:
    from derive import Derivation, Loss
    from derive.index import Entry
    from derive.point import Point
    from derive.properties import Property

HELP = "derive a gradient, step by step"
TO = ("text", "latex", "markdown", "gfm", "html", "pdf", "ipynb", "json")
PARTS = "matrix,second,stable,properties,example,plots"
WITH = f"what else to say: {PARTS}; all or none (by default a page and a PDF say all but plots)"
EXAMPLE = "numbers to put into the formulas: a=1.4,3.2,5 y=0,0,1, or y=2: a class counts from 0"
SINGLE = ("text", "json")  # one derivation each; the other documents hold several
STYLES = ("delta", "cases", "matrix")


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("loss", metavar="LOSS", help="a library name, a .loss file, or -")
    add("--wrt", metavar="NAMES", help="with respect to these: a or a,W or 'W[r,s]'")
    add("--of", metavar="NAME", help="the derivative of this definition instead of the loss")
    add("--order", type=int, choices=(1, 2, 3), default=1, help="of the derivative")
    product_options.add(parser)
    add("--value", metavar="NAME", help="rewrite the value of a definition in earlier names")
    add("--style", choices=STYLES, default="delta", help="how the result is written")
    add("--reduction", choices=("none", "mean", "sum"), default="none", help="over a batch of N")
    add(
        "--to",
        choices=TO,
        default="text",
        help="what to print; markdown is for Jupyter, Quarto, pandoc and GitLab, gfm for GitHub",
    )
    add("--fragment", action="store_true", help="LaTeX without a preamble")
    add("--detail", choices=("brief", "normal", "full"), default="normal", help="how many steps")
    add("--with", dest="parts", metavar="PARTS", help=WITH)
    add("--example", metavar="NAME=VALUES", nargs="+", help=EXAMPLE)
    add("--properties", action="store_true", help="what follows: convexity, limits, sums")
    add("--stable", action="store_true", help="the rewriting that keeps the loss from overflow")
    add("-o", metavar="FILE", dest="out", help="write to a file; a PDF without it: LOSS.pdf")


def run(options: Namespace) -> int:
    from derive import load
    from derive.batch import batched
    from derive.coined import with_names

    loss = load(options.loss)
    if options.reduction != "none":
        loss = batched(loss, options.reduction)
    if options.properties:
        return _properties(with_names(loss), options)
    found = derivations(loss, options)
    _deliver(found, options)
    return 0


def derivations(loss: Loss, options: Namespace) -> list[Derivation]:
    """What the options ask for, one derivation for each name."""
    from derive import gradient, higher, parse_entry
    from derive.rewrite import value

    other = "--stable" if options.stable else "--value" if options.value else ""
    if other and (options.order > 1 or options.of):
        asked = "--of" if options.of else "--order"
        raise PminusyError(f"{asked} is for a derivative: leave it or {other} out")
    if options.stable:
        from codegen.explain import stabilizations

        return list(stabilizations(loss))
    if options.value:
        return [value(loss, parse_entry(loss, options.value, "--value"))]
    names = split_names(options.wrt) if options.wrt else _variables(loss)
    if product_options.wanted(options):
        return product_options.products(loss, options, names)
    of = parse_entry(loss, options.of, "--of") if options.of else None
    found = []
    if options.order > 1:
        if of is not None:
            raise PminusyError("a higher derivative is of the loss itself: leave --of out")
        return [higher(loss, *entries) for entries in _tuples(loss, names, options.order)]
    for name in names:
        wrt = parse_entry(loss, name, "--wrt") if "[" in name else name
        found.append(gradient(loss, wrt, of))
    return found


def _tuples(loss: Loss, names: list[str], order: int) -> list[tuple[str | Entry, ...]]:
    """What to differentiate by: 'a[i],a[j]' is one pair, 'a,W' is two names, each repeated."""
    from derive import parse_entry

    entries = [parse_entry(loss, name, "--wrt") if "[" in name else name for name in names]
    if len(entries) == order and all("[" in name for name in names):
        return [tuple(entries)]
    return [(name.partition("[")[0],) * order for name in names]


def _variables(loss: Loss) -> list[str]:
    return [d.name for d in loss.declarations if d.role in ("input", "param")]


def _deliver(found: list[Derivation], options: Namespace) -> None:
    """Print the documents, or write them to a file, with the pictures that they show beside it."""
    from codegen.documents import BESIDE, WIDTH, files, write
    from derive.rewrite import in_cases

    to = "json" if options.json else options.to
    if options.style == "cases":
        found = [in_cases(d) for d in found]
    name = f"{found[0].loss.name}.pdf" if to == "pdf" and options.out is None else options.out
    how = {"fragment": options.fragment, "detail": options.detail, "parts": _parts(options, to)}
    # Each document: what it begins with, and what follows in it.
    single = to in SINGLE or (options.fragment and to == "latex")
    groups = [(d, []) for d in found] if single else [(found[0], found[1:])]
    made = [{"example": _example(d.loss, options), "others": more, **how} for d, more in groups]
    if name is None or (to not in BESIDE and to != "pdf"):
        width = text_width() if name is None else WIDTH
        how = {"width": width, "processes": os.cpu_count() or 1}
        texts = [write(d, to, **how, **with_) for (d, _), with_ in zip(groups, made, strict=True)]
        deliver(_joined(texts, to), name)
        return
    out, documents = Path(name), []
    for number, ((one, _), with_) in enumerate(zip(groups, made, strict=True), 1):
        stem = out.stem if len(groups) == 1 else f"{out.stem}-{number}"
        document, pictures = files(one, to, stem, **with_)
        documents.append(document)
        for address, picture in pictures.items():
            write_file(out.parent / address, picture)
    write_file(out, b"\n".join(documents))
    if options.out is None:
        say(name)


def _joined(texts: list[str], to: str) -> str:
    if to != "json":
        return "\n".join(texts)
    return texts[0] if len(texts) == 1 else "[" + ",\n".join(t.rstrip() for t in texts) + "]\n"


def _example(loss: Loss, options: Namespace) -> Point | None:
    from derive.given import given_point

    return given_point(loss, options.example) if options.example else None


def _parts(options: Namespace, to: str) -> tuple[str, ...]:
    """What --with asks for; without it a page and a PDF say most, the others nothing."""
    from codegen.documents import PAGE_PARTS, PARTS

    more = ("matrix",) if options.style == "matrix" else ()
    if options.parts is None:
        return PAGE_PARTS if to in ("html", "pdf") and options.detail != "brief" else more
    if options.parts in ("all", "none"):
        return PARTS if options.parts == "all" else more
    return (*more, *split_names(options.parts))


def _properties(loss: Loss, options: Namespace) -> int:
    from derive.properties import bounds, properties

    names = split_names(options.wrt) if options.wrt else _variables(loss)
    rows = [_property_row(None, found) for found in bounds(loss)]
    rows += [_property_row(name, found) for name in names for found in properties(loss, name)]
    if options.json:
        as_json({"loss": loss.name, "properties": rows})
        return 0
    for row in rows:
        given = f", given {' and '.join(row['hypotheses'])}" if row["hypotheses"] else ""
        say(f"{row['property']}: {row['status']}: {row['statement']}{given}")
        sign = str(row["relation"])
        for number, step in enumerate(row["steps"] or ()):
            say(f"  {sign if number else '':{len(sign)}} {step}")
        if row["counterexample"]:
            say(f"  at {row['counterexample']}")
    return 0


def _property_row(wrt: str | None, found: Property) -> dict[str, Any]:
    """A property as data; one of the loss itself is by no name."""
    from codegen.documents.data import property_data

    return {"wrt": wrt, **property_data(found)}
