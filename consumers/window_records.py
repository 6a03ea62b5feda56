"""A window's caption as a record: values in, values out."""

from __future__ import annotations

from functools import partial

from consumers.records import OWN, InputRecord, Marks, OutputRecord, origin_of
from serve_app.schema import Caption, CaptionRequest, WindowRecord


def window_record(
    record: InputRecord, request: CaptionRequest, caption: Caption, attempt: int, marks: Marks
) -> WindowRecord:
    """Tie a window to the record that asked for it."""
    request_id = request.id or record.id
    return WindowRecord(
        id=f"{request_id}#{caption.clip_index}",
        request_id=request_id,
        request=origin_of(record),
        attempt=attempt,
        config_hash=marks.config_hash,
        metadata=request.metadata,
        **{name: getattr(caption, name) for name in Caption.model_fields},
    )


def window_output(record: InputRecord, window: WindowRecord, topic: str, marks: Marks) -> OutputRecord:
    """Make the record for the topic of windows: the request's key, JSON, and headers to filter by."""
    told = {
        "id": window.id,
        "schema": window.schema_,
        "consumer": marks.consumer,
        "origin": record.place,
    }
    headers = tuple((OWN + name, text.encode()) for name, text in told.items())
    value = window.model_dump_json(by_alias=True).encode()
    return OutputRecord(topic, record.key, value, headers, partial(_bare, record, window, topic, marks))


def _bare(record: InputRecord, window: WindowRecord, topic: str, marks: Marks) -> OutputRecord:
    # Its text is in the caption record, or nowhere if that is too large as well.
    return window_output(
        record, window.model_copy(update={"text": "", "fields": None, "metadata": {}}), topic, marks
    )
