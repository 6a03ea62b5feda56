"""A long video captioned window by window, as its windows are decoded.

The next window is decoded while earlier ones wait for their captions, a bounded number of them: their frames
take memory. The decoding process is free between two windows. A window that fails fails the video, but for
one of which damage has left nothing: where that is allowed it is passed over.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar

import numpy as np

from serve_app.ask import Ask, asked, summary_asked
from serve_app.errors import Failure, VideoUnreadableError
from serve_app.order import Order, Span
from serve_app.preparation import Facts, Windowed
from serve_app.result import Clip, Place, Said, in_windows, span_of
from serve_app.schema import Caption, Captioned

Handed = TypeVar("Handed")
Tell = Callable[[Caption], None]


def ignored(_: Caption) -> None:
    """What becomes of a window's caption where nobody asked for it."""


class Asker(Protocol[Handed]):
    """Who asks the engine of one order."""

    async def hand_over(self, frames: np.ndarray) -> Handed:
        """The frames, which are only lent, in the form in which they travel to the engine."""

    async def ask(self, handed: Handed | None, ask: Ask) -> Said | Failure:
        """The engine's answer about these frames, or about none."""


async def caption_windows(
    video: Windowed, order: Order, asker: Asker[Handed], place: Place, tell: Tell = ignored
) -> Captioned:
    """The captions of all windows, and what they say together; raises the ``RecordError`` of the first.

    Each caption is told as it is made, in the order of the windows.
    """
    began, clips = time.monotonic(), []
    async for clip in _clips(video, order, asker):
        tell(clip.caption)
        clips.append(clip)
    if not clips:
        raise VideoUnreadableError(f"of none of {len(video.windows)} windows could a frame be decoded whole")
    summary = None if order.summary is None else await _summary(clips, order, asker)
    return in_windows(video, clips, summary, order, (time.monotonic() - began, place))


async def _clips(video: Windowed, order: Order, asker: Asker[Handed]) -> AsyncIterator[Clip]:
    """The windows in their order, each when it has its caption."""
    waiting: deque[asyncio.Task[Clip]] = deque()
    places = asyncio.Semaphore(video.windowing.in_flight)
    try:
        for number, (start_s, end_s) in enumerate(video.windows):
            await places.acquire()
            while waiting and waiting[0].done():
                yield waiting.popleft().result()
            try:
                async with video.window(start_s, end_s) as one:
                    handed, facts = await asker.hand_over(one.frames), one.facts
            except VideoUnreadableError:
                if not video.partial:
                    raise
                places.release()
                continue
            task = asyncio.create_task(_clip(number, facts, handed, order, asker))
            del handed
            task.add_done_callback(lambda _: places.release())
            waiting.append(task)
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _clip(number: int, facts: Facts, handed: Handed, order: Order, asker: Asker[Handed]) -> Clip:
    said = await asker.ask(handed, asked(facts, order, _deadline(order)))
    if isinstance(said, Failure):
        raise said.raised()
    return Clip(number, facts, said, order.read_part(said.generation.text))


async def _summary(clips: list[Clip], order: Order, asker: Asker[Handed]) -> Said:
    spans = [(span_of(clip.facts), clip.answer.text) for clip in clips]
    frames = sum(span.frame_count for span, _ in spans)
    whole = Span(spans[0][0].start_s, spans[-1][0].end_s, frames)
    said = await asker.ask(None, summary_asked(whole, spans, order, _deadline(order)))
    if isinstance(said, Failure):
        raise said.raised()
    return said


def _deadline(order: Order) -> float:
    return time.time() + order.settings.timeout_s
