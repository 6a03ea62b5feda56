"""The command line, run within the test's own process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

USAGE = 2  # click's exit code for a command line that cannot be meant


@dataclass(frozen=True, slots=True)
class Ran:
    code: object
    out: str
    err: str

    @property
    def told(self) -> str:
        """The last line of standard error."""
        return self.err.strip().splitlines()[-1]


class Run(Protocol):
    def __call__(self, *arguments: object) -> Ran: ...
