"""Which input a result is about."""

from __future__ import annotations

import json

import pytest

from consumers.ledger import Partition
from consumers.origins import Place, attempt_of, origin_of, place_in, retry_topics
from consumers.records import Headers, Verdict, caption_output, caption_record, dead_letter
from serve_app.errors import Failure, SourceNotFoundError
from serve_app.schema.values import parse
from tests.unit.consumers.samples import CAPTIONED, MARKS, NAMES, record

HERE = Place(Partition("video.requests", 0), 7)


def test_captions_and_letters_name_their_input() -> None:
    """By header, and captions of older versions by their value."""
    made = caption_record(record(7), parse(record().value), CAPTIONED, 1, MARKS)
    output = caption_output(record(7), made, NAMES, MARKS)
    assert origin_of(output.headers, None) == HERE
    assert origin_of((), output.value) == HERE
    verdict = Verdict(Failure.of(SourceNotFoundError("gone")), 1, "a", MARKS)
    assert origin_of(dead_letter(record(7), verdict, NAMES).headers, None) == HERE


def test_the_origin_goes_before_where_it_was_read_last() -> None:
    """A letter that came by way of a retry topic is about the input."""
    headers: Headers = (
        ("__connect.errors.topic", b"video.requests.retry.5s"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"9"),
        ("capstream.origin.topic", b"video.requests"),
        ("capstream.origin.partition", b"0"),
        ("capstream.origin.offset", b"7"),
    )
    assert origin_of(headers, None) == HERE
    assert origin_of(headers[:3], None) == Place(Partition("video.requests.retry.5s", 3), 9)


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"id": "x" * 5000, "request": {"topic": "video.requests", "partition": 0, "offset": 7}}),
        '{"request": {"offset": 7, "partition": 0, "topic": "video.requests"}}',
        r'{"id":"\"request\":{\"topic\":\"a\"}","request":{"topic":"video.requests","partition":0,"offset":7}}',
    ],
)
def test_any_order_and_length_of_the_value_is_read(value: str) -> None:
    """What others wrote, and ids that look like the envelope, do not mislead."""
    assert origin_of((), value.encode()) == HERE


@pytest.mark.parametrize(
    "value", [None, b"", b"\xff", b"[]", b'{"request":null}', b"7", b'{"request":{}}', b"[" * 100_000]
)
def test_a_value_without_origin_names_none(value: bytes | None) -> None:
    """Requests over HTTP, and records of strangers."""
    assert origin_of((), value) is None


@pytest.mark.parametrize("text", ["", "a-b", "a-0-b", "a-b-0", "-0-0", "a--1", "a-0-²"])
def test_other_texts_are_no_places(text: str) -> None:
    """A place is a topic, a partition and an offset."""
    assert place_in(text) is None


def test_topics_may_hold_dashes_and_digits() -> None:
    """The last two numbers are partition and offset."""
    assert place_in("a-1-2-3") == Place(Partition("a-1", 2), 3)


def test_attempts_of_retry_records() -> None:
    """In digits, or not said."""
    assert attempt_of((("capstream.attempt", b"2"),)) == 2
    assert attempt_of((("capstream.attempts", b"3"),)) == 3
    assert attempt_of((("capstream.attempt", b"x"),)) is None
    assert attempt_of(()) is None


def test_retry_topics_are_known_by_name() -> None:
    """Those of this input topic alone; the dots of its name are dots."""
    others = {"a.b", "axb.retry.5s", "a.b.retry.5s.x", "a.b.retry.s", "a.b.retry.5m"}
    names = frozenset(others | {"a.b.retry.5s", "a.b.retry.500ms"})
    assert retry_topics(names, "a.b") == ["a.b.retry.500ms", "a.b.retry.5s"]
