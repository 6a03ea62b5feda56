"""One entry of the corpus: bytes made in code, how they are read, and how that may end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serve_app.errors import (
    DecodeMemoryError,
    DecodeTimeoutError,
    NoFramesError,
    VideoRefusedError,
    VideoUnreadableError,
)
from serve_app.video.geometry import FixedSize
from serve_app.video.job import Shot
from tests.hostile.outcome import DECODED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.seeds import Seeds

    Make = Callable[[Seeds], bytes]

UNREADABLE = VideoUnreadableError.__name__
REFUSED = VideoRefusedError.__name__
NO_FRAMES = NoFramesError.__name__
TIMEOUT = DecodeTimeoutError.__name__
MEMORY = DecodeMemoryError.__name__
# What a spoilt byte may come to; a count that lies may ask for more memory than is allowed.
SPOILT = (DECODED, UNREADABLE, REFUSED, NO_FRAMES, MEMORY)


@dataclass(frozen=True, slots=True)
class Case:
    """``ends`` are the classes that are right, ``decoded`` among them where the video may be used.

    ``partial``: the file is read as one that is fetched in parts. ``saying`` is in the message.
    """

    name: str
    make: Make
    ends: tuple[str, ...]
    shot: Shot = field(default_factory=lambda: Shot(size=FixedSize(64, 48)))
    partial: bool = False
    saying: str = ""


def named(cases: list[Case]) -> list[Case]:
    """The cases, each name once: pytest would number the others."""
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"cases of one name: {sorted(twice)}")
    return cases
