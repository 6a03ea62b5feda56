"""How often a record may fail before it is a dead letter, and how often it did.

Failures are counted by error class. A class with a limit of its own is judged by its own failures, all
others by theirs together: a lost worker is not held against a record whose server was slow before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from serve_app.errors import ProcessKilledError

Failures = Mapping[str, int]
"""Failed attempts by error class; only classes that failed."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often and how fast a record is tried.

    ``limit`` failed attempts in all, but for the error classes in ``limits``, which have their own; pauses
    in place in seconds. Before its record goes to a retry topic, a lost worker is called ``in_place`` times.
    """

    limit: int
    initial_s: float
    max_s: float
    in_place: int = 2
    limits: Mapping[str, int] = field(default_factory=dict)

    def are_used_up(self, failures: Failures, error_class: str) -> bool:
        """Whether a record that failed so often, last of this class, is not tried again."""
        if error_class in self.limits:
            return failures.get(error_class, 0) >= self.limits[error_class]
        return sum(count for name, count in failures.items() if name not in self.limits) >= self.limit

    @property
    def crash_limit(self) -> int:
        """Processes that may die with a record before it is a dead letter."""
        return self.limits.get(ProcessKilledError.__name__, self.limit)


def to_text(failures: Failures) -> str:
    """For a header: ``SourceUnavailableError=1,WorkerLostError=2``."""
    return ",".join(f"{name}={count}" for name, count in sorted(failures.items()))


def from_text(text: str) -> Failures:
    """What :func:`to_text` wrote; ``ValueError`` for anything else."""
    found: Counter[str] = Counter()
    for part in filter(None, text.split(",")):
        name, count = part.split("=")
        if int(count) < 0:
            raise ValueError(f"{part} counts below zero")
        found[name] += int(count)
    return found
