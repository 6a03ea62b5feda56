"""``capstream.caption/v1``: what goes out."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from serve_app.schema.closed import Closed

CAPTION_SCHEMA: Final = "capstream.caption/v1"


class SourceFacts(Closed):
    """Which bytes were captioned."""

    url: str = Field(
        description="Credentials and signatures redacted; data: URIs shortened. Of a list: the first image's."
    )
    sha256: str | None = Field(
        description="Of the bytes, in hexadecimal; null where only parts of the file were read: then url, "
        "etag, last_modified and bytes say which file it was. Of a list of images: of those "
        "images' own SHA-256 that were fetched, written one after another."
    )
    bytes: int = Field(
        ge=0, description="Size of the whole file, or of all images that were fetched of a list."
    )
    bytes_fetched: int = Field(
        ge=0,
        description="Read from the source for this caption: fewer than bytes where parts sufficed, 0 where "
        "the node's cache had them.",
    )
    etag: str | None = Field(default=None, description="As the server sent it; null where it sent none.")
    last_modified: str | None = Field(
        default=None, description="As the server sent it; null where it sent none."
    )
    images: int | None = Field(
        default=None, ge=1, description="How many images the list has, fetched or not; null for a video."
    )


class VideoFacts(Closed):
    """What the container says and the index found, for the stream that was chosen."""

    duration_s: float = Field(ge=0, description="From the first frame's pts to the end of the last.")
    width: int = Field(ge=1, description="Pixels as shown: after rotation.")
    height: int = Field(ge=1, description="Pixels as shown: after rotation.")
    fps: float | None = Field(description="Average frames per second of the index; null for one frame.")
    codec: str
    frame_count: int = Field(ge=1, description="Counted in the index, not taken from the header.")
    stream: int = Field(ge=0, description="Index of the video stream that was chosen.")
    rotation: int = Field(description="Degrees clockwise applied to show it upright: 0, 90, 180 or 270.")
    decoder: Literal["pyav", "torchcodec", "pillow"] = Field(
        default="pyav",
        description="What decoded it: PyAV, `decoder.fallback`, or for a list of images Pillow.",
    )


class FrameFacts(Closed):
    """The frames that the engine saw."""

    pts_seconds: list[float] = Field(
        description="The exact pts of each frame, on the container's timeline; empty for windows, whose "
        "captions have them."
    )
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    profile: str | None = Field(default=None, description="The model profile that was followed; null: none.")
    visual_tokens: int | None = Field(
        default=None, ge=0, description="What all frames cost the model by its profile; null without one."
    )


class TimeRange(Closed):
    """From ``start_s`` to ``end_s``, which is not in it, on the container's timeline."""

    start_s: float
    end_s: float


class Coverage(Closed):
    """How much of what was asked for the frames stand for.

    Each chosen frame stands for the time from its pts to the next chosen frame's.
    """

    complete: bool = Field(description="Nothing is missing.")
    start_s: float = Field(description="The asked range's start.")
    end_s: float = Field(description="The asked range's end, within what the container promises.")
    ranges: tuple[TimeRange, ...] = Field(description="What the frames stand for; rising, with gaps between.")
    missing_pts_seconds: tuple[float, ...] = Field(
        description="Chosen frames that were lost to damage; nothing stands in for them."
    )


class Caption(Closed):
    """One caption and the half-open range of the video that it describes."""

    clip_index: int = Field(
        default=0, ge=0, description="Which window, counted from 0; those that were passed over count too."
    )
    start_s: float
    end_s: float
    pts_seconds: list[float] | None = Field(
        default=None, description="The pts of each frame of a window; null for the whole: frames has them."
    )
    text: str
    fields: JsonValue = Field(
        default=None, description="The answer's JSON, as its schema allows it; null where none was asked for."
    )
    finish_reason: str | None = Field(
        default=None, description="stop, or length where the answer was cut off at max_tokens."
    )


class EngineFacts(Closed):
    """Who wrote the caption."""

    kind: str
    model: str | None = Field(description="null where the engine has no model.")


class Usage(Closed):
    """Tokens, where the engine counts them."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class Timings(Closed):
    """Seconds per stage of the attempt that succeeded."""

    fetch_s: float = Field(ge=0)
    decode_s: float = Field(ge=0)
    caption_s: float = Field(
        ge=0,
        description="From handing over the frames to the caption, batching included; of windows from the "
        "first one's frames to the last text, decoding included.",
    )


class Workers(Closed):
    """Where it ran."""

    node: str
    decoder: str = Field(description="Replica and process id.")
    captioner: str = Field(description="Replica and process id.")


class Reused(Closed):
    """That the caption was made for an earlier request of the same bytes."""

    made_ms: int = Field(ge=0, description="When it was made, in milliseconds since 1970.")


class Origin(Closed):
    """The request's place on its topic."""

    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    timestamp_ms: int | None = Field(description="The request record's own time; null if it has none.")


class Captioned(Closed):
    """One captioned video, before it is tied to its record."""

    caption: str = Field(
        description="The whole video's caption; of windows the task's summary, or their captions, one a line."
    )
    captions: list[Caption] = Field(description="By range of time; one for the whole unless it was windowed.")
    fields: JsonValue = Field(default=None, description="The JSON of the whole video's caption, or null.")
    task: str
    captioner: str | None = Field(default=None, description="Its name in the settings; null: the default.")
    engine: EngineFacts
    usage: Usage | None = Field(description="null where the engine counts no tokens, or none were spent.")
    source: SourceFacts
    video: VideoFacts
    frames: FrameFacts
    coverage: Coverage
    warnings: list[str] = Field(description="Where the container was found to be wrong or incomplete.")
    reused: Reused | None = Field(
        default=None, description="null unless the node's cache of captions had it: nothing was decoded then."
    )
    timings: Timings
    workers: Workers


class Envelope(Closed):
    """What ties a caption to its request."""

    schema_: Literal["capstream.caption/v1"] = Field(default=CAPTION_SCHEMA, alias="schema")
    id: str
    request: Origin | None = Field(description="null for requests that came over HTTP.")
    attempts: int = Field(ge=1)
    config_hash: str = Field(description="Of the settings that decide what a caption says.")
    metadata: dict[str, JsonValue]


class CaptionRecord(Captioned, Envelope):
    """One captioned video (``capstream.caption/v1``); the envelope's fields come first."""

    model_config = ConfigDict(title=CAPTION_SCHEMA)
