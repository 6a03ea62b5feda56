"""Runs decoders in child processes and hands out their frames without copying.

A *slot* is a place for one child, with the shared memory that its frames arrive in. A job takes a free
slot, first come first served, and keeps it until the caller has let go of the frames. A long video is decoded
in windows: each is a job of its own in the slot whose child has the video open, and other jobs have their
turns between two of them. The parent opens
the video and passes the descriptor, so the child needs no right to open any file. A child that dies,
overstays or answers nonsense is killed and replaced, so no late answer can be mistaken for the next one.
Nothing that a child says is executed: answers are JSON, checked against a schema.

Start it and use it on one event loop whose thread lives as long as the sandbox: on Linux the kernel
ends a child when the thread that started it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from serve_app.errors import DecoderDiedError, DecodeTimeoutError
from serve_app.settings import DecoderSettings, LimitSettings
from serve_app.video.held import MOST
from serve_app.video.job import Decoded, Hold, Opened, open_video
from serve_app.video.limits import DEFAULT_LIMITS
from serve_app.video.slot import Slot
from serve_app.video.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serve_app.settings.video import Guard, Second
    from serve_app.video.job import Contained, DecodeJob, Over

MIB = 1024 * 1024
AT_ONCE = MOST - 1  # sessions of one child; the place that is left is for those that are opened meanwhile


class Sandbox:
    """``children`` decoding processes; each job has ``timeout_s`` seconds and ``max_frames_bytes``.

    ``limits`` is what else a video may ask for, ``required`` what must stand around a child,
    ``fallback`` what decodes where PyAV cannot.
    """

    def __init__(
        self,
        children: int,
        timeout_s: float,
        max_frames_bytes: int,
        limits: LimitSettings = DEFAULT_LIMITS,
        required: frozenset[Guard] = frozenset(),
        *,
        fallback: Second = "none",
    ) -> None:
        self._slots = [Slot(max_frames_bytes, limits, required, fallback) for _ in range(children)]
        self.timeout_s = timeout_s
        self._free: Turns[Slot] = Turns()
        self._repairs: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._sessions = {slot: asyncio.Semaphore(AT_ONCE) for slot in self._slots}

    async def start(self) -> None:
        """Start all children and wait until they are ready.

        ``DecoderDiedError`` if one cannot start, ``SettingsError`` if one lacks a guard that is required, or
        the fallback.
        """
        await asyncio.gather(*(slot.start() for slot in self._slots))
        for slot in self._slots:
            self._free.give(slot)

    @classmethod
    def of(cls, settings: DecoderSettings) -> Self:
        """A sandbox as the settings ask for it."""
        return cls(
            children=settings.children,
            timeout_s=settings.timeout_s,
            max_frames_bytes=int(settings.max_frames_mib * MIB),
            limits=settings.limits,
            required=settings.required_guards,
            fallback=settings.fallback,
        )

    @property
    def contained(self) -> Contained:
        """What stands around the children, and what does not; the same for all on one machine."""
        return self._slots[0].contained

    def pids(self) -> list[int]:
        """Process ids of the children that run."""
        return [slot.pid for slot in self._slots if slot.pid is not None]

    @contextlib.asynccontextmanager
    async def decode(self, job: DecodeJob) -> AsyncIterator[Decoded]:
        """The frames of ``job``, readable until the block is left; their memory is reused then.

        Raises what :func:`serve_app.video.decoder.decode` raises, for a list of images what
        :func:`serve_app.video.series.decode_series` does, ``DecoderDiedError``, ``DecodeTimeoutError``, what
        ``job.supply`` raises, and ``OSError`` if the file cannot be opened.
        """
        video = open_video(job.path)
        try:
            async with self.slot() as slot:
                yield _frames(slot, await slot.ask(video, job, self.timeout_s))
        finally:
            os.close(video)

    @contextlib.asynccontextmanager
    async def open(self, job: DecodeJob, unless_below_s: float) -> AsyncIterator[Decoded | Session]:
        """Frames as of :meth:`decode`, or a session if the range of ``job`` is ``unless_below_s`` or longer.

        The session is good until the block is left; there are a few of each child at once, others wait.
        Errors as :meth:`decode`.
        """
        hold = Hold(next(self._numbers), unless_below_s)
        video = open_video(job.path)
        try:
            async with self.slot() as slot:
                answer = await slot.ask(video, replace(job, hold=hold), self.timeout_s)
                if not isinstance(answer, Opened):
                    yield _frames(slot, answer)
                    return
            session = Session(self, slot, video, replace(job, hold=Hold(hold.number)), answer)
            try:
                # With more at once than a child holds open, each window would read its index anew.
                async with self._sessions[slot]:
                    yield session
            finally:
                self._end(session, hold.number)
        finally:
            os.close(video)

    @contextlib.asynccontextmanager
    async def slot(self, wanted: Slot | None = None) -> AsyncIterator[Slot]:
        """A place of one's own for as long as the block lasts: any, or the one that is ``wanted``."""
        slot = await self._free.take(wanted)
        try:
            yield slot
        finally:
            self._release(slot)

    def _end(self, session: Session, number: int) -> None:
        """Have the child close the video when it has time: a file without a name lasts as long as that."""
        if session.slot.pid is not None:
            task = asyncio.create_task(self._ended(session, os.dup(session.video), Hold(number, over=True)))
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)

    async def _ended(self, session: Session, video: int, over: Hold) -> None:
        job = replace(session.job, supply=None, hold=over)
        try:
            async with self.slot(session.slot) as slot:
                with contextlib.suppress(DecoderDiedError, DecodeTimeoutError):
                    await slot.ask(video, job, self.timeout_s)
        finally:
            os.close(video)

    def _release(self, slot: Slot) -> None:
        slot.forget()
        if slot.pid is None:
            # Started ahead of the next job, which waits for it if it comes first.
            repair = asyncio.create_task(_repaired(slot))
            self._repairs.add(repair)
            repair.add_done_callback(self._repairs.discard)
        self._free.give(slot)

    async def close(self) -> None:
        """End all children; jobs that still run fail with ``DecoderDiedError``."""
        for end in self._ends:
            end.cancel()
        await asyncio.gather(*self._ends, return_exceptions=True)
        await asyncio.gather(*(slot.close() for slot in self._slots))
        await asyncio.gather(*self._repairs)


@dataclass(frozen=True, slots=True)
class Session:
    """A video that stays open in a child while its windows are decoded, each as a job of its own.

    ``opened`` says what there is of it. A child that dies in between is no loss: the next one opens the
    video anew.
    """

    box: Sandbox
    slot: Slot
    video: int
    job: DecodeJob
    opened: Opened

    @contextlib.asynccontextmanager
    async def decode(self, start_s: float, end_s: float) -> AsyncIterator[Decoded]:
        """The frames of a part, as :meth:`Sandbox.decode` gives those of the whole; errors as there."""
        shot = replace(self.job.shot, start_s=start_s, end_s=end_s)
        async with self.box.slot(self.slot) as slot:
            answer = await slot.ask(self.video, replace(self.job, shot=shot), self.box.timeout_s)
            yield _frames(slot, answer)


def _frames(slot: Slot, answer: Decoded | Opened | Over) -> Decoded:
    if isinstance(answer, Decoded):
        return answer
    slot.kill()
    raise DecoderDiedError("the decoder process gave an answer that makes no sense")


async def _repaired(slot: Slot) -> None:
    # The job that needs the slot next starts it again and reports what went wrong.
    with contextlib.suppress(DecoderDiedError):
        await slot.start()
