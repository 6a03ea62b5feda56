"""A dead letter as a line, as a page and as JSON."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consumers.letters import Letter

SHOWN_CHARS = 2000
Fields = dict[str, str | int | bool | None]


def fields_of(letter: Letter, *, replayed: bool) -> Fields:
    """What a letter says, by name."""
    return {
        "place": str(letter.place),
        "time": _time(letter.timestamp_ms),
        "id": letter.id,
        "stage": letter.stage,
        "class": letter.error_class,
        "message": letter.message,
        "attempts": letter.attempts,
        "origin": str(letter.origin) if letter.origin is not None else None,
        "replays": letter.replays,
        "replayed": replayed,
        "value_omitted_bytes": letter.omitted_bytes,
    }


def line_of(letter: Letter, *, replayed: bool) -> str:
    """One line for a person, or for grep."""
    star = "*" if replayed else " "
    return (
        f"{letter.place} {star} {_time(letter.timestamp_ms)}  {letter.stage:8} {letter.error_class}  "
        f"{letter.attempts}x  {letter.id}  {' '.join(letter.message.split())}"
    )


def page_of(letter: Letter, *, replayed: bool) -> str:
    """Everything about a letter for a person; a long value is cut."""
    told = {name: value for name, value in fields_of(letter, replayed=replayed).items() if value is not None}
    lines = [f"{name:20} {value}" for name, value in told.items()]
    lines += ["", "headers", *(f"  {name:40} {_text(value)}" for name, value in letter.record.headers)]
    lines += ["", "key", f"  {_text(letter.record.key)}", "", "value", f"  {_value(letter)}"]
    return "\n".join(lines)


def document_of(letter: Letter, *, replayed: bool) -> dict[str, object]:
    """Everything about a letter, uncut. Bytes that are no UTF-8 are ``{"base64": …}``."""
    return {
        **fields_of(letter, replayed=replayed),
        "headers": [[name, _exact(value)] for name, value in letter.record.headers],
        "key": _exact(letter.record.key),
        "value": _exact(letter.record.value),
    }


def _time(timestamp_ms: int) -> str:
    if timestamp_ms < 0:
        return "-"
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _value(letter: Letter) -> str:
    if letter.omitted_bytes is not None:
        return f"(omitted, {letter.omitted_bytes} bytes with its key: it stands at {letter.origin})"
    text = _text(letter.record.value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}… ({len(text)} characters, see --json)"


def _text(value: bytes | None) -> str:
    if value is None:
        return "(none)"
    text = value.decode(errors="backslashreplace")
    # Control characters of a stranger's record must not reach a terminal.
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _exact(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
