"""What is asked of a decoder and what it answers, as values and as JSON."""

from __future__ import annotations

import json
import math
import os
import stat
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter

from serve_app.errors import Family, Stage, VideoUnreadableError
from serve_app.schema import (
    Closed,
    Coverage,
    FpsSampling,
    KeyframesSampling,
    OnDamage,
    Sampling,
    SceneSampling,
    TimeRange,
    TimesSampling,
    VideoFacts,
)
from serve_app.schema.sampling import MAX_FRAMES
from serve_app.settings import DecoderSettings, GeometrySettings, ModelProfile
from serve_app.settings.profile import FrameRule, SizeRule
from serve_app.settings.video import Guard
from serve_app.video.geometry import FixedSize

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.video.frames import Frames
    from serve_app.video.supply import Supply


MAX_SAID = 2000  # characters of an error


def _way_of(size: object) -> str:
    """Which of the three ways to say a size this is, as JSON or as a value."""
    keys = size if isinstance(size, dict) else dir(size)
    return "rule" if "kind" in keys else "area" if "factor" in keys else "fixed"


Size = Annotated[
    Annotated[GeometrySettings, Tag("area")]
    | Annotated[FixedSize, Tag("fixed")]
    | Annotated[SizeRule, Tag("rule")],
    Discriminator(_way_of),
]


@dataclass(frozen=True, slots=True)
class Shot:
    """Which frames of a video, and how large. Times are seconds on the container's timeline.

    ``rule`` is a model's own and stands in for ``sampling``. There are ``max_frames`` frames at most, in
    multiples of ``frame_factor`` if the video has so many.
    """

    sampling: Sampling = field(default_factory=FpsSampling)
    start_s: float | None = None
    end_s: float | None = None
    size: Size = field(default_factory=GeometrySettings)
    rule: FrameRule | None = None
    max_frames: int = MAX_FRAMES
    frame_factor: int = 1
    on_damage: OnDamage = "fail"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says about its frames; ``None`` is not said."""

    sampling: Sampling | None = None
    start_s: float | None = None
    end_s: float | None = None
    max_frames: int | None = None
    on_damage: OnDamage | None = None

    def shot(self, settings: DecoderSettings, profile: ModelProfile | None) -> Shot:
        """The request laid over the settings, and both over the model's rules if there is a profile."""
        sampling = self.sampling or settings.sampling
        most = min(self.max_frames or MAX_FRAMES, settings.max_sampled_frames)
        damage = self.on_damage or settings.on_damage
        if profile is None:
            return Shot(
                sampling, self.start_s, self.end_s, settings.geometry, max_frames=most, on_damage=damage
            )
        factor = profile.frames.frame_factor
        if isinstance(sampling, KeyframesSampling | SceneSampling):
            sampling = sampling.model_copy(update={"frame_factor": math.lcm(sampling.frame_factor, factor)})
        said = self.sampling is not None or "sampling" in settings.model_fields_set
        return Shot(
            sampling,
            self.start_s,
            self.end_s,
            profile.size,
            rule=profile.frames.under(sampling) if said else profile.frames,
            max_frames=most,
            # Who names times gets those and no fewer.
            frame_factor=1 if said and isinstance(sampling, TimesSampling) else factor,
            on_damage=damage,
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """That a job's video stays open in the child for further jobs, under a number that no other one has.

    A child that does not know the number opens the video as if it were the first time. With
    ``unless_below_s`` a range that is so long is not decoded but told, as :class:`Opened`, and a shorter one
    is decoded at once and not held; ``over`` closes the video.
    """

    number: int
    unless_below_s: float | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One local file and what to take from it.

    With ``supply`` the file has its full size and only parts of its bytes; the others are put there as they
    are asked for. With ``images`` it is the :mod:`serve_app.album` of a list of so many.
    """

    path: Path
    shot: Shot = field(default_factory=Shot)
    supply: Supply | None = None
    images: int = 0
    hold: Hold | None = None

    def line(self, number: int) -> bytes:
        """The job as the child reads it."""
        hold = None if self.hold is None else asdict(self.hold)
        how = {"partial": self.supply is not None, "images": self.images, "hold": hold}
        said = {"job": number, "shot": SHOT.dump_python(self.shot, mode="json"), **how}
        return json.dumps(said).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Decoded:
    """The frames, what was found on the way, and what it cost.

    ``cpu_s`` counts user and system seconds of the decoding process, ``wall_s`` the time it took.
    """

    frames: Frames
    video: VideoFacts
    coverage: Coverage
    warnings: tuple[str, ...]
    cpu_s: float
    wall_s: float


def open_video(path: Path) -> int:
    """A descriptor to read ``path`` from; ``VideoUnreadableError`` for anything but a regular file."""
    # Without O_NONBLOCK a FIFO would keep its opener waiting for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise VideoUnreadableError("not a regular file")
    return fd


class Done(Closed):
    """A child's answer: the frames lie at the start of the shared buffer, without gaps."""

    kind: Literal["done"] = "done"
    job: int
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    pts_seconds: list[float] = Field(min_length=1)
    video: VideoFacts
    coverage: Coverage
    warnings: tuple[Annotated[str, Field(max_length=500)], ...] = Field(max_length=50)
    cpu_s: float = Field(ge=0)
    wall_s: float = Field(ge=0)


class Failed(Closed):
    """A child's answer: a :class:`serve_app.errors.Failure`."""

    kind: Literal["failed"] = "failed"
    job: int
    family: Family
    stage: Stage
    error_class: str = Field(max_length=100)
    message: str = Field(max_length=MAX_SAID)
    bug: str = Field(default="", max_length=MAX_SAID, description="What is for the log alone.")


class Opened(Closed):
    """A child's answer: the video is open, and what of the asked range is there.

    ``asked`` is the range within what the container promises; it ends later where the file is cut short.
    """

    kind: Literal["opened"] = "opened"
    job: int
    there: TimeRange
    asked: TimeRange


class Over(Closed):
    """A child's answer: the video that was held is closed."""

    kind: Literal["over"] = "over"
    job: int


class Want(Closed):
    """What a child says in the middle of a job: these bytes of the video are not here yet."""

    kind: Literal["want"] = "want"
    job: int
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Contained(Closed):
    """What stands between a child and the machine, and what the platform refused."""

    in_force: tuple[Guard, ...] = Field(description="Guards that stand.")
    missing: dict[Guard, str] = Field(description="Guards that the platform refused, with its words.")

    def lacks(self, required: frozenset[Guard]) -> str:
        """What is missing of ``required``, and why; empty if nothing is."""
        return ", ".join(f"{guard} ({why})" for guard, why in self.missing.items() if guard in required)


class Greeting(Closed):
    """A child's first line; ``unfit`` says why it cannot do what the settings ask for."""

    contained: Contained
    unfit: str = Field(default="", max_length=MAX_SAID)


SHOT: TypeAdapter[Shot] = TypeAdapter(Shot)
Answer = Done | Failed | Want | Opened | Over
ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])
