"""All generated documents by their place below docs/."""

from __future__ import annotations

import json

import yaml

from serve_app.reference.asyncapi import asyncapi
from serve_app.reference.configuration import configuration
from serve_app.reference.schemas import caption_schema, request_schema, window_schema

NOTE = "# Made from the code by `make docs`; do not edit.\n"


def documents() -> dict[str, str]:
    """The text of each."""
    return {
        "configuration.md": configuration(),
        "schemas/request.v1.json": _json(request_schema()),
        "schemas/caption.v1.json": _json(caption_schema()),
        "schemas/window.v1.json": _json(window_schema()),
        "asyncapi.yaml": NOTE + yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=100),
    }


def _json(schema: object) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
