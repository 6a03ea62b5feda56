"""What a record's value may be, and what its caption or dead letter looks like."""

from __future__ import annotations

import contextlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.records import Verdict, caption_output, caption_record, dead_letter
from serve_app.errors import Failure, RequestInvalidError
from serve_app.schema import CaptionRequest, NumFramesSampling
from serve_app.schema.values import parse
from tests.unit.consumers.samples import CAPTIONED, MARKS, NAMES, record


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


CHAT = [
    {"role": "system", "content": "You are brief."},
    {
        "role": "user",
        "content": [
            {"type": "video_url", "video_url": {"url": "https://host/v.mp4"}},
            {"type": "text", "text": "What happens?"},
        ],
    },
]


@pytest.mark.parametrize(
    "value",
    [
        b"https://host/v.mp4",
        b"  https://host/v.mp4\n",
        b'"https://host/v.mp4"',
        as_json({"url": "https://host/v.mp4"}),
        as_json({"schema": "capstream.request/v1", "url": "https://host/v.mp4"}),
        as_json(CHAT),
        as_json({"messages": CHAT}),
        as_json([{"role": "user", "content": [{"type": "video", "video": "https://host/v.mp4"}]}]),
    ],
)
def test_every_form_names_the_same_video(value: bytes) -> None:
    """A bare URL, a JSON object and a chat message list ask for the same thing."""
    assert parse(value).source == "https://host/v.mp4"


def test_chat_text_is_the_prompt() -> None:
    """The user's text beside the video is the prompt; the system's is not."""
    assert parse(as_json(CHAT)).source_prompt == "What happens?"


def test_object_fields_are_read() -> None:
    """Sampling, range, prompt and metadata come through, with the strategy implied by its key."""
    request = parse(
        as_json(
            {
                "id": "r1",
                "url": "data:,x",
                "sampling": {"num_frames": 4},
                "start_s": 1,
                "end_s": 2.5,
                "prompt": "Why?",
                "metadata": {"a": [1, None]},
            }
        )
    )
    assert request.sampling == NumFramesSampling(num_frames=4)
    assert (request.start_s, request.end_s, request.prompt) == (1, 2.5, "Why?")
    assert request.metadata == {"a": [1, None]}


NOISE = random.Random(1).randbytes(1024 * 1024)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "tombstone"),
        (b"", "empty"),
        (b" \n", "empty"),
        (NOISE, "not UTF-8"),
        (b"{not json", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"url": NaN}', "NaN is not a JSON number"),
        (b"no url at all", "neither JSON nor a URL"),
        (b"/tmp/clip.mp4", "neither JSON nor a URL"),
        (b"[]", "messages"),
        (b'{"url": "x:y", "metadata": {"a": "\\ud800"}}', "half a surrogate pair"),
        (b"[1]", "messages[0]: '1' is refused; allowed: mapping"),
        (b'[{"role": "user"}]', "messages[0].content: missing; allowed: text or list"),
        (b'[{"role": "user", "content": 3}]', "messages[0].content: '3' is refused; allowed: text or list"),
        (b'{"schema": "capstream.request/v2", "url": "x:y"}', "'capstream.request/v2' is not known"),
        (b'{"schema": 1, "url": "x:y"}', "is not known"),
        (b"{}", "exactly one of url, frames and messages"),
        (b'{"url": "x:y", "colour": "red"}', "colour"),
        (b'{"url": ""}', "url"),
        (b'{"url": "x:y", "id": "a\\nb"}', "id: it holds a control character or a line break"),
        (b'{"url": "x:y", "id": "a\\n"}', "id: it holds a control character or a line break"),
        (b'{"url": "x:y", "id": "a\\u0000"}', "id: it holds a control character or a line break"),
        (b'{"url": "x:y", "id": "a\\u2028b"}', "id: it holds a control character or a line break"),
        (b'{"url": "x:y", "start_s": true}', "start_s: 'true' is refused; allowed: number, at least 0"),
        (b'{"url": "x:y", "sampling": {"fps": true}}', "sampling.fps: 'true' is refused; allowed: number"),
        (b'{"url": "x:y", "start_s": 3, "end_s": 2}', "end_s 2.0 must be above start_s 3.0"),
        (b'{"url": "x:y", "start_s": -1}', "start_s"),
        (
            b'{"url": "x:y", "sampling": {"num_frames": 0}}',
            "sampling.num_frames: '0' is refused; allowed: wh",
        ),
        (b'{"url": "x:y", "sampling": {"strategy": "num_frames", "num_frames": 0}}', "num_frames"),
        (b'{"url": "x:y", "sampling": {"strategy": "guess"}}', "sampling"),
        (b'{"url": "x:y", "sampling": {"fps": 0}}', "fps"),
        (b'{"url": "x:y", "sampling": {"fps": 1, "min_frames": 9, "max_frames": 3}}', "min_frames 9"),
        (as_json([{"role": "user", "content": "no video here"}]), "exactly one video"),
        (as_json(CHAT + CHAT), "exactly one video"),
        (as_json([{"role": "user", "content": [{"type": "video_url", "video_url": 3}]}]), "must hold a URL"),
    ],
)
def test_what_is_no_request_is_refused_with_its_reason(value: bytes | None, said: str) -> None:
    """Every bad value is a permanent failure whose text says what is wrong."""
    with pytest.raises(RequestInvalidError) as caught:
        parse(value)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_refusal_keeps_credentials_to_itself() -> None:
    """The text of a refusal does not repeat a URL, which may carry a password."""
    with pytest.raises(RequestInvalidError) as caught:
        parse(as_json({"url": "https://user:hunter2@host/v.mp4", "start_s": 2, "end_s": 1}))
    assert "hunter2" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal(value: bytes) -> None:
    """Reading a value never fails in another way."""
    with contextlib.suppress(RequestInvalidError):
        assert isinstance(parse(value), CaptionRequest)


def test_caption_keeps_key_and_tells_the_origin() -> None:
    """The caption record carries the request's key, place, metadata and attempts."""
    came = record(7, as_json({"url": "file:///clip.mp4", "metadata": {"shop": 3}}))
    made = caption_record(came, parse(came.value), CAPTIONED, 2, MARKS)
    output = caption_output(came, made, NAMES, MARKS)
    value = json.loads(output.value or b"")
    assert (output.topic, output.key) == ("video.captions", b"key")
    assert value["id"] == "video.requests-0-7"
    assert value["schema"] == "capstream.caption/v1"
    assert value["request"] == {
        "topic": "video.requests",
        "partition": 0,
        "offset": 7,
        "timestamp_ms": 1_700_000_000_000,
    }
    assert (value["attempts"], value["config_hash"], value["metadata"]) == (2, "abc", {"shop": 3})


def verdict(message: str = "HTTP 404") -> Verdict:
    return Verdict(Failure("permanent", "fetch", "SourceNotFoundError", message), 1, "r1", MARKS)


def test_dead_letter_is_the_request_as_it_came() -> None:
    """Key, value and headers are kept byte for byte; the reason stands in added headers."""
    came = record(3, b"\x00\xff noise")
    letter = dead_letter(came, verdict(), NAMES)
    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value) == ("video.requests.dlq", b"key", b"\x00\xff noise")
    assert headers["a"] == b"1"
    assert headers["__connect.errors.topic"] == b"video.requests"
    assert headers["__connect.errors.offset"] == b"3"
    assert headers["__connect.errors.stage"] == b"fetch"
    assert headers["__connect.errors.exception.class.name"] == b"SourceNotFoundError"
    assert headers["__connect.errors.exception.message"] == b"HTTP 404"
    assert headers["capstream.attempts"] == b"1"


def test_dead_letter_that_fails_again_tells_it_once() -> None:
    """Headers that an earlier failure left are replaced."""
    first = dead_letter(record(3), verdict("first"), NAMES)
    came = record(9)
    again = type(came)(came.topic, 0, 9, first.key, first.value, first.headers, None)
    names = [name for name, _ in dead_letter(again, verdict("second"), NAMES).headers]
    assert len(names) == len(set(names))


def test_what_is_too_large_shrinks_until_it_fits() -> None:
    """A caption that its topic refuses becomes a dead letter, and that one a letter without value."""
    came = record(3, b"x:y")
    made = caption_record(came, parse(came.value), CAPTIONED, 1, MARKS)
    caption = caption_output(came, made, NAMES, MARKS)
    assert caption.if_too_large is not None
    letter = caption.if_too_large()
    assert letter.value == b"x:y"
    assert dict(letter.headers)["__connect.errors.exception.class.name"] == b"ResultTooLargeError"
    assert letter.if_too_large is not None
    bare = letter.if_too_large()
    assert bare.value is None
    assert dict(bare.headers)["capstream.value_omitted_bytes"] == b"6"
    assert bare.if_too_large is None
