"""JSON Schemas (Draft 2020-12) of what travels on the topics.

pydantic makes most of it. Added by hand is what its models say in validators: the three forms of a request,
that a request has one source, and which key of a sampling implies its strategy.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from serve_app.schema import (
    CAPTION_SCHEMA,
    REQUEST_SCHEMA,
    WINDOW_SCHEMA,
    CaptionRecord,
    CaptionRequest,
    WindowRecord,
)
from serve_app.schema.sampling import SAMPLING_BY_KEY

Schema = dict[str, Any]
DIALECT = GenerateJsonSchema.schema_dialect
SOURCES = {"url": "string", "frames": "object", "messages": "array"}
URL_PATTERN = r"^\s*[A-Za-z][A-Za-z0-9+.\-]*:\S+\s*$"
REQUEST_NOTE = (
    "One video to caption: a JSON object, a URL in a JSON string, or a list of chat messages. The URL alone, "
    "without JSON around it, is taken too. Not expressed here: end_s must be above start_s, min_frames must "
    "not be above max_frames, nor frame_factor, overlap_s of windows must be below their length_s, windows "
    "do not go with sampling by times, messages must hold exactly one video or video_url item, and "
    "frames exactly one of fps and times_s, of which the second rises and has a time for each image. "
    "The reader is more lenient with numbers: it takes them as text, too."
)


def request_schema() -> Schema:
    """Schema of ``capstream.request/v1``."""
    whole = _tidied(CaptionRequest.model_json_schema(by_alias=True))
    definitions = whole.pop("$defs")
    _imply_strategies(definitions)
    messages = next(part for part in whole["properties"]["messages"]["anyOf"] if part["type"] == "array")
    whole["properties"]["sampling"] = _without_discriminator(whole["properties"]["sampling"])
    request = whole | {"oneOf": [_source(*given) for given in SOURCES.items()]}
    forms = {
        "Request": request,
        "Url": {"description": "As an object with this url.", "type": "string", "pattern": URL_PATTERN},
        "Messages": {"description": "As an object with these messages.", **messages},
    }
    return {
        "$schema": DIALECT,
        "$id": _identifier(REQUEST_SCHEMA),
        "title": REQUEST_SCHEMA,
        "description": REQUEST_NOTE,
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in forms],
        "$defs": forms | definitions,
    }


def caption_schema() -> Schema:
    """Schema of ``capstream.caption/v1``."""
    whole: Schema = _tidied(CaptionRecord.model_json_schema(by_alias=True, mode="serialization"))
    head = {"$schema": DIALECT, "$id": _identifier(CAPTION_SCHEMA), "title": CAPTION_SCHEMA}
    return head | whole


def window_schema() -> Schema:
    """Schema of ``capstream.window/v1``."""
    whole: Schema = _tidied(WindowRecord.model_json_schema(by_alias=True, mode="serialization"))
    return {"$schema": DIALECT, "$id": _identifier(WINDOW_SCHEMA), "title": WINDOW_SCHEMA} | whole


def _identifier(name: str) -> str:
    return "urn:" + name.replace(".", ":").replace("/", ":")


def _source(given: str, kind: str) -> Schema:
    kinds = {name: kind if name == given else "null" for name in SOURCES}
    return {"required": [given], "properties": {name: {"type": kind} for name, kind in kinds.items()}}


def _imply_strategies(definitions: Schema) -> None:
    for key, strategy in SAMPLING_BY_KEY.items():
        for definition in definitions.values():
            if definition.get("properties", {}).get("strategy", {}).get("const") == strategy:
                definition["anyOf"] = [{"required": ["strategy"]}, {"required": [key]}]


def _without_discriminator(sampling: Schema) -> Schema:
    # It would say that the strategy is always there.
    kinds = [{k: v for k, v in kind.items() if k != "discriminator"} for kind in sampling["anyOf"]]
    return sampling | {"anyOf": kinds}


def _tidied(schema: Any) -> Any:  # noqa: ANN401  JSON
    """Without the titles that repeat a key, and with descriptions as Markdown."""
    if isinstance(schema, list):
        return [_tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        text = key == "description" and isinstance(value, str)
        kept[key] = " ".join(value.replace("``", "`").split()) if text else _tidied(value)
    return kept
