"""What every case is held against: its neighbour, the children after it, and the sockets of this machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.hostile.outcome import DECODED, Outcome, job_of, outcome_of

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from serve_app.video.sandbox import Sandbox
    from tests.hostile.case import Case
    from tests.unit.sources.servers import Trap

SMALL = Shot(size=FixedSize(64, 48))


async def nothing_lacks(_start: int, _end: int) -> None:
    """The supply of a file that is here: it is read as one that is fetched in parts."""


@dataclass(frozen=True, slots=True)
class Walls:
    """``clip`` is good, ``trap`` listens on the loopback, ``folder`` holds the cases' files."""

    box: Sandbox
    folder: Path
    clip: Path
    trap: Trap

    async def file(self, case: Case, data: bytes) -> Outcome:
        """What came of a file, held against its neighbour."""
        job = job_of(data, self.folder, case.shot)
        if case.partial:
            job = replace(job, supply=nothing_lacks)
        try:
            return await self.beside(outcome_of(self.box, job))
        finally:
            job.path.unlink()

    async def beside(self, work: Awaitable[Outcome]) -> Outcome:
        """The outcome of the work; meanwhile and afterwards good clips are decoded by every child."""
        outcome, neighbour = await asyncio.gather(work, self._good())
        assert neighbour == DECODED
        # The slots are given out in turn, so that both have to answer: a dead child is replaced by now.
        assert {*await asyncio.gather(self._good(), self._good())} == {DECODED}
        pids = self.box.pids()
        assert len(pids) == 2
        assert all(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
        assert not self.trap.touched
        assert not outcome.faults, outcome
        return outcome

    async def _good(self) -> str:
        return (await outcome_of(self.box, DecodeJob(self.clip, SMALL))).kind
