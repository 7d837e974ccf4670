"""Many losses, each with gradients that are right in odd forms and ones that look right.

`prover_cases.txt` holds them: blocks that begin with `--- name`, a loss, and lines
`= entry : claim` for a right and `! entry : claim` for a wrong gradient.  What is right was
worked out by hand; the numbers of a refutation are recomputed from the text of the loss by
`plain`, and at a kink they are held against the values that are worked out here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from test_proof import assert_counterexample_holds

from derive import check, check_value, parse

PATH = Path(__file__).with_name("prover_cases.txt")

# Written with a function or an operation that `plain` lacks.
NOT_PLAIN = ("lgamma", "erf", "acos", "asin", "atan", "pi", "expm1", " and ", " or ", "not ")


def read() -> list[tuple[str, str, str, str, str]]:
    """(status, name, loss, entry, claim) of every line that holds a claim."""
    found = []
    for block in PATH.read_text().split("\n--- ")[1:]:
        name, *lines = block.strip().splitlines()
        claims = [line for line in lines if line.startswith(("= ", "! "))]
        text = "\n".join(line for line in lines if line not in claims) + "\n"
        for line in claims:
            entry, claim = line[2:].split(" : ", 1)
            status = "proved" if line.startswith("=") else "refuted"
            found.append((status, name, text, entry, claim))
    return found


CASES = read()
AT_KINK = ("a counterexample at a kink",)


@pytest.mark.parametrize(
    ("status", "name", "text", "entry", "claim"),
    CASES,
    ids=[f"{number}-{case[1]}-{case[0]}" for number, case in enumerate(CASES)],
)
def test_verdict(status: str, name: str, text: str, entry: str, claim: str) -> None:
    verdict = check(parse(text, name), entry, claim)
    assert verdict.status == status, verdict
    declared = f"\n{entry.split('[')[0]}:" in "\n" + text
    plain = declared and not any(word in text + claim for word in NOT_PLAIN)
    if status == "refuted" and plain and not verdict.reason.startswith(AT_KINK):
        assert_counterexample_holds(text, entry, claim, verdict)


def test_there_are_enough_cases() -> None:
    """At least 44 cases, 30 of them wrong, on 30 losses."""
    assert sum(status == "refuted" for status, *_ in CASES) >= 30
    assert sum(status == "proved" for status, *_ in CASES) >= 30
    assert len({name for _, name, *_ in CASES}) >= 30


KINKS = [
    # (loss, claim, status): at a tie or a zero the claim has to be one of the values between.
    ("x: input\nL = abs(x)\n", "1 if x >= 0 else -1", "proved"),
    ("x: input\nL = abs(x)\n", "sign(x) if x != 0 else 1/3", "proved"),
    ("x: input\nL = abs(x)\n", "sign(x) if x != 0 else 3", "refuted"),
    ("x: input\nL = relu(x)\n", "1 if x > 0 else (0 if x < 0 else 1/2)", "proved"),
    ("x: input\nL = relu(x)\n", "1 if x > 0 else (0 if x < 0 else 3/2)", "refuted"),
    ("x: input\nL = relu(x)\n", "1 if x > 0 else (0 if x < 0 else -1/2)", "refuted"),
    ("x: input\ny: input\nL = max(x, y)\n", "1 if x >= y else 0", "proved"),
    ("x: input\ny: input\nL = max(x, y)\n", "1 if x > y else (0 if x < y else 2)", "refuted"),
    ("x: input in unit\nL = abs(x) + abs(x - 1)\n", "sign(x) + sign(x - 1)", "proved"),
    ("x: input in unit\nL = abs(x)\n", "sign(x) if x != 0 else 2", "refuted"),
    ("x: input\nw: const\nL = x if w*x > 0 else 0\n", "1 if w*x >= 0 else 0", "refuted"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "claim", "status"), KINKS)
def test_at_a_kink_every_value_between_and_no_other_is_accepted(
    text: str, claim: str, status: str
) -> None:
    verdict = check(parse(text), "x", claim)
    assert verdict.status == status, verdict
    assert status != "proved" or "x >= y" in claim or "off the kinks" in verdict.reason


def test_a_counterexample_at_a_kink_shows_the_values_between() -> None:
    claim = "1 if x > 0 else (0 if x < 0 else 3/2)"
    found = check(parse("x: input\nL = relu(x)\n"), "x", claim).counterexample
    assert found is not None and found.point.values["x"][()] == 0
    assert found.claimed == 1.5 and found.true.contains(0) and found.true.contains(1)
    assert not found.true.contains(1.5)


@pytest.mark.parametrize(
    ("text", "value", "claim", "status"),
    [
        ("x: input\nL = sin(2*x)\n", "L", "2*sin(x)*cos(x)", "proved"),
        ("x: input\nL = cos(3*x)\n", "L", "4*cos(x)**3 - 3*cos(x)", "proved"),
        ("x: input\ny: input\nL = cos(x + y)\n", "L", "cos(x)*cos(y) + sin(x)*sin(y)", "refuted"),
        ("x: input in unit\nL = sin(2*acos(x))\n", "L", "2*x*sqrt(1 - x**2)", "proved"),
        ("x: input in unit\nL = 1 if acos(x) < pi/3 else 0\n", "L", "1 if x > .5 else 0", "proved"),
        ("x: input in unit\nL = 1 if asin(x) < 1/2 else 0\n", "L", "1 if x > .5 else 0", "refuted"),
        ("x: input\ny: input\nL = (x**2 - 2*x*y + y**2)**(1/2)\n", "L", "abs(x - y)", "proved"),
        ("x: input\ny: input\nL = (x**2 - 2*x*y + y**2)**(1/2)\n", "L", "x - y", "refuted"),
        ("x: input\ny: input\nL = log(x**2 - 2*x*y + y**2)\n", "L", "2*log(abs(x - y))", "proved"),
        ("x: input > 0\ng: const > 0\nL = (x**g)**(1/g)\n", "L", "x", "proved"),
        ("x: input\ny: target in sign\nL = y*x\n", "L", "x if y > 0 else -x", "proved"),
        ("x: input\ny: target in sign\nL = y*x\n", "L", "x if y >= 1 else 0", "refuted"),
        ("x: input\ny: input\nL = abs(x) + abs(y)\n", "L", "max(abs(x+y), abs(x-y))", "proved"),
        ("x: input\ny: target\nL = abs(x) + abs(y)\n", "L", "abs(x + y)", "refuted"),
        ("x: input[K]\nL = max(x[i] for i in K)\n", "L", "sum(x[i] for i in K)", "refuted"),
    ],
)  # fmt: skip
def test_identities(text: str, value: str, claim: str, status: str) -> None:
    assert check_value(parse(text), value, claim).status == status


def test_a_jump_is_no_kink() -> None:
    """At y = x the loss jumps: there is no derivative that could refute a claim."""
    text = "x: input\ny: input\nL = x*y + 1 if x == y else x**2\n"
    assert check(parse(text), "y", "x if x == y else 0").status == "proved"


def test_where_nothing_jumps_there_is_a_derivative() -> None:
    """x*y is x**2 at y = x: the loss does not vary with y, whatever its branches say."""
    text = "x: input\ny: input\nL = x*y if x == y else x**2\n"
    assert check(parse(text), "y", "x if x == y else 0").status == "refuted"


@pytest.mark.parametrize("size", [5, 6, 7, 12])
def test_an_error_at_one_size_only_is_found(size: int) -> None:
    text = "a: input[K]\nL = sum(a[k]**2 for k in K)\n"
    verdict = check(parse(text), "a[j]", f"2*a[j] + (0.1 if K == {size} else 0)")
    assert verdict.counterexample is not None and verdict.counterexample.sizes["K"] == size


@pytest.mark.parametrize("edge", ["1000", "-73", "10**6", "1/512"])
def test_an_error_beyond_a_threshold_only_is_found(edge: str) -> None:
    text = "x: input\nL = x**2\n"
    assert check(parse(text), "x", f"2*x*(1 if x < {edge} else 2)").status == "refuted"
