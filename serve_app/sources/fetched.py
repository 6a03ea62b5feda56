"""A video's bytes as a local file, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serve_app.schema import SourceFacts


class Rest(Protocol):
    """The bytes of a file that are not here yet."""

    spent_s: float

    async def supply(self, start: int, end: int) -> None:
        """Have these bytes in the file; raises the ``SourceError`` families of :mod:`serve_app.errors`."""

    def facts(self) -> SourceFacts:
        """What is known by now."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """``path`` is readable only while the fetch is open; ``facts`` stay true.

    With ``rest`` the file has its full size, and zeros wherever ``rest`` was not asked to supply bytes. With
    ``images`` it is the :mod:`serve_app.album` of a list of so many.
    """

    path: Path
    known: SourceFacts
    rest: Rest | None = None
    images: int = 0

    @property
    def facts(self) -> SourceFacts:
        """Which bytes these are."""
        return self.known if self.rest is None else self.rest.facts()
