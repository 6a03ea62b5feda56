"""OpenAI-style chat messages: the video among them, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from serve_app.schema.frame_list import FrameList
from serve_app.schema.violations import Place, refusal, violations

LIST_FPS = 2.0  # of a list of images that does not say: as Qwen's loader has it
RATES = ("sample_fps", "fps")
Item = dict[str, JsonValue]


class ChatMessage(BaseModel):
    """One OpenAI-style chat message; keys beside ``role`` and ``content`` are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: str = Field(max_length=64)
    content: str | list[Item]


def video_in(messages: list[ChatMessage]) -> str | FrameList:
    """The one video among the messages' items, a URL or a list of images; refused: none, and several."""
    found = [video for place, item in _items(messages) if (video := _video_of(item, place)) is not None]
    if len(found) != 1:
        raise ValueError(f"messages must hold exactly one video or video_url item, found {len(found)}")
    return found[0]


def _items(messages: list[ChatMessage]) -> Iterator[tuple[Place, Item]]:
    for number, message in enumerate(messages):
        if not isinstance(message.content, str):
            for place, item in enumerate(message.content):
                yield ("messages", number, "content", place), item


def _video_of(item: Item, place: Place) -> str | FrameList | None:
    kind = item.get("type", "video_url" if "video_url" in item else "video" if "video" in item else "")
    if kind not in ("video", "video_url"):
        return None
    value = item.get(str(kind))
    if kind == "video" and isinstance(value, list):
        return _listed(item, place)
    value = value.get("url") if isinstance(value, dict) else value
    if not isinstance(value, str) or not value:
        also = " or a list of them" if kind == "video" else ""
        raise ValueError(f"a {kind} item must hold a URL{also}, found {type(value).__name__}")
    return value


def _listed(item: Item, place: Place) -> FrameList:
    rate = next((key for key in RATES if item.get(key) is not None), "fps")
    given = item.get(rate)
    try:
        return FrameList.model_validate({"urls": item["video"], "fps": LIST_FPS if given is None else given})
    except ValidationError as error:
        first = violations(error, FrameList)[0]
        key = rate if first.path[:1] == ("fps",) else "video"
        raise refusal((*place, key, *first.path[1:]), first.value, first.told) from error


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
