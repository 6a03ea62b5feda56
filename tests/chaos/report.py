"""The table of faults, from times alone: no I/O."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.schedule import Kind
from tests.chaos.verdict import Delivery, Fetch, Verdict

HEAD = (
    "| fault | times | next caption, median | max | longest silence, max | videos fetched again |\n"
    "|---|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True, slots=True)
class Done:
    """A fault as it happened, at ``at_s`` (monotonic), with so many SIGKILLs."""

    kind: Kind
    at_s: float
    kills: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault cost until the next fault; ``None`` where no caption came any more.

    ``next_s`` is until the next caption could be read, ``silence_s`` the longest time without one, and
    ``again`` counts videos that were fetched more often than their requests ask for.
    """

    kind: Kind
    next_s: float | None
    silence_s: float | None
    again: int


@dataclass(frozen=True, slots=True)
class Row:
    """All faults of one kind."""

    kind: Kind
    times: int
    never: int
    next_median_s: float | None
    next_max_s: float | None
    silence_max_s: float | None
    again: int


def effects(done: Sequence[Done], captions: Sequence[float], fetches: Sequence[Fetch]) -> list[Effect]:
    """What each fault cost; ``captions`` are times of arrival in order."""
    ends = [fault.at_s for fault in done[1:]] + [float("inf")]
    found = []
    for fault, end_s in zip(done, ends, strict=True):
        first = bisect_right(captions, fault.at_s)
        # The first one after the fault ends its silence, even if the next fault came before.
        last = max(first + 1, bisect_right(captions, end_s))
        times = [fault.at_s, *captions[first:last]]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        again = sum(fetch.again and fault.at_s < fetch.at_s <= end_s for fetch in fetches)
        found.append(Effect(fault.kind, gaps[0] if gaps else None, max(gaps, default=None), again))
    return found


def rows(found: Sequence[Effect]) -> list[Row]:
    """One row for each kind of fault, in the order of their definition."""
    made = []
    for kind in Kind:
        own = [effect for effect in found if effect.kind is kind]
        if own:
            nexts = [effect.next_s for effect in own if effect.next_s is not None]
            silences = [effect.silence_s for effect in own if effect.silence_s is not None]
            made.append(
                Row(
                    kind,
                    len(own),
                    len(own) - len(nexts),
                    statistics.median(nexts) if nexts else None,
                    max(nexts, default=None),
                    max(silences, default=None),
                    sum(effect.again for effect in own),
                )
            )
    return made


def table(made: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        f"| {row.kind.value} | {_times(row)} | {_seconds(row.next_median_s)} | {_seconds(row.next_max_s)} "
        f"| {_seconds(row.silence_max_s)} | {row.again} |"
        for row in made
    ]
    return "\n".join([HEAD, *lines])


def summary(verdict: Verdict, delivery: Delivery, kills: int, wall_s: float) -> str:
    """The run in one sentence or two."""
    given_up = ", ".join(f"{count} {name}" for name, count in verdict.given_up.items()) or "none"
    return (
        f"{delivery}: {verdict.requests} requests, {kills} SIGKILLs, {wall_s:.0f} s; "
        f"{verdict.captions} captions, {verdict.dead_letters} dead letters, "
        f"{verdict.lost} lost, {verdict.pending} not done, {len(verdict.doubled)} duplicated; "
        f"dead letters that only the faults made: {given_up}."
    )


def _times(row: Row) -> str:
    """How often, and after how many of these no caption came any more: they are in no other number."""
    return f"{row.times}, {row.never} at the end" if row.never and row.never < row.times else str(row.times)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
