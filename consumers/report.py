"""What a result record says, for people: captions and dead letters as lines and as values."""

from __future__ import annotations

import json
from dataclasses import dataclass

from consumers.records import CONNECT, OWN, InputRecord
from serve_app.schema import CAPTION_SCHEMA, CaptionRecord


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended. ``elapsed_s`` is from its record's time to its result's; stages in seconds."""

    id: str
    captioned: bool
    text: str
    elapsed_s: float
    stages: str
    where: str


def headers_of(record: InputRecord) -> dict[str, str]:
    """Headers as text."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def ending_of(record: InputRecord) -> Ending:
    """Read a record of the captions topic or of the dead letter topic."""
    headers = headers_of(record)
    return _letter(record, headers) if CONNECT + "topic" in headers else _caption(record, headers)


def _caption(record: InputRecord, headers: dict[str, str]) -> Ending:
    made = CaptionRecord.model_validate_json(record.value or b"")
    asked_ms = made.request.timestamp_ms if made.request else None
    times = made.timings
    return Ending(
        id=made.id,
        captioned=True,
        text=made.caption,
        elapsed_s=_elapsed_s(record.timestamp_ms, asked_ms),
        stages=f"fetch {times.fetch_s:.2f}, decode {times.decode_s:.2f}, caption {times.caption_s:.2f}",
        where="\n".join(
            [
                f"consumer {headers.get(OWN + 'consumer', '?')}",
                f"decoder {made.workers.decoder}",
                f"captioner {made.workers.captioner}",
            ]
        ),
    )


def _letter(record: InputRecord, headers: dict[str, str]) -> Ending:
    first_seen_ms = int(headers.get(OWN + "first_seen_ms", "-1"))
    return Ending(
        id=headers.get(OWN + "id", "?"),
        captioned=False,
        text=f"{headers.get(CONNECT + 'exception.class.name')}: {headers.get(CONNECT + 'exception.message')}",
        elapsed_s=_elapsed_s(record.timestamp_ms, first_seen_ms if first_seen_ms >= 0 else None),
        stages=f"failed in {headers.get(CONNECT + 'stage')}, attempt {headers.get(OWN + 'attempts')}",
        where=f"consumer {headers.get(OWN + 'consumer', '?')}",
    )


def _elapsed_s(end_ms: int | None, start_ms: int | None) -> float:
    return (end_ms - start_ms) / 1000 if end_ms is not None and start_ms is not None else float("nan")


def line_of(record: InputRecord, *, as_json: bool) -> str:
    """One line: what a person reads, or the JSON of a caption or of a dead letter's headers.

    A record that somebody else wrote on the topic is told as such, or given as it is.
    """
    headers = headers_of(record)
    letter = CONNECT + "topic" in headers
    if as_json:
        return json.dumps(headers) if letter else (record.value or b"").decode(errors="replace")
    try:
        ending = ending_of(record)
    except ValueError:
        return f"{record.id}  not a record of {CAPTION_SCHEMA}"
    how = "caption" if ending.captioned else "dead letter"
    return f"{ending.id}  {how} after {ending.elapsed_s:.2f} s  {ending.text}"
