"""A caption in fields, as JSON that a schema allows."""

from __future__ import annotations

from pydantic import JsonValue

from serve_app.schema import JsonOutput
from serve_app.tasks.task import Task
from serve_app.tasks.template import Template

WORDS: JsonValue = {"type": "array", "items": {"type": "string", "maxLength": 128}, "maxItems": 20}

STRUCTURED_CAPTION = Task(
    "structured_caption",
    Template(
        "Describe this video as JSON with these keys: caption (what is shown and what happens, in one or two "
        "sentences), subjects (who or what is seen), actions (what they do), setting (where it is), "
        "text (words that can be read in the picture)."
    ),
    JsonOutput(
        json_schema={
            "type": "object",
            "properties": {
                "caption": {"type": "string", "minLength": 1},
                "subjects": WORDS,
                "actions": WORDS,
                "setting": {"type": "string"},
                "text": WORDS,
            },
            "required": ["caption", "subjects", "actions", "setting", "text"],
            "additionalProperties": False,
        }
    ),
)
