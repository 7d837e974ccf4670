"""Check a hand-derived gradient: proved, refuted with numbers, or unknown.

The claim is written in the language of .loss files, with the letters of --wrt: a name alone has
those that `pminusy derive` prints.  Two entries in --wrt claim a second derivative; --value claims
what a definition is equal to.

  pminusy check softmax_cross_entropy --wrt 'a[j]' --claim 'p[j] - y[j]'
  pminusy check softmax_cross_entropy --wrt 'a[i],a[j]' --claim 'p[i]*(delta(i, j) - p[j])'
  pminusy check softmax_cross_entropy --wrt 'a[j]' --hvp \\
      --claim 'p[j]*(v[j] - sum(p[k]*v[k] for k in K))'
  pminusy check examples/kl_as_difference.loss --value KL --claim 'CE - H'

A counterexample is found for you; --at looks for one at numbers of yours first, as `pminusy
evaluate` takes them:

  pminusy check softmax_cross_entropy --wrt 'a[j]' --claim 'y[j] - p[j]' --at a=1,2,3 y=0,0,1

With --vjp, --jvp and --hvp the claim is about a product with the Jacobian or the Hessian: u is the
cotangent, v the direction, as `pminusy derive` names them.

--code judges a function instead: NumPy arrays in, by the declared names and with a leading N
for the batch, and the gradient out, in the shape of --wrt.  It is compared with ball arithmetic
over margins, offsets, scales, sizes, ties, infinities and subnormals, in float64 and float32.
The function is your code, and it is run: in a process of its own, with a time limit.

  pminusy check softmax_cross_entropy --wrt a --code examples/hand_written.py:softmax_textbook

A class label (`t: target in K`) comes as an array of integers; --labels one-hot hands it over as
rows of one 1.  --labels index hands a dense target over as class labels, as kernels take it:

  pminusy check softmax_cross_entropy --wrt a --labels index --code mine.py:gradient
  pminusy check softmax_cross_entropy --wrt 'a[j]' --labels index --claim 'p[j] - delta(j, y)'

Indices and class labels count from 0.  Exit code: 0 proved, 1 refuted, 2 bad input, 3 unknown;
with --code: 0 right and accurate, 1 wrong or inaccurate, 2 bad input, 3 undecided.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from codegen.commands import as_json, product_options, say, split_names, styled
from derive.errors import PminusyError

if TYPE_CHECKING:
    from derive import Counterexample, Derivation, Loss, Verdict

HELP = "prove or refute a gradient derived by hand"
CODES = {"proved": 0, "refuted": 1, "unknown": 3}
STYLES = {"proved": "bold green", "refuted": "bold red", "unknown": "bold yellow"}


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("loss", metavar="LOSS", help="a library name, a .loss file, or -")
    add("--wrt", metavar="ENTRY", help="the entry derived for, with letters: 'a[j]'")
    add("--value", metavar="ENTRY", help="claim the value of a definition: KL or 'p[i]'")
    add("--of", metavar="ENTRY", help="for --vjp and --jvp: what is differentiated, such as 'p[i]'")
    product_options.add(parser)
    claimed = parser.add_mutually_exclusive_group(required=True)
    claimed.add_argument("--claim", metavar="EXPRESSION", help="what is claimed")
    claimed.add_argument("--code", metavar="MODULE:FUNCTION", help="run this code and judge it")
    add("--at", metavar="NAME=VALUES", nargs="+", default=[], help="numbers to try a claim at")
    add("--reduction", choices=("none", "mean", "sum"), default="none", help="over a batch of N")
    add(
        "--timeout", type=float, default=20.0, metavar="SECONDS", help="for --code; 20 if not given"
    )
    add(
        "--labels",
        choices=("declared", "index", "one-hot"),
        default="declared",
        help="a dense target as class labels; for --code also labels as one-hot rows",
    )
    add("--max-ulp", type=float, default=512.0, metavar="ULP", help="for --code; 512 if not given")


def run(options: Namespace) -> int:
    from derive import check, check_product, check_value, load
    from derive.batch import batched

    if (options.wrt is None) == (options.value is None):
        raise PminusyError("say what the claim is about: --wrt 'a[j]', or --value NAME")
    loss = load(options.loss)
    if options.code is not None:
        if options.at:
            raise PminusyError("--at goes with --claim")
        return _run_code(loss, options)
    if options.labels != "declared":
        loss = _labelled(loss, options.labels)
    if options.reduction != "none":
        loss = batched(loss, options.reduction)
    product = _product(loss, options)
    if product is not None:
        loss, verdict = product.loss, check_product(product, options.claim, options.at)
    elif options.value is not None:
        verdict = check_value(loss, options.value, options.claim, options.at)
    else:
        verdict = check(loss, options.wrt, options.claim, options.at)
    if options.json:
        as_json(_data(loss, verdict))
    else:
        _print(loss, verdict)
    return CODES[verdict.status]


def _labelled(loss: Loss, labels: str) -> Loss:
    from codegen.code_check import labelled

    if labels == "one-hot":
        raise PminusyError("--labels one-hot goes with --code")
    return labelled(loss, labels)


def _product(loss: Loss, options: Namespace) -> Derivation | None:
    """The product that a claim is about; None where it is about a derivative or a value."""
    if not product_options.wanted(options):
        if options.of:
            raise PminusyError("--of goes with --vjp or --jvp")
        return None
    names = split_names(options.wrt or "")
    if len(names) != 1:
        raise PminusyError("a claim is about one product: name one entry in --wrt")
    return product_options.products(loss, options, names)[0]


def _run_code(loss: Loss, options: Namespace) -> int:
    from codegen.code_check import check_code
    from codegen.commands import check_report

    if options.wrt is None:
        raise PminusyError("--code takes --wrt NAME: what the code is the gradient by")
    name = options.wrt.partition("[")[0].strip()
    print(check_report.notice(options.code, options.timeout), file=sys.stderr, flush=True)
    report = check_code(
        loss,
        name,
        options.code,
        options.timeout,
        options.max_ulp,
        options.reduction,
        options.labels,
    )
    if options.json:
        as_json(check_report.data(loss, name, options.code, report))
    else:
        check_report.show(report)
    return check_report.CODES[report.status]


def _data(loss: Loss, verdict: Verdict) -> dict[str, Any]:
    from derive.printing import language

    return {
        "loss": loss.name,
        "status": verdict.status,
        "reason": verdict.reason,
        "hypotheses": list(verdict.hypotheses),
        "hint": verdict.hint,
        "claim": language(verdict.claim, loss),
        "truth": language(verdict.truth, loss),
        "counterexample": _example(verdict.counterexample),
    }


def _example(example: Counterexample | None) -> dict[str, Any] | None:
    from derive.point import show
    from derive.verdict import decimal

    if example is None:
        return None
    return {
        "sizes": dict(example.sizes),
        "values": {name: show(value) for name, value in example.values.items()},
        "indices": dict(example.indices),
        "claimed": decimal(example.claimed),
        "true": decimal(example.true),
    }


def _print(loss: Loss, verdict: Verdict) -> None:
    from derive.point import show
    from derive.printing import language
    from derive.verdict import decimal

    say(f"{styled(verdict.status, STYLES[verdict.status])}: {verdict.reason}")
    if verdict.hint:
        say(f"  hint    {verdict.hint}")
    example = verdict.counterexample
    if example is not None:
        where = [f"{name} = {size}" for name, size in example.sizes.items()]
        where += [f"{letter} = {number}" for letter, number in example.indices.items()]
        say(
            f"  at      {', '.join(where)}" + (" (indices count from 0)" if example.indices else "")
        )
        for name, value in example.values.items():
            say(f"          {name} = {show(value)}")
        say(f"  claim   {decimal(example.claimed)}")
        say(f"  truth   {decimal(example.true)}")
    if verdict.status != "proved":
        say(f"  it is   {language(verdict.truth, loss)}")
