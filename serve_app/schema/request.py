"""``capstream.request/v1``: what comes in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from serve_app.schema.closed import Closed
from serve_app.schema.generation import GenerationParams, Output, name_output
from serve_app.schema.numbers import OptionalNumber, OptionalWhole
from serve_app.schema.sampling import MAX_FRAMES, Sampling, name_strategy

REQUEST_SCHEMA: Final = "capstream.request/v1"
# An id stands in headers, log lines and tables.
PRINTABLE = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"
MAX_URL_CHARS = 64 * 1024 * 1024  # a data: URI carries the video itself; the broker limits the record


VariableText = Annotated[str, Field(max_length=32_768)]
Variable = Annotated[str, Field(pattern="^[a-z_][a-z0-9_]{0,63}$")]
OnDamage = Literal["fail", "partial"]
ON_DAMAGE = (
    "fail: a video that is cut short or damaged where frames were chosen is an error; partial: what could be "
    "decoded whole is used, and the record's coverage says what is missing."
)


class ChatMessage(BaseModel):
    """One OpenAI-style chat message; keys beside ``role`` and ``content`` are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: str = Field(max_length=64)
    content: str | list[dict[str, JsonValue]]


class CaptionRequest(Closed):
    """One video to caption (``capstream.request/v1``). Exactly one of ``url`` and ``messages``."""

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
        if (self.url is None) == (self.messages is None):
            raise ValueError("give exactly one of url and messages")
        if self.start_s is not None and self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError(f"end_s {self.end_s} must be above start_s {self.start_s}")
        if self.messages is not None:
            video_in(self.messages)
        return self

    @property
    def source_url(self) -> str:
        """The video's URL, wherever the request gave it."""
        return self.url if self.url is not None else video_in(self.messages or [])

    @property
    def source_prompt(self) -> str | None:
        """The prompt: the request's own, else the text of its user messages, else ``None``."""
        return self.prompt or text_in(self.messages or []) or None


def _items(messages: list[ChatMessage]) -> list[dict[str, JsonValue]]:
    return [item for m in messages if not isinstance(m.content, str) for item in m.content]


def video_in(messages: list[ChatMessage]) -> str:
    """The one video URL among the messages' items; ``ValueError`` for none or several."""
    found = [url for item in _items(messages) if (url := _video_url(item)) is not None]
    if len(found) != 1:
        raise ValueError(f"messages must hold exactly one video or video_url item, found {len(found)}")
    return found[0]


def _video_url(item: dict[str, JsonValue]) -> str | None:
    kind = item.get("type", "video_url" if "video_url" in item else "video" if "video" in item else "")
    if kind not in ("video", "video_url"):
        return None
    value = item.get(str(kind))
    value = value.get("url") if isinstance(value, dict) else value
    if not isinstance(value, str) or not value:
        raise ValueError(f"a {kind} item must hold a URL, found {type(value).__name__}")
    return value


def text_in(messages: list[ChatMessage]) -> str:
    """The text of the user's messages, joined by line breaks."""
    parts: list[str] = []
    for message in messages:
        if message.role != "user":
            continue
        if isinstance(message.content, str):
            parts.append(message.content)
        else:
            parts += [
                t for i in message.content if i.get("type") == "text" and isinstance(t := i.get("text"), str)
            ]
    return "\n".join(parts).strip()
