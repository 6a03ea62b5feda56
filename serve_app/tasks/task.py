"""A prompt task as a value: what is asked, what form the answer must have, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import JsonValue

from serve_app.schema import GenerationParams, Output

if TYPE_CHECKING:
    from serve_app.tasks.template import Template


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read from the engine's text: the caption, and fields where the output is JSON."""

    text: str
    fields: JsonValue = None


Read = Callable[[str, JsonValue], Answer]


def as_text(text: str, fields: JsonValue) -> Answer:
    """The text as it is; of JSON the ``caption``, if it has one."""
    caption = fields.get("caption") if isinstance(fields, dict) else None
    if isinstance(caption, str):
        return Answer(caption, fields)
    return Answer(text.strip() if fields is None else json.dumps(fields, ensure_ascii=False), fields)


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt task.

    ``read`` is given text that has the form of ``output``, and the JSON in it where that is a schema. With
    ``summary`` a video is always captioned in windows, by ``prompt`` and in plain text; then the engine is
    asked once more, with their captions and no frames, and that is what ``output`` and ``read`` are for.
    """

    name: str
    prompt: Template
    output: Output | None = None
    read: Read = as_text
    generation: GenerationParams = field(default_factory=GenerationParams)
    captioner: str | None = None
    summary: Template | None = None
