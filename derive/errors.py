"""The errors a user can meet, all under one base class."""

from __future__ import annotations

from dataclasses import dataclass


class PminusyError(Exception):
    """Base of every error this project raises on purpose; its text is one clear sentence."""


@dataclass(frozen=True)
class Place:
    """Where in a text something stands; line and column count from 1."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


class InputError(PminusyError):
    """A text that the language does not allow: the place, what was found, what was expected."""

    def __init__(self, place: Place, found: str, expected: str, nearest: str | None = None) -> None:
        self.place, self.found, self.expected, self.nearest = place, found, expected, nearest
        hint = f"; did you mean '{nearest}'?" if nearest else ""
        super().__init__(f"{place}: found {found}, expected {expected}{hint}")


class DerivationError(PminusyError):
    """A derivation that cannot be made: an unknown name, or a construct without a rule."""


class ReplayError(PminusyError):
    """A recorded step that does not follow from the one before it."""


class KernelError(PminusyError):
    """A kernel that cannot be lowered, emitted, built or called."""
