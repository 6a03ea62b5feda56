"""The tiny model says what is true of 200 fresh clips, and what is not as soon as anything is spoilt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.video.api import VideoDecoder
from serve_app.video.geometry import FixedSize, target_size
from serve_app.video.profiles import frame_count, placed
from tests.clips import Coding, encode
from tests.tiny_model.clips import Clip, fresh, spread
from tests.tiny_model.served import PROFILE, Video

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.vllm.engines import Running

SEED = 20_260_101  # the training's is 1
CLIPS = 200
ENOUGH = 0.95
MOST = 0.5  # of the captions are wrong, at least
COLOUR, DIRECTION, LENGTH = 1, 4, 6  # places of the words


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip and the frames of it that are shown."""

    clip: Clip
    video: Video


@pytest.fixture(scope="module")
def shown() -> list[Shown]:
    """Fresh clips; how many frames are taken of one has nothing to do with its length."""
    random = np.random.default_rng(SEED)
    clips = fresh(SEED, CLIPS)
    counts = [int(random.choice([n for n in (6, 8, 12, 16) if n <= clip.total])) for clip in clips]
    return [Shown(clip, Video.of(clip, spread(clip.total, n))) for clip, n in zip(clips, counts, strict=True)]


def right(running: Running, clips: list[Clip], videos: list[Video]) -> dict[int | None, float]:
    """The share of right captions (``None``), and of each word's."""
    texts = running.said(videos)
    pairs = [(text.split(), clip.caption.split()) for text, clip in zip(texts, clips, strict=True)]
    shares: dict[int | None, float] = {None: float(np.mean([text == truth for text, truth in pairs]))}
    for place in (COLOUR, DIRECTION, LENGTH):
        shares[place] = float(np.mean([text[place : place + 1] == [truth[place]] for text, truth in pairs]))
    print({place: round(share, 3) for place, share in shares.items()})  # noqa: T201 - shown by -s
    return shares


def test_captions_of_fresh_clips_are_right(running: Running, shown: list[Shown]) -> None:
    """At least 95 % of 200 captions have each word right, over all rates, sizes and lengths."""
    shares = right(running, [one.clip for one in shown], [one.video for one in shown])
    assert shares[None] >= ENOUGH


def swapped(video: Video) -> Video:
    return video.shown(np.ascontiguousarray(video.pictures[..., ::-1]))


def backwards(video: Video) -> Video:
    return video.shown(np.ascontiguousarray(video.pictures[::-1]))


def thinned(video: Video) -> Video:
    return video.shown(video.pictures[::2])


def twice_as_fast(video: Video) -> Video:
    return replace(video, fps=video.fps * 2)


def half_as_fast(video: Video) -> Video:
    return replace(video, fps=video.fps / 2)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (swapped, COLOUR),
        (backwards, DIRECTION),
        (thinned, LENGTH),
        (twice_as_fast, LENGTH),
        (half_as_fast, LENGTH),
    ],
)
def test_a_fault_makes_captions_wrong(
    running: Running, shown: list[Shown], fault: Callable[[Video], Video], word: int
) -> None:
    """Swapped channels, reversed or thinned frames and a wrong rate each spoil most captions, in one word."""
    shares = right(running, [one.clip for one in shown], [fault(one.video) for one in shown])
    assert shares[None] <= 1 - MOST
    assert shares[word] <= 1 - MOST


def decoded(clip: Clip, path: Path) -> Video:
    """The clip through H.264, our decoder and the profile's rule."""

    def paint(index: int, picture: np.ndarray) -> None:
        picture[:] = clip.picture(index)

    encode(path, paint, clip.total, (clip.width, clip.height), Coding(fps=clip.fps))
    count = frame_count(PROFILE.frames, clip.total, clip.fps)
    chosen = placed(PROFILE.frames, clip.total, count, clip.fps)
    assert PROFILE.size.kind == "patches"
    width, height = target_size(clip.width, clip.height, PROFILE.size, count)
    with VideoDecoder(path, size=FixedSize(width, height)) as video:
        frames = video.frames_at(chosen)
    return Video(frames.data, float(clip.fps), clip.total, tuple(int(index) for index in chosen))


def test_captions_of_files_are_right(running: Running, tmp_path: Path) -> None:
    """The same holds for files: encoded, decoded, and sampled and scaled by the model's profile."""
    clips = fresh(SEED + 1, CLIPS)
    videos = [decoded(clip, tmp_path / f"{place}.mp4") for place, clip in enumerate(clips)]
    assert right(running, clips, videos)[None] >= ENOUGH
