"""Runs decoders in child processes and hands out their frames without copying.

A *slot* is a place for one child, with the shared memory that its frames arrive in. A job takes a free
slot, first come first served, and keeps it until the caller has let go of the frames. The parent opens
the video and passes the descriptor, so the child needs no right to open any file. A child that dies,
overstays or answers nonsense is killed and replaced, so no late answer can be mistaken for the next one.
Nothing that a child says is executed: answers are JSON, checked against a schema.

Start it and use it on one event loop whose thread lives as long as the sandbox: on Linux the kernel
ends a child when the thread that started it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Self

from serve_app.errors import DecoderDiedError
from serve_app.settings import DecoderSettings, LimitSettings
from serve_app.video.job import open_video
from serve_app.video.limits import DEFAULT_LIMITS
from serve_app.video.slot import Slot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serve_app.settings.video import Guard, Second
    from serve_app.video.job import Contained, Decoded, DecodeJob

MIB = 1024 * 1024


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
        self._timeout_s = timeout_s
        self._free: asyncio.Queue[Slot] = asyncio.Queue()
        self._repairs: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all children and wait until they are ready.

        ``DecoderDiedError`` if one cannot start, ``SettingsError`` if one lacks a guard that is required, or
        the fallback.
        """
        await asyncio.gather(*(slot.start() for slot in self._slots))
        for slot in self._slots:
            self._free.put_nowait(slot)

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
            slot = await self._free.get()
            try:
                yield await slot.ask(video, job, self._timeout_s)
            finally:
                self._release(slot)
        finally:
            os.close(video)

    def _release(self, slot: Slot) -> None:
        slot.forget()
        if slot.pid is None:
            # Started ahead of the next job, which waits for it if it comes first.
            repair = asyncio.create_task(_repaired(slot))
            self._repairs.add(repair)
            repair.add_done_callback(self._repairs.discard)
        self._free.put_nowait(slot)

    async def close(self) -> None:
        """End all children; jobs that still run fail with ``DecoderDiedError``."""
        await asyncio.gather(*(slot.close() for slot in self._slots))
        await asyncio.gather(*self._repairs)


async def _repaired(slot: Slot) -> None:
    # The job that needs the slot next starts it again and reports what went wrong.
    with contextlib.suppress(DecoderDiedError):
        await slot.start()
