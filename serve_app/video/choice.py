"""Who chooses a shot's frames: a model's rule, the sampling's times and flags, or a look at the pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from serve_app.errors import NoFramesError
from serve_app.schema import FpsSampling, SceneSampling, TimeRange
from serve_app.video.geometry import FixedSize
from serve_app.video.job import Shot
from serve_app.video.profiles import model_frames
from serve_app.video.sampling import choose, each_once, thinned
from serve_app.video.scenes import SMALL, changes, pick

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from serve_app.video.frames import Frames
    from serve_app.video.index import VideoIndex

    Pick = Callable[[VideoIndex], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Choice:
    """A shot, and who chooses its frames if not its sampling."""

    shot: Shot
    pick: Pick | None = None

    @property
    def look(self) -> Choice | None:
        """The small frames that are needed first, for ``scene``; ``None`` for what needs no look."""
        shot = self.shot
        if self.pick is not None or shot.rule is not None or not isinstance(shot.sampling, SceneSampling):
            return None
        every = FpsSampling(fps=shot.sampling.looks_per_s, max_frames=shot.sampling.max_looks)
        small = Shot(every, shot.start_s, shot.end_s, FixedSize(*SMALL), on_damage=shot.on_damage)
        return Choice(small)

    def after(self, looks: Frames) -> Choice:
        """The choice, now that the small frames were seen."""
        if not isinstance(self.shot.sampling, SceneSampling):
            raise TypeError("only scene sampling takes looks")
        found = pick(looks.pts_seconds, changes(looks.data), self.shot.sampling)
        times = looks.pts_seconds[found]
        return replace(self, pick=lambda index: each_once(index.pts_seconds.searchsorted(times)))

    def sampled(self, index: VideoIndex) -> NDArray[np.int64]:
        """Which frames of this index, before their number is limited; ``ValueError`` for ``scene``."""
        shot, times, end = self.shot, index.pts_seconds, index.end_seconds
        if self.pick is not None:
            return self.pick(index)
        if shot.rule is not None:
            return model_frames(times, end, shot.rule, shot.start_s, shot.end_s)
        if isinstance(shot.sampling, SceneSampling):
            raise ValueError("the scene strategy looks at the pictures: times alone do not choose")  # noqa: TRY004
        flags = index.packets.keyframe[index.ordinals]
        return choose(times, end, shot.sampling, shot.start_s, shot.end_s, keyframe=flags)

    def chosen(self, index: VideoIndex) -> tuple[NDArray[np.int64], list[str]]:
        """Which frames in the end, and what is to be said about it."""
        shot, sampled = self.shot, self.sampled(index)
        kept = thinned(sampled, shot.max_frames, shot.frame_factor)
        if len(sampled) <= shot.max_frames:
            return kept, []
        allowed = f"{shot.max_frames} are allowed (max_sampled_frames)"
        return kept, [f"{len(kept)} of {len(sampled)} sampled frames: {allowed}"]

    def needed(self, index: VideoIndex) -> NDArray[np.int64]:
        """Which frames of this index are looked at, if only in small; no other is chosen in the end."""
        return (self.look or self).chosen(index)[0]


def there(index: VideoIndex, shot: Shot) -> TimeRange:
    """What an index has of the shot's range; ``NoFramesError`` if that is nothing."""
    start = max(index.start_seconds, shot.start_s or 0.0)
    end = index.end_seconds if shot.end_s is None else min(index.end_seconds, shot.end_s)
    if start >= end:
        raise NoFramesError(f"no frame is shown from {start:.3f} s to {end:.3f} s")
    return TimeRange(start_s=start, end_s=end)
