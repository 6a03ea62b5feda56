"""A request as it comes, over Kafka or HTTP: a JSON object, a bare URL, or a list of chat messages."""

from __future__ import annotations

import json
import re

from pydantic import ValidationError

from serve_app.errors import RequestInvalidError
from serve_app.schema.request import REQUEST_SCHEMA, CaptionRequest
from serve_app.schema.violations import dotted, plain, violations

URL_SHAPE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def parse(value: bytes | None) -> CaptionRequest:
    """Read a request's value; ``RequestInvalidError`` says what is wrong with it."""
    if value is None:
        raise RequestInvalidError("the record is a tombstone: it has no value")
    text = _text(value).strip()
    if not text:
        raise RequestInvalidError("the value is empty: a JSON object, a URL or a list of messages is needed")
    if text[0] not in '{["':
        return _bare(text)
    return _validated(_decoded(text))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise RequestInvalidError(
            f"the value is not UTF-8 text: byte 0x{value[error.start]:02x} at {error.start} of {len(value)}"
        ) from error


def _bare(text: str) -> CaptionRequest:
    if URL_SHAPE.fullmatch(text) is None:
        raise RequestInvalidError(
            "the value is neither JSON nor a URL (scheme:…, no spaces); it starts with " + repr(text[:20])
        )
    return _validated({"url": text})


def _decoded(text: str) -> object:
    try:
        decoded: object = json.loads(text, parse_constant=_no_constant)
        # An escape can name half a surrogate pair, which no result could be written with.
        json.dumps(decoded, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RequestInvalidError("the value holds half a surrogate pair, which is no text") from error
    except (ValueError, RecursionError) as error:
        raise RequestInvalidError(f"the value is not JSON: {error}") from error
    return decoded


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _validated(data: object) -> CaptionRequest:
    if isinstance(data, list):
        data = {"messages": data}
    elif isinstance(data, str):
        return _bare(data.strip())
    schema = data.get("schema", REQUEST_SCHEMA) if isinstance(data, dict) else None
    if schema != REQUEST_SCHEMA:
        raise RequestInvalidError(
            f"schema {str(schema)[:60]!r} is not known here: this reads {REQUEST_SCHEMA!r}"
        )
    try:
        return CaptionRequest.model_validate(data)
    except ValidationError as error:
        raise RequestInvalidError(_described(error)) from error


def _described(error: ValidationError) -> str:
    # Inputs are left out unless they are numbers: a URL among them may carry credentials.
    parts = []
    for one in violations(error, CaptionRequest)[:3]:
        told = one.sentence(plain(one.value) if isinstance(one.value, int | float) else "")
        parts.append(f"{dotted(one.path)}: {told}" if one.path else told)
    return "; ".join(parts)
