"""The OpenAPI document: FastAPI's own, and the request body, which is read as on the input topic."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI

from serve_app.reference.schemas import request_schema

EXAMPLE = {"url": "https://example.com/clip.mp4", "sampling": {"num_frames": 8}}
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/RequestBody"}, "example": EXAMPLE},
        "text/plain": {"schema": {"$ref": "#/components/schemas/Url"}, "example": EXAMPLE["url"]},
    },
}


def request_components() -> dict[str, Any]:
    """The published schema of requests, in OpenAPI's places: by name."""
    text = json.dumps(request_schema()).replace("#/$defs/", "#/components/schemas/")
    whole: dict[str, Any] = json.loads(text)
    forms: dict[str, Any] = whole["$defs"]
    return forms | {"RequestBody": {"description": whole["description"], "oneOf": whole["oneOf"]}}


class Api(FastAPI):
    """FastAPI with the schemas of the request among its components."""

    def openapi(self) -> dict[str, Any]:
        """Return the document; a client can be generated from it."""
        document = super().openapi()
        document["components"]["schemas"] |= request_components()
        return document
