"""Words to find a video by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_app.schema import JsonOutput
from serve_app.tasks.task import Answer, Task, as_text
from serve_app.tasks.template import Template

if TYPE_CHECKING:
    from pydantic import JsonValue


def read(text: str, fields: JsonValue) -> Answer:
    """The tags in their order, each once, as a list and as text."""
    found = fields.get("tags") if isinstance(fields, dict) else None
    if not isinstance(found, list):
        return as_text(text, fields)
    tags: list[JsonValue] = [*dict.fromkeys(tag.strip().lower() for tag in found if isinstance(tag, str))]
    return Answer(", ".join(map(str, tags)), {"tags": tags})


TAGS = Task(
    "tags",
    Template(
        "List tags by which this video would be found: things, people, places, actions, style. "
        'Answer as JSON: {{"tags": ["…"]}}.'
    ),
    JsonOutput(
        json_schema={
            "type": "object",
            "properties": {
                "tags": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 64},
                    "minItems": 1,
                    "maxItems": 20,
                }
            },
            "required": ["tags"],
            "additionalProperties": False,
        }
    ),
    read,
)
