"""What is asked of a decoder and what it answers, as values and as JSON."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, TypeAdapter

from serve_app.errors import Family, Stage, VideoUnreadableError
from serve_app.schema import Closed, FpsSampling, Sampling, VideoFacts
from serve_app.settings import GeometrySettings
from serve_app.settings.video import Guard
from serve_app.video.geometry import FixedSize

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.video.frames import Frames


MAX_SAID = 2000  # characters of an error


@dataclass(frozen=True, slots=True)
class Shot:
    """Which frames of a video, and how large. Times are seconds on the container's timeline."""

    sampling: Sampling = field(default_factory=FpsSampling)
    start_s: float | None = None
    end_s: float | None = None
    size: GeometrySettings | FixedSize = field(default_factory=GeometrySettings)


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One local file and what to take from it."""

    path: Path
    shot: Shot = field(default_factory=Shot)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The frames, what was found on the way, and what it cost.

    ``cpu_s`` counts user and system seconds of the decoding process, ``wall_s`` the time it took.
    """

    frames: Frames
    video: VideoFacts
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


class Contained(Closed):
    """A child's first line: what stands between it and the machine, and what the platform refused."""

    in_force: tuple[Guard, ...] = Field(description="Guards that stand.")
    missing: dict[Guard, str] = Field(description="Guards that the platform refused, with its words.")

    def lacks(self, required: frozenset[Guard]) -> str:
        """What is missing of ``required``, and why; empty if nothing is."""
        return ", ".join(f"{guard} ({why})" for guard, why in self.missing.items() if guard in required)


SHOT: TypeAdapter[Shot] = TypeAdapter(Shot)
ANSWER: TypeAdapter[Done | Failed] = TypeAdapter(Annotated[Done | Failed, Field(discriminator="kind")])
