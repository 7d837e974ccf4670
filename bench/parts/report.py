"""What was measured, as a Markdown table and as a plot."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def table(rows: list[Row]) -> str:
    """A table for each case: medians, and their ratios to the roof and to the fastest of ours."""
    lines: list[str] = []
    for key in dict.fromkeys(_key(row) for row in rows):
        here = [row for row in rows if _key(row) == key]
        lines += ["", f"### {key}", ""]
        lines += [
            "| | ms | over the roof | over C | extra MiB | error |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        fastest = {r["peer"]: r for r in sorted(here, key=lambda row: -(row["median_ms"] or 0))}
        here = list(fastest.values())  # the roof is measured with each group of peers
        reference = next((row["median_ms"] for row in here if row["peer"] == "c"), None)
        for row in sorted(here, key=lambda row: (not row["is_roof"], row["median_ms"] or 0)):
            lines.append(_line(row, roof_of(here), reference))
    return "\n".join(lines[1:])


def summary(rows: list[Row], figure: str = "median_ms") -> str:
    """One table: a row for each case, dtype and number of threads, a column for each peer."""
    names = list(dict.fromkeys(row["peer"] for row in rows if not row["is_roof"]))
    lines = [f"| ms | roof | {' | '.join(names)} |", f"|---{'|--:' * (len(names) + 1)}|"]
    for key in dict.fromkeys(_key(row) for row in rows):
        here = [row for row in rows if _key(row) == key]
        times = {row["peer"]: row[figure] for row in here if row[figure] is not None}
        shown = [roof_of(here), *(times.get(name) for name in names)]
        lines.append(f"| {key} | {' | '.join('' if x is None else f'{x:.3g}' for x in shown)} |")
    return "\n".join(lines)


def roof_of(rows: list[Row]) -> float | None:
    """The fastest of the roofs."""
    return min(
        (row["median_ms"] for row in rows if row["is_roof"] and row["median_ms"]), default=None
    )


def _key(row: Row) -> str:
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    return f"{row['case']}, {row['dtype']}, {threads}"


def _line(row: Row, roof: float | None, reference: float | None) -> str:
    if row["median_ms"] is None:
        return f"| {row['peer']} | {row['note']} | | | | |"
    ratios = [f"{row['median_ms'] / x:.2f}" if x else "" for x in (roof, reference)]
    extra = "" if row["is_roof"] else f"{row['extra_mib']:.0f}"
    wrong = "" if row["is_roof"] else f"{row['error']:.0e}"
    return f"| {row['peer']} | {row['median_ms']:.2f} | {' | '.join(ratios)} | {extra} | {wrong} |"


def plot(rows: list[Row], place: str) -> None:
    """Times over the roof, a panel for each case, two beside each other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    keys = list(dict.fromkeys(_key(row) for row in rows))
    peers = max(sum(_key(row) == key for row in rows) for key in keys)
    height, across = -(-len(keys) // 2), min(2, len(keys))
    size = (5 * across, (0.8 + 0.26 * peers) * height)
    figure, panels = pyplot.subplots(
        height, across, figsize=size, squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(keys) :]:
        panel.axis("off")
    for key, panel in zip(keys, panels.flat[: len(keys)], strict=True):
        here = [row for row in rows if _key(row) == key and row["median_ms"] is not None]
        roof = roof_of(here) or 1.0
        shown = sorted((r for r in here if not r["is_roof"]), key=lambda row: -row["median_ms"])
        values = [row["median_ms"] / roof for row in shown]
        colours = ["#1f5fa8" if row["is_ours"] else "#b0b0b0" for row in shown]
        bars = panel.barh([row["peer"] for row in shown], values, color=colours)
        panel.bar_label(bars, fmt="%.1f", padding=3)
        panel.axvline(1, color="black", linewidth=1)
        panel.set_title(key, loc="left", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0.15)
    figure.supxlabel("time over what the machine allows: its copy, or its matrix products")
    figure.savefig(place, dpi=100)
    pyplot.close(figure)
