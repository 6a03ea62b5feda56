"""From one local file to the chosen frames: index, sample, plan, decode.

For ``scene`` the video is decoded twice: first in small, at a bounded number of looks, of which only
numbers are kept.

The plan is tried first. If a chosen frame does not come out, the whole stream is decoded once to learn
which packets show a frame at all. Packets that merely hold none are left out of the index and frames are
chosen anew; a frame that is lost to damage is an error. No picture is ever made up.
"""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from serve_app.errors import VideoUnreadableError
from serve_app.schema import FpsSampling, SceneSampling, VideoFacts
from serve_app.settings import LimitSettings
from serve_app.video.container import VideoContainer
from serve_app.video.frames import Frames
from serve_app.video.geometry import FixedSize, display_size, target_size
from serve_app.video.job import Decoded, DecodeJob, Shot, open_video
from serve_app.video.limits import DEFAULT_LIMITS, check_duration
from serve_app.video.partial import PartialFile
from serve_app.video.picture import Painter, turn_of
from serve_app.video.plan import Plan, plan, through
from serve_app.video.profiles import model_frames
from serve_app.video.sampling import choose, each_once, thinned
from serve_app.video.scenes import SMALL, changes, pick

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from serve_app.video.container import VideoFrame
    from serve_app.video.index import VideoIndex
    from serve_app.video.partial import Fetch

    Allocate = Callable[[int], NDArray[np.uint8]]

WHOLE_IN_ITSELF = (0, 1)  # picture types: unnamed, intra


def decode_file(job: DecodeJob) -> Decoded:
    """Decode in this process, without the sandbox; errors as :func:`decode`, and ``OSError``."""
    fd = open_video(job.path)
    try:
        return decode(fd, job.shot, lambda size: np.empty(size, np.uint8))
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
    partial = PartialFile(fd, fetch) if fetch is not None else None
    kept = partial.unless_lost() if partial is not None else nullcontext()
    with kept, VideoContainer(fd, limits, partial) as video:
        index = video.read_index()
        check_duration(index.duration_seconds, limits)
        warnings = [*index.warnings, *_shortened(video, index, shot)]
        looks = _looks(video, index, shot)
        index, canvas = _painted(video, index, shot, allocate, looks)
        if video.errors:
            warnings.append(f"{video.errors} packets could not be decoded")
        if canvas.mirrored:
            warnings.append("the display matrix mirrors the pictures: they were flipped as it says")
        facts = _facts(video, index, canvas)
    frames = Frames(canvas.pixels, index.pts_seconds[canvas.chosen])
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return Decoded(frames, facts, tuple(warnings + canvas.warnings), cpu_s, wall_s)


def _shortened(video: VideoContainer, index: VideoIndex, shot: Shot) -> list[str]:
    """A file that was cut short serves ranges that end before the cut, and no others."""
    if not video.bytes_missing:
        return []
    intact = int((~index.packets.corrupt).sum())
    if intact == len(index.packets) and index.covers_header:
        return ["the file is cut short, after its last frame"]
    of = video.promised_frames if video.promised_frames > intact else "an unknown number of"
    text = f"the file is cut short: {intact} of {of} frames are there"
    if shot.end_s is None or shot.end_s > index.end_seconds:
        raise VideoUnreadableError(f"{text}, up to {index.end_seconds:.3f} s")
    return [text]


def _looks(video: VideoContainer, index: VideoIndex, shot: Shot) -> NDArray[np.float64] | None:
    """For ``scene`` the times of the frames to show, shape (T,); ``None`` for what needs no look."""
    if not isinstance(shot.sampling, SceneSampling) or shot.rule is not None:
        return None
    scene = shot.sampling
    every = FpsSampling(fps=scene.looks_per_s, max_frames=scene.max_looks)
    small = Shot(every, shot.start_s, shot.end_s, FixedSize(*SMALL))
    index, canvas = _painted(video, index, small, lambda size: np.empty(size, np.uint8))
    video.errors = 0  # what the looks met, the frames meet again
    times = index.pts_seconds[canvas.chosen]
    shown: NDArray[np.float64] = times[pick(times, changes(canvas.pixels), scene)]
    return shown


def _painted(
    video: VideoContainer,
    index: VideoIndex,
    shot: Shot,
    allocate: Allocate,
    looks: NDArray[np.float64] | None = None,
) -> tuple[VideoIndex, Canvas]:
    """The index that was believed in the end, and every chosen frame."""
    canvas = _canvas(index, shot, allocate, looks)
    if _run(video, plan(index, canvas.chosen, skip=video.may_skip), canvas) and canvas.complete:
        return index, canvas
    video.errors = 0
    canvas = _canvas(index, shot, allocate, looks)
    _run(video, through(index, canvas.chosen), canvas)
    if canvas.complete:
        return index, canvas
    if not video.errors and not canvas.damaged and canvas.seen:
        index = index.only(np.array(sorted(canvas.seen), np.int64))
        canvas = _canvas(index, shot, allocate, looks)
        _run(video, through(index, canvas.chosen), canvas)
    if not canvas.complete:
        raise VideoUnreadableError(
            f"{len(canvas.painted)} of {len(canvas.chosen)} chosen frames could be decoded"
        )
    return index, canvas


def _canvas(index: VideoIndex, shot: Shot, allocate: Allocate, looks: NDArray[np.float64] | None) -> Canvas:
    chosen = _chosen(index, shot, looks)
    kept = thinned(chosen, shot.max_frames, shot.frame_factor)
    canvas = Canvas(index, kept, shot, allocate)
    if len(chosen) > shot.max_frames:
        canvas.warnings.append(
            f"{len(kept)} of {len(chosen)} sampled frames: {shot.max_frames} are allowed (max_sampled_frames)"
        )
    return canvas


def _chosen(index: VideoIndex, shot: Shot, looks: NDArray[np.float64] | None) -> NDArray[np.int64]:
    times, end = index.pts_seconds, index.end_seconds
    if shot.rule is not None:
        return model_frames(times, end, shot.rule, shot.start_s, shot.end_s)
    if looks is not None:
        return each_once(np.searchsorted(times, looks))
    if isinstance(shot.sampling, SceneSampling):
        raise TypeError("scene sampling needs looks")
    flags = index.packets.keyframe[index.ordinals]
    return choose(times, end, shot.sampling, shot.start_s, shot.end_s, keyframe=flags)


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
            if not steps.whole and canvas.painted >= step.wanted:
                break
    return True


class Canvas:
    """The chosen frames' pixels, made room for when the first picture tells its size.

    ``chosen`` are indices into ``index``; ``pixels`` has shape (T, H, W, 3).
    """

    pixels: NDArray[np.uint8]

    def __init__(self, index: VideoIndex, chosen: NDArray[np.int64], shot: Shot, allocate: Allocate) -> None:
        self.index, self.chosen = index, chosen
        self.shown = (0, 0)
        self.rotation, self.mirrored = 0, False
        self.warnings: list[str] = []
        self.painted: set[int] = set()
        self.seen: set[int] = set()
        self.damaged = self._changed = False
        self._rows = {int(o): row for row, o in enumerate(index.ordinals[chosen])}
        self._shot, self._allocate, self._painter = shot, allocate, Painter()
        self._stored = (0, 0)

    @property
    def complete(self) -> bool:
        """Whether every chosen frame is there."""
        return len(self.painted) == len(self._rows)

    def offer(self, video: VideoContainer, ordinal: int, frame: VideoFrame) -> None:
        """Take the picture if it was chosen."""
        row = self._rows.get(ordinal)
        if frame.is_corrupt or (self.index.timed and self.index.packets.corrupt[ordinal]):
            self.damaged = self.damaged or row is not None
            return
        self.seen.add(ordinal)
        if row is None or ordinal in self.painted:
            return
        turn = turn_of(frame)
        if not self.painted:
            self._make_room(display_size(frame.width, frame.height, video.sample_aspect_ratio, turn))
            self._stored = (frame.width, frame.height)
            self.rotation, self.mirrored = turn.rotation, turn.mirrored
        elif self._stored != (frame.width, frame.height) and not self._changed:
            self._changed = True
            self.warnings.append(
                f"pictures change from {self._stored} to {(frame.width, frame.height)} pixels"
            )
        self._painter.paint(frame, turn, self.pixels[row])
        self.painted.add(ordinal)

    def _make_room(self, shown: tuple[int, int]) -> None:
        width, height = target_size(*shown, self._shot.size, frames=len(self._rows))
        shape = (len(self._rows), height, width, 3)
        self.shown = shown
        self.pixels = self._allocate(int(np.prod(shape))).reshape(shape)


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
