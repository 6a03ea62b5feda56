"""Whether every request ended exactly once, from what was sent and what the topics hold: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.chaos.load import Way

Delivery = Literal["exactly_once", "at_least_once"]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A video was fetched at ``at_s`` (monotonic); ``again`` if more often than its request asks for."""

    at_s: float
    id: str
    again: bool


@dataclass(frozen=True, slots=True)
class End:
    """One result as a topic holds it; a dead letter names its error class."""

    id: str
    captioned: bool
    error_class: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the requests; ids in order.

    ``unended`` have no result, ``doubled`` more than one, ``stray`` are results that nobody asked for.
    ``given_up`` should be captions and are dead letters, by error class: no loss, but the price of faults.
    ``audit`` are the sums of ``capstream audit``; ``left`` names processes that did not end by themselves.
    """

    requests: int
    captions: int
    dead_letters: int
    unended: tuple[str, ...]
    doubled: tuple[str, ...]
    stray: tuple[str, ...]
    given_up: Mapping[str, int]
    audit: Mapping[str, int]
    refused: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def pending(self) -> int:
        """How many without a result the group has not done yet: the run ended too early for them."""
        open_ = self.audit.get("undone", 0) + self.audit.get("open_retries", 0)
        return min(len(self.unended), open_)

    @property
    def lost(self) -> int:
        """How many will never have a result."""
        return len(self.unended) - self.pending

    def faults(self, delivery: Delivery) -> list[str]:
        """Everything that breaks the promise of this delivery, a sentence each."""
        named = {"without a result": self.unended, "without a request": self.stray}
        audited = ["missing", "stray", "undone", "open_retries"]
        if delivery == "exactly_once":
            named["more than once"] = self.doubled
            audited.append("double")
        named |= {"not taken by the brokers": self.refused, "left behind": self.left}
        told = [f"{len(ids)} {what}: {', '.join(ids[:10])}" for what, ids in named.items() if ids]
        return told + [f"audit: {self.audit[name]} {name}" for name in audited if self.audit.get(name)]


def judged(
    expected: Mapping[str, Way],
    ends: Iterable[End],
    audit: Mapping[str, int],
    *,
    refused: Iterable[str] = (),
    left: Iterable[str] = (),
) -> Verdict:
    """Compare what was sent with what came."""
    kept = list(ends)
    counted = Counter(end.id for end in kept)
    given_up = {
        end.id: end.error_class
        for end in kept
        if not end.captioned and end.id in expected and expected[end.id].captioned
    }
    return Verdict(
        requests=len(expected),
        captions=sum(end.captioned for end in kept),
        dead_letters=sum(not end.captioned for end in kept),
        unended=tuple(sorted(expected.keys() - counted.keys())),
        doubled=tuple(sorted(id_ for id_, count in counted.items() if count > 1)),
        stray=tuple(sorted(counted.keys() - expected.keys())),
        given_up=dict(sorted(Counter(given_up.values()).items())),
        audit=dict(audit),
        refused=tuple(refused),
        left=tuple(left),
    )
