"""The library, with one line each: the name, its gradient, and what it is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from codegen.commands import as_json, say, styled

HELP = "the library, with one line each"


def arguments(parser: ArgumentParser) -> None:
    """This command has no arguments of its own."""


def run(options: Namespace) -> int:
    import derive
    from derive.printing import language

    rows = []
    for name in derive.library():
        loss = derive.load(name)
        first = next(d.name for d in loss.declarations if d.role in ("input", "param"))
        derivation = derive.gradient(loss, first)
        shown = language(derivation.result, loss)
        left = language(derivation.start, loss)
        rows.append({"name": name, "title": loss.title, "derivative": left, "gradient": shown})
    if options.json:
        as_json({"losses": rows})
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        say(f"{styled(row['name'].ljust(width), 'bold')}  {row['title']}")
        say(f"{'':{width}}  {row['derivative']} = {row['gradient']}")
    return 0
