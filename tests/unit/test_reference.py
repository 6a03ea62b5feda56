"""The generated documents say what the code does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from consumers.records import (
    InputRecord,
    Marks,
    Names,
    OutputRecord,
    Verdict,
    caption_output,
    dead_letter,
)
from consumers.retries import Arrival, RetryTopic, retry_record
from consumers.window_records import window_output, window_record
from serve_app.errors import Failure, RequestInvalidError, SourceNotFoundError
from serve_app.reference.asyncapi import (
    CAPTION_HEADERS,
    DEAD_LETTER_HEADERS,
    OPTIONAL_HEADERS,
    RETRY_HEADERS,
    WINDOW_HEADERS,
    asyncapi,
)
from serve_app.reference.documents import documents
from serve_app.reference.schemas import caption_schema, request_schema, window_schema
from serve_app.schema import (
    Caption,
    CaptionRecord,
    CaptionRequest,
    Coverage,
    EngineFacts,
    FrameFacts,
    Origin,
    SourceFacts,
    Timings,
    VideoFacts,
    Workers,
)
from serve_app.schema.values import parse
from serve_app.settings import Settings

ROOT = Path(__file__).parents[2]
URL = "https://videos.example/a.mp4"
MESSAGES = [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": URL}}]}]
RECORD = InputRecord("video.requests", 0, 7, b"key", b"{}", timestamp_ms=1)
NAMES, MARKS = Names("captions", "dlq"), Marks("hash", "consumer")
CAPTION = CaptionRecord(
    id="a",
    request=Origin(topic="video.requests", partition=0, offset=7, timestamp_ms=None),
    attempts=1,
    config_hash="0123456789ab",
    metadata={"any": [1, None]},
    caption="Red.",
    captions=[Caption(start_s=0, end_s=1, text="Red.")],
    task="describe",
    engine=EngineFacts(kind="baseline", model=None),
    usage=None,
    source=SourceFacts(url=URL, sha256="00", bytes=1, bytes_fetched=1),
    video=VideoFacts(
        duration_s=1, width=2, height=2, fps=None, codec="h264", frame_count=1, stream=0, rotation=0
    ),
    frames=FrameFacts(pts_seconds=[0.0], width=28, height=28),
    coverage=Coverage(complete=True, start_s=0, end_s=1, ranges=(), missing_pts_seconds=()),
    warnings=[],
    timings=Timings(fetch_s=0, decode_s=0, caption_s=0),
    workers=Workers(node="n", decoder="d", captioner="c"),
)


@pytest.mark.parametrize("name", documents())
def test_documents_are_up_to_date(name: str) -> None:
    """What is checked in is what the code makes: run `make docs` after a change."""
    assert (ROOT / "docs" / name).read_text() == documents()[name]


def test_a_stale_document_fails_the_check(tmp_path: Path) -> None:
    """The command writes all of them, finds them well, and tells which one was changed."""
    command = [sys.executable, "-m", "serve_app.reference", "--folder", str(tmp_path)]
    subprocess.run([*command, "--write"], check=True, cwd=ROOT)
    subprocess.run([*command, "--check"], check=True, cwd=ROOT)
    (tmp_path / "asyncapi.yaml").write_text("other")
    checked = subprocess.run([*command, "--check"], check=False, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 1
    assert checked.stderr.splitlines() == [
        f"{tmp_path / 'asyncapi.yaml'} differs from what the code says: run `make docs`"
    ]


@pytest.mark.parametrize("schema", [request_schema(), caption_schema()])
def test_schemas_are_valid(schema: dict[str, Any]) -> None:
    """They are schemas of Draft 2020-12, and say so."""
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("request_", "valid"),
    [
        ({"url": URL}, True),
        (
            {"schema": "capstream.request/v1", "url": URL, "id": "a", "metadata": {"a": [1, {"b": None}]}},
            True,
        ),
        ({"url": URL, "messages": None, "start_s": 0, "end_s": 1.5, "task": "describe", "prompt": "?"}, True),
        ({"messages": MESSAGES}, True),
        ({"messages": MESSAGES, "url": None}, True),
        (MESSAGES, True),
        (URL, True),
        ("data:video/mp4;base64,AAAA", True),
        ({"frames": {"urls": [URL], "fps": 2}}, True),
        ({"frames": {"urls": [URL, URL], "times_s": [0, 1.5]}, "url": None}, True),
        ({"frames": {"urls": [URL], "fps": 2}, "url": URL}, False),
        ({"frames": {"urls": [], "fps": 2}}, False),
        ({"frames": {"urls": [URL], "fps": 0}}, False),
        ({"frames": {"urls": [URL], "fps": True}}, False),
        ({"frames": {"urls": [URL], "fps": 2, "size": 1}}, False),
        ({"frames": {"urls": [URL], "times_s": [-1]}}, False),
        ({"frames": [URL]}, False),
        ({"url": URL, "sampling": {"fps": 2}}, True),
        ({"url": URL, "sampling": {"fps": 2, "max_frames": 5, "min_frames": 2}}, True),
        ({"url": URL, "sampling": {"num_frames": 8}}, True),
        ({"url": URL, "sampling": {"every_s": 0.5}}, True),
        ({"url": URL, "sampling": {"strategy": "fps"}}, True),
        ({"url": URL, "sampling": {"strategy": "interval", "every_s": 3}}, True),
        ({"url": URL, "sampling": None}, True),
        ({}, False),
        ([], False),
        ({"url": None}, False),
        ({"url": ""}, False),
        ({"url": 7}, False),
        ({"url": URL, "messages": MESSAGES}, False),
        ({"messages": []}, False),
        ({"messages": [{"role": "user"}]}, False),
        ([{"content": "no role"}], False),
        ("not a url", False),
        ("/videos/a.mp4", False),
        (7, False),
        (None, False),
        (True, False),
        ({"url": URL, "schema": "capstream.request/v2"}, False),
        ({"url": URL, "unknown": 1}, False),
        ({"url": URL, "id": ""}, False),
        ({"url": URL, "id": "a" * 257}, False),
        ({"url": URL, "start_s": -1}, False),
        ({"url": URL, "end_s": 0}, False),
        ({"url": URL, "metadata": []}, False),
        ({"url": URL, "sampling": {}}, False),
        ({"url": URL, "sampling": {"max_frames": 5}}, False),
        ({"url": URL, "sampling": {"fps": 2, "every_s": 1}}, False),
        ({"url": URL, "sampling": {"fps": 0}}, False),
        ({"url": URL, "sampling": {"fps": 241}}, False),
        ({"url": URL, "sampling": {"num_frames": 0}}, False),
        ({"url": URL, "sampling": {"times_s": [-1]}}, False),
        ({"url": URL, "sampling": {"times_s": [True]}}, False),
        ({"url": URL, "sampling": {"num_frames": 2.5}}, False),
        ({"url": URL, "sampling": {"num_frames": True}}, False),
        ({"url": URL, "start_s": True}, False),
        ({"url": URL, "id": "é 1/2"}, True),
        ({"url": URL, "id": "a\nb"}, False),
        ({"url": URL, "id": "a\x7f"}, False),
        ({"url": URL, "sampling": {"strategy": "interval"}}, False),
        ({"url": URL, "sampling": {"strategy": "interval", "fps": 2}}, False),
        ({"url": URL, "sampling": {"strategy": "other"}}, False),
    ],
)
def test_schema_and_reader_agree_on_requests(request_: object, *, valid: bool) -> None:
    """What the published schema allows is what the consumer takes, and nothing else."""
    assert Draft202012Validator(request_schema()).is_valid(request_) is valid
    assert _is_read(request_) is valid


@pytest.mark.parametrize(
    "request_",
    [
        {"url": URL, "start_s": 2, "end_s": 1},
        {"url": URL, "sampling": {"fps": 1, "min_frames": 5, "max_frames": 4}},
        {"messages": [{"role": "user", "content": "no video"}]},
        {"messages": MESSAGES * 2},
        {"frames": {"urls": [URL]}},
        {"frames": {"urls": [URL], "fps": 1, "times_s": [0]}},
        {"frames": {"urls": [URL, URL], "times_s": [1, 0]}},
        {"frames": {"urls": [URL, URL], "times_s": [1]}},
    ],
)
def test_rules_across_fields_are_the_readers_alone(request_: object) -> None:
    """The schema cannot say them; its description does, and the reader refuses."""
    assert Draft202012Validator(request_schema()).is_valid(request_)
    assert not _is_read(request_)


def _is_read(request_: object) -> bool:
    try:
        parse(json.dumps(request_).encode())
    except RequestInvalidError:
        return False
    return True


def test_caption_records_fit_their_schema() -> None:
    """What is published validates; a record that lacks a field or has one more does not."""
    validator = Draft202012Validator(caption_schema())
    written = json.loads(CAPTION.model_dump_json(by_alias=True))
    validator.validate(written)
    assert not validator.is_valid({k: v for k, v in written.items() if k != "usage"})
    assert not validator.is_valid(written | {"more": 1})


def _names(output: OutputRecord) -> list[str]:
    return [name for name, _ in output.headers]


def test_documented_headers_are_the_written_ones() -> None:
    """AsyncAPI lists each header of captions, windows, dead letters and retries, and no other."""
    assert _names(caption_output(RECORD, CAPTION, NAMES, MARKS)) == list(CAPTION_HEADERS)
    window = window_record(RECORD, CaptionRequest(url="file:///a"), CAPTION.captions[0], 1, MARKS)
    Draft202012Validator(window_schema()).validate(json.loads(window.model_dump_json(by_alias=True)))
    assert _names(window_output(RECORD, window, "windows", MARKS)) == list(WINDOW_HEADERS)
    verdict = Verdict(Failure.of(SourceNotFoundError("gone")), 1, "a", MARKS)
    letter = dead_letter(RECORD, verdict, NAMES)
    assert _names(letter) == list(DEAD_LETTER_HEADERS)
    assert letter.if_too_large is not None
    assert _names(letter.if_too_large()) == [*DEAD_LETTER_HEADERS, *OPTIONAL_HEADERS]
    retry = retry_record(Arrival(RECORD), verdict.failure, RetryTopic("retry", 1), 0)
    assert _names(retry) == list(RETRY_HEADERS)


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [ref for value in node.values() for ref in _references(value)]
    return [ref for value in node for ref in _references(value)] if isinstance(node, list) else []


def test_references_of_the_asyncapi_document_resolve() -> None:
    """Every channel, message and schema that it refers to is there."""
    text = documents()["asyncapi.yaml"]
    document = yaml.safe_load(text)
    assert document == asyncapi()
    for reference in _references(document):
        if reference.startswith("#/"):
            found: Any = document
            for step in reference[2:].split("/"):
                found = found[step]
        else:
            assert reference.removeprefix("./") in documents()


def test_every_setting_is_in_the_reference() -> None:
    """Each leaf of the default settings has a row."""
    text = documents()["configuration.md"]
    for path in _leaves(Settings().model_dump(mode="json"), ""):
        assert f"| `{path}` |" in text


def _leaves(value: object, path: str) -> list[str]:
    if not isinstance(value, dict) or not value or path.endswith("_by_class"):
        return [path]  # the last is a mapping that users fill, not a model
    return [
        leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}.{key}".removeprefix("."))
    ]
