"""Settings of what is kept on a node to spare work: fetched videos and captions."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from serve_app.schema import Closed
from serve_app.schema.numbers import Number


class CacheSettings(Closed):
    """What a node keeps; off by default, each for itself. All replicas on a node share the folder."""

    folder: Path = Field(
        default=Path(".capstream/cache"),
        description="Made when something is kept; its files are readable by their user only.",
    )
    videos_mib: Number = Field(
        default=0,
        ge=0,
        le=16_777_216,
        description="Fetched http(s) videos in MiB, by their content; those used longest ago go first. "
        "0: none.",
    )
    videos_ttl_s: Number = Field(
        default=86_400,
        gt=0,
        le=31_536_000,
        description="A video that no server confirmed for so long is fetched anew.",
    )
    videos_fresh_s: Number = Field(
        default=0,
        ge=0,
        le=86_400,
        description="For so long after a server was asked it is not asked again whether it has another "
        "version; host and scheme are checked all the same. 0: it is asked each time.",
    )
    captions_s: Number = Field(
        default=0,
        ge=0,
        le=31_536_000,
        description="For so long the caption of a video is used again where the same bytes are to be "
        "captioned in the same way. 0: never.",
    )
    captions_mib: Number = Field(default=256, gt=0, le=1_048_576, description="Kept captions in MiB.")
