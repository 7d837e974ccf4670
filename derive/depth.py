"""How deep a definition is with all others put into it: what no rule could follow is refused."""

from __future__ import annotations

import ast

from sympy import Basic

from derive.index import Entry, Tensor
from derive.loss import Definition
from derive.text import Text

LIMIT_DEPTH = 160


def check_depth(
    definition: Definition, depths: dict[str, int], statement: ast.stmt, page: Text
) -> None:
    """Add the depth of a definition to those of the ones before it.

    Raises InputError where it is over the limit.
    """
    seen: dict[Basic, int] = {}

    def visit(node: Basic) -> int:
        if node not in seen:
            own = depths.get(node.tensor.name, 0) if isinstance(node, Entry) else 0
            args = () if isinstance(node, Tensor) else node.args
            seen[node] = 1 + max(own, *map(visit, args), 0)
        return seen[node]

    found = depths[definition.name] = visit(definition.body)
    if found > LIMIT_DEPTH:
        text = f"'{definition.name}', which nests {found} levels with all definitions put in"
        raise page.error(statement, text, f"at most {LIMIT_DEPTH} levels")
