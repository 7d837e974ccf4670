"""How the verdict on a gradient that is given as code is printed, as text and as JSON."""

from __future__ import annotations

from typing import Any

from codegen.code_check import Judged, Regime, Report, digits, written
from codegen.commands import say, styled
from derive.loss import Loss

CODES = {"accurate": 0, "inaccurate": 1, "wrong": 1, "undecided": 3}
STYLES = {"accurate": "green", "inaccurate": "yellow", "wrong": "red", "undecided": "yellow"}


def notice(target: str, timeout: float) -> str:
    """What is said before the user's code is run."""
    return f"running your code: {target}, in a process of its own, for at most {timeout:g} s"


def show(report: Report) -> None:
    """The verdict, the table of regimes, the smallest input that shows the failure, notes."""
    say(f"{styled(report.status, 'bold ' + STYLES[report.status])}: {report.reason}")
    if not all(line.failed for line in report.regimes):
        _table(report.regimes)
    if report.example is not None:
        _example(report.example)
    for note in report.notes:
        say(f"  note    {note}")


def _table(regimes: tuple[Regime, ...]) -> None:
    cells = {(line.name, line.dtype): line for line in regimes}
    width = max(len(line.name) for line in regimes)
    say(f"  {'ULP: median, worst':<{width}}  {'float64':<21} float32")
    for name in dict.fromkeys(line.name for line in regimes):
        row = [_cell(cells.get((name, dtype))) for dtype in ("float64", "float32")]
        say(f"  {name:<{max(width, 18)}}  {row[0]:<21} {row[1]}".rstrip())


def _cell(line: Regime | None) -> str:
    if line is None:
        return ""
    if line.failed:
        return "fails"
    figures = f"{_short(line.median)} {_short(line.worst)}"
    return figures if line.kind == "accurate" else f"{figures} {line.kind}"


def _short(error: float) -> str:
    if error == float("inf"):
        return f"{'nan':>5}"
    return f"{error:5.1f}" if error < 1000 else f"{error:5.0e}".replace("e+", "e")


def _example(judged: Judged) -> None:
    case = judged.case
    where = [case.dtype, *(f"{name} = {size}" for name, size in case.sizes.items())]
    if judged.place and not judged.failed:
        where.append(f"entry [{', '.join(map(str, judged.place))}] (counted from 0)")
    say(f"  at      {', '.join(where)}")
    for name, value in case.values.items():
        say(f"          {name} = {_list(written(value))}")
    if judged.failed:
        say(f"  code    {judged.failed}")
        return
    say(f"  code    {judged.got + 0.0:.7g}")
    if judged.known is not None:
        say(f"  truth   {digits(judged.known)}")


def _list(value: Any) -> str:
    return "[" + ", ".join(map(_list, value)) + "]" if isinstance(value, list) else str(value)


def data(loss: Loss, name: str, target: str, report: Report) -> dict[str, Any]:
    """The report as JSON data: errors in ULP, null where one is not finite."""
    return {
        "loss": loss.name,
        "wrt": name,
        "code": target,
        "runs_user_code": True,
        "status": report.status,
        "reason": report.reason,
        "regimes": [
            {
                "regime": line.name,
                "dtype": line.dtype,
                "status": line.kind,
                "median": _number(line.median),
                "worst": _number(line.worst),
                "failed": line.failed,
                "left_out": line.left_out,
            }
            for line in report.regimes
        ],
        "example": _example_data(report.example),
        "notes": list(report.notes),
    }


def _example_data(judged: Judged | None) -> dict[str, Any] | None:
    if judged is None:
        return None
    return {
        "dtype": judged.case.dtype,
        "sizes": dict(judged.case.sizes),
        "values": {name: written(value) for name, value in judged.case.values.items()},
        "entry": list(judged.place),
        "failed": judged.failed,
        "code": str(judged.got),
        "truth": digits(judged.known) if judged.known else None,
        "ulp": _number(judged.worst),
    }


def _number(value: float) -> float | None:
    return value if value < float("inf") else None
