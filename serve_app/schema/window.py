"""``capstream.window/v1``: a window's caption, as it is published before the whole video's."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from serve_app.schema.caption import Caption, Origin
from serve_app.schema.closed import Closed

WINDOW_SCHEMA: Final = "capstream.window/v1"


class WindowEnvelope(Closed):
    """What ties a window to its request."""

    schema_: Literal["capstream.window/v1"] = Field(default=WINDOW_SCHEMA, alias="schema")
    id: str = Field(description="The request's id, #, and the window's clip_index: the same in each attempt.")
    request_id: str
    request: Origin
    attempt: int = Field(ge=1, description="Which attempt made it; a later one takes its place.")
    config_hash: str = Field(description="Of the settings that decide what a caption says.")
    metadata: dict[str, JsonValue]


class WindowRecord(Caption, WindowEnvelope):
    """One window's caption (``capstream.window/v1``); the envelope's fields come first."""

    model_config = ConfigDict(title=WINDOW_SCHEMA)
