"""``capstream.request/v1``: what comes in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from serve_app.schema.closed import Closed
from serve_app.schema.frame_list import MAX_URL_CHARS, FrameList
from serve_app.schema.generation import GenerationParams, Output, name_output
from serve_app.schema.messages import ChatMessage, text_in, video_in
from serve_app.schema.numbers import OptionalNumber, OptionalWhole
from serve_app.schema.sampling import MAX_FRAMES, Sampling, TimesSampling, name_strategy
from serve_app.schema.windows import Windows

REQUEST_SCHEMA: Final = "capstream.request/v1"
# An id stands in headers, log lines and tables.
PRINTABLE = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"

VariableText = Annotated[str, Field(max_length=32_768)]
Variable = Annotated[str, Field(pattern="^[a-z_][a-z0-9_]{0,63}$")]
OnDamage = Literal["fail", "partial"]
ON_DAMAGE = (
    "fail: a video that is cut short or damaged where frames were chosen is an error; partial: what could be "
    "decoded whole is used, and the record's coverage says what is missing."
)


class CaptionRequest(Closed):
    """One video to caption (``capstream.request/v1``). Exactly one of ``url``, ``frames``, ``messages``."""

    model_config = ConfigDict(title=REQUEST_SCHEMA)

    schema_: Literal["capstream.request/v1"] = Field(default=REQUEST_SCHEMA, alias="schema")
    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="Without control characters and line breaks. Default: topic-partition-offset.",
        json_schema_extra={"pattern": PRINTABLE},
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_URL_CHARS,
        description="http(s)://, file://, data:, and where they are allowed s3://, gs:// and az://.",
    )
    frames: FrameList | None = Field(default=None, description="Images that are the video's frames.")
    messages: list[ChatMessage] | None = Field(
        default=None, min_length=1, max_length=64, description="Chat messages, one video item among them."
    )
    task: str | None = Field(
        default=None, min_length=1, max_length=64, description="Prompt task; default from the settings."
    )
    captioner: str | None = Field(
        default=None, min_length=1, max_length=64, description="Which captioner; default from the task."
    )
    prompt: str | None = Field(
        default=None,
        min_length=1,
        max_length=32_768,
        description="Replaces the task's own prompt, or fills {prompt} in it.",
    )
    variables: dict[Variable, VariableText] = Field(
        default_factory=dict, max_length=64, description="What fills the other {names} of the task's prompt."
    )
    generation: GenerationParams | None = Field(
        default=None, description="How the text is sampled; default from the settings."
    )
    output: Output | None = Field(
        default=None, description="The form that the text must have; default from the task."
    )
    sampling: Sampling | None = Field(default=None, description="Default from the settings.")
    start_s: OptionalNumber = Field(default=None, ge=0, description="On the container's timeline, included.")
    end_s: OptionalNumber = Field(
        default=None, gt=0, description="On the container's timeline, not included."
    )
    windows: Windows | None = Field(
        default=None, description="Captions by window; default from the settings and the task."
    )
    on_damage: OnDamage | None = Field(default=None, description=f"{ON_DAMAGE} Default from the settings.")
    max_sampled_frames: OptionalWhole = Field(
        default=None,
        ge=1,
        le=MAX_FRAMES,
        description="Never more frames, whatever the sampling; the settings' own limit holds as well.",
    )
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="Copied into the caption record, unread."
    )

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, data: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever came in
        if not isinstance(data, dict):
            return data
        ways = {"sampling": name_strategy, "output": name_output}
        return data | {key: named(data[key]) for key, named in ways.items() if key in data}

    @field_validator("id")
    @classmethod
    def _on_one_line(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(PRINTABLE, value) is None:
            raise ValueError("it holds a control character or a line break; allowed: text without them")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if [self.url, self.frames, self.messages].count(None) != 2:
            raise ValueError("give exactly one of url, frames and messages")
        if self.start_s is not None and self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError(f"end_s {self.end_s} must be above start_s {self.start_s}")
        if self.windows is not None and isinstance(self.sampling, TimesSampling):
            raise ValueError("windows choose frames of each, so sampling cannot be by times")
        if self.messages is not None:
            video_in(self.messages)
        return self

    @property
    def source(self) -> str | FrameList:
        """Where the video comes from, wherever the request says it: a URL, or a list of images."""
        return self.url or self.frames or video_in(self.messages or [])

    @property
    def source_prompt(self) -> str | None:
        """The prompt: the request's own, else the text of its user messages, else ``None``."""
        return self.prompt or text_in(self.messages or []) or None
