"""How much work a normal form may be: counted, so that it is the same on every machine."""

from __future__ import annotations

from derive.normal.poly import Undecided

MOST_WORK = 4_000
MOST_PRODUCTS = 10_000  # of monomials; the library's losses need a fifth of that
MOST_NESTED = 60
LARGEST_EXPANSION = 4_000


class Budget:
    """The work of one normal form, and of all those that it asks for on the way."""

    def __init__(self) -> None:
        self.inside = self._work = self._products = 0

    def enter(self) -> None:
        """Begin; what is asked for from outside has all of the budget."""
        if not self.inside:
            self._work = self._products = 0
        self.inside += 1

    def leave(self) -> None:
        self.inside -= 1

    def spend(self, work: int) -> None:
        """Count work.  Raises Undecided where it is too much."""
        self._work += work
        if self._work > MOST_WORK:
            raise Undecided

    def multiply(self, products: int) -> None:
        """Count the products of monomials.  Raises Undecided where they are too many."""
        self._products += products
        if products > LARGEST_EXPANSION or self._products > MOST_PRODUCTS:
            raise Undecided
