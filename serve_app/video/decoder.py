"""From one local file to the chosen frames: index, sample, plan, decode.

For ``scene`` the video is decoded twice: first in small, at a bounded number of looks, of which only
numbers are kept.

The plan is tried first. If a chosen frame does not come out, the whole stream is decoded once to learn
which packets show a frame at all. Packets that merely hold none are left out of the index and frames are
chosen anew; a frame that is lost to damage, or refers to one that is, is an error, or is left out where the
request allows that. No picture is ever made up.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from serve_app.errors import VideoUnreadableError
from serve_app.schema import TimeRange, VideoFacts
from serve_app.settings import LimitSettings
from serve_app.video.canvas import WHOLE_IN_ITSELF, Canvas
from serve_app.video.choice import Choice, there
from serve_app.video.container import VideoContainer
from serve_app.video.coverage import coverage
from serve_app.video.frames import Frames, fresh
from serve_app.video.job import Decoded, DecodeJob, Shot, open_video
from serve_app.video.limits import DEFAULT_LIMITS, check_duration
from serve_app.video.partial import PartialFile
from serve_app.video.picture import Turn
from serve_app.video.plan import Plan, plan, through
from serve_app.video.salvage import damage_seen, leave_out, unreached, warn, whole

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from serve_app.video.canvas import Allocate
    from serve_app.video.index import VideoIndex
    from serve_app.video.partial import Fetch


def decode_file(job: DecodeJob) -> Decoded:
    """Decode in this process, without the sandbox; errors as :func:`decode`, and ``OSError``."""
    fd = open_video(job.path)
    try:
        return decode(fd, job.shot, fresh)
    finally:
        os.close(fd)


def decode(
    fd: int,
    shot: Shot,
    allocate: Allocate,
    limits: LimitSettings = DEFAULT_LIMITS,
    fetch: Fetch | None = None,
) -> Decoded:
    """Decode the open file ``fd``; ``allocate(n)`` gives n bytes for the pixels, a uint8 array (n,).

    ``fetch(start, end)`` brings bytes of a file that is not all here.

    ``VideoUnreadableError``: not a video, or damaged where frames were chosen. ``VideoRefusedError``:
    beyond a limit. ``NoFramesError``: nothing is shown in the range.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    with closing(OpenVideo(fd, limits, fetch)) as video:
        decoded = video.take(shot, allocate)
    return replace(decoded, cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)


class OpenVideo:
    """The open file ``fd`` with its index, for shot after shot; arguments and errors as :func:`decode`."""

    def __init__(self, fd: int, limits: LimitSettings, fetch: Fetch | None = None) -> None:
        self._partial = PartialFile(fd, fetch) if fetch is not None else None
        self._turn = Turn()
        with self._unless_lost():
            self._video = VideoContainer(fd, limits, self._partial)
            try:
                self._index = self._video.read_index()
                check_duration(self._index.duration_seconds, limits)
            except BaseException:
                self.close()
                raise

    def _unless_lost(self) -> AbstractContextManager[None]:
        return nullcontext() if self._partial is None else self._partial.unless_lost()

    @property
    def lost(self) -> bool:
        """Whether bytes could not be fetched: nothing more can be made of it."""
        return self._partial is not None and self._partial.lost is not None

    def ranges(self, shot: Shot) -> tuple[TimeRange, TimeRange]:
        """What is there of the shot's range, and the range within what the container promises."""
        cut, _ = _shortened(self._video, self._index, shot)
        return there(self._index, shot), _range(_asked(self._index, shot, cut=cut))

    def take(self, shot: Shot, allocate: Allocate) -> Decoded:
        """The shot's frames; costs as zero."""
        with self._unless_lost():
            self._index, decoded = take(self._video, self._index, Choice(shot), allocate, self._turn)
        return decoded

    def close(self) -> None:
        """Close the container, not the descriptor."""
        self._video.__exit__()


def _range(ends: tuple[float, float]) -> TimeRange:
    return TimeRange(start_s=ends[0], end_s=ends[1])


def take(
    video: VideoContainer, index: VideoIndex, choice: Choice, allocate: Allocate, turn: Turn
) -> tuple[VideoIndex, Decoded]:
    """The index that was believed in the end, and the chosen frames of an open video; costs as zero.

    May be called again and again, with the same ``turn``; errors as :func:`decode`.
    """
    shot = choice.shot
    video.refused.clear()
    cut, said = _shortened(video, index, shot)
    warnings = [*index.warnings, *said]
    if choice.look is not None:
        seen, small = _painted(video, index, choice.look, fresh, turn)
        choice = choice.after(Frames(small.pixels, seen.pts_seconds[small.chosen][~small.lost]))
        video.refused.clear()  # what the looks met, the frames meet again
    index, canvas = _painted(video, index, choice, allocate, turn)
    if video.refused:
        warnings.append(f"{len(video.refused)} packets could not be decoded")
    if canvas.mirrored:
        warnings.append("the display matrix mirrors the pictures: they were flipped as it says")
    times = index.pts_seconds[canvas.chosen]
    frames = Frames(canvas.pixels, times[~canvas.lost])
    covered = coverage(_asked(index, shot, cut=cut), index.end_seconds, times, canvas.lost)
    facts = _facts(video, index, canvas)
    return index, Decoded(frames, facts, covered, tuple(warnings + canvas.warnings), 0, 0)


def _shortened(video: VideoContainer, index: VideoIndex, shot: Shot) -> tuple[bool, list[str]]:
    """A file that was cut short serves ranges that end before the cut, others where that is allowed."""
    if not video.bytes_missing:
        return False, []
    intact = int((~index.packets.corrupt).sum())
    if intact == len(index.packets) and index.covers_header:
        return False, ["the file is cut short, after its last frame"]
    of = video.promised_frames if video.promised_frames > intact else "an unknown number of"
    text = f"the file is cut short: {intact} of {of} frames are there"
    if shot.on_damage == "fail" and (shot.end_s is None or shot.end_s > index.end_seconds):
        raise VideoUnreadableError(f"{text}, up to {index.end_seconds:.3f} s")
    return True, [text]


def _asked(index: VideoIndex, shot: Shot, *, cut: bool) -> tuple[float, float]:
    """The asked range within the video, of which a cut file lacks the end."""
    start = index.start_seconds if shot.start_s is None else shot.start_s
    # Where the header does not tell how much is missing, something is.
    promised = max(index.promised_end_seconds, math.nextafter(index.end_seconds, math.inf))
    end = promised if cut else index.end_seconds
    return start, end if shot.end_s is None else min(end, shot.end_s)


def _painted(
    video: VideoContainer, index: VideoIndex, choice: Choice, allocate: Allocate, turn: Turn
) -> tuple[VideoIndex, Canvas]:
    """The index that was believed in the end, and every chosen frame."""
    partial = choice.shot.on_damage == "partial"
    canvas = Canvas.of(index, choice, allocate, turn)
    # Damage can make a frame look as if no other one referred to it.
    steps = plan(index, canvas.chosen, skip=video.may_skip and not partial)
    if _run(video, steps, canvas):
        damage = damage_seen(video, canvas, steps)
        if partial and damage.any:
            return index, leave_out(canvas, damage)
        if unreached(canvas, damage):
            return index, warn(canvas, damage)
    video.refused.clear()
    canvas = Canvas.of(index, choice, allocate, turn)
    steps = through(index, canvas.chosen)
    _run(video, steps, canvas)
    damage = damage_seen(video, canvas, steps)
    if partial and damage.any:
        return index, leave_out(canvas, damage)
    if not canvas.complete and not damage.told and canvas.seen:
        index = index.only(np.array(sorted(canvas.seen), np.int64))
        canvas = Canvas.of(index, choice, allocate, turn)
        _run(video, through(index, canvas.chosen), canvas)
    return index, warn(whole(canvas, damage), damage)


def _run(video: VideoContainer, steps: Plan, canvas: Canvas) -> bool:
    """Execute a plan; false if a packet marked as a keyframe turned out to be none."""
    index = canvas.index
    video.expect((step.start, step.last) for step in steps.stretches)
    for step in steps.stretches:
        video.go_to(step.start, index.packets, seek=step.seek)
        proven = steps.whole or bool(index.packets.hidden[step.start])
        pictures = video.decode_up_to(step.last, step.wanted, skip=steps.skip)
        for count, (ordinal, frame) in enumerate(pictures):
            proven = proven or (ordinal == step.start and frame.pict_type in WHOLE_IN_ITSELF)
            if ordinal in step.wanted and not proven:
                return False
            canvas.offer(video, ordinal if index.timed else count, frame)
    return True


def _facts(video: VideoContainer, index: VideoIndex, canvas: Canvas) -> VideoFacts:
    return VideoFacts(
        duration_s=index.duration_seconds,
        width=canvas.shown[0],
        height=canvas.shown[1],
        fps=index.fps,
        codec=video.codec,
        frame_count=len(index),
        stream=video.stream,
        rotation=canvas.rotation,
    )
