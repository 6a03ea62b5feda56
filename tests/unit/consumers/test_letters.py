"""What a dead letter says, which are chosen, and what a replayed request looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.ledger import Partition
from consumers.letters import Selection, is_value_of, letter_of, request_again
from consumers.origins import Place
from consumers.receipts import key_of, receipt
from consumers.records import Headers, InputRecord, Verdict, dead_letter
from serve_app.errors import DecoderDiedError, Failure
from tests.unit.consumers.samples import MARKS, NAMES, record

VERDICT = Verdict(Failure.of(DecoderDiedError("gone")), 3, "mine", MARKS)


def letter_record(of: InputRecord, offset: int = 5) -> InputRecord:
    made = dead_letter(of, VERDICT, NAMES)
    return InputRecord(made.topic, 2, offset, made.key, made.value, made.headers, 1_700_000_001_000)


def test_a_letter_reads_as_it_was_written() -> None:
    """Reasons, origin and place come back from the headers."""
    letter = letter_of(letter_record(record(7)))
    assert (letter.id, letter.stage, letter.error_class) == ("mine", "decode", "DecoderDiedError")
    assert (letter.message, letter.attempts, letter.replays) == ("gone", 3, 0)
    assert letter.origin == Place(Partition("video.requests", 0), 7)
    assert str(letter.place) == "video.requests.dlq-2-5"
    assert letter.omitted_bytes is None


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "__connect.errors.topic",
                "__connect.errors.partition",
                "__connect.errors.offset",
                "capstream.id",
                "capstream.attempts",
                "capstream.replays",
                "capstream.replayed_from",
                "capstream.first_seen_ms",
                "capstream.value_omitted_bytes",
                "x",
            ]
        ),
        st.none() | st.binary(max_size=6) | st.sampled_from([b"7", b"t", b"-1"]),
    ),
    max_size=6,
).map(tuple)


@given(HEADERS)
def test_any_headers_can_be_read(headers: Headers) -> None:
    """Missing and damaged headers of a stranger's record are no errors."""
    strange = InputRecord("t", 0, 0, None, None, headers)
    letter = letter_of(strange)
    again = request_again(letter, strange, "requests")
    sent = dict(again.headers)
    assert sent["capstream.replayed_from"] == b"t-0-0"
    assert int(sent["capstream.replays"] or b"") == letter.replays + 1
    assert not [name for name in sent if name.startswith("__connect.")]
    assert isinstance(InputRecord("t", 0, 1, None, None, again.headers).id, str)
    assert InputRecord("t", 0, 1, None, None, again.headers).first_seen_ms >= -1


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(error_class="DecoderDiedError"), True),
        (Selection(error_class="decoderdiederror"), False),
        (Selection(stage="decode"), True),
        (Selection(stage="fetch"), False),
        (Selection(since_ms=1_700_000_001_000), True),
        (Selection(since_ms=1_700_000_001_001), False),
        (Selection(ids=frozenset({"mine", "other"})), True),
        (Selection(ids=frozenset({"video.requests.dlq-2-5"})), True),
        (Selection(ids=frozenset({"video.requests-0-7"})), False),
        (Selection(error_class="DecoderDiedError", stage="fetch"), False),
    ],
)
def test_a_selection_takes_what_it_says(selection: Selection, *, taken: bool) -> None:
    """Every condition that is given must hold."""
    assert selection.takes(letter_of(letter_record(record(7)))) is taken


def test_attempts_and_origin_do_not_travel_with_a_replay() -> None:
    """Of our own headers only the name and the first time stay; foreign ones all do, in order."""
    added: Headers = (
        ("b", None),
        ("capstream.attempt", b"2"),
        ("capstream.due_ms", b"1"),
        ("capstream.origin.offset", b"9"),
        ("a", b"2"),
    )
    original = record(7)
    retried = InputRecord("r", 0, 1, b"k", b"v", original.headers + added, 1_700_000_000_000)
    letter = letter_of(letter_record(retried))
    again = request_again(letter, letter.record, "video.requests")
    assert again.headers == (
        ("a", b"1"),
        ("b", None),
        ("a", b"2"),
        ("capstream.id", b"mine"),
        ("capstream.first_seen_ms", b"1700000000000"),
        ("capstream.replayed_from", b"video.requests.dlq-2-5"),
        ("capstream.replays", b"1"),
    )
    assert (again.topic, again.key, again.value) == ("video.requests", b"k", b"v")


def test_names_count_on_replayed_records_only() -> None:
    """Anybody may write our headers on a new request: they do not change its name or time."""
    headers: Headers = (("capstream.id", b"forged"), ("capstream.first_seen_ms", b"1"))
    plain = InputRecord("t", 0, 3, None, b"", headers, 5)
    assert (plain.id, plain.first_seen_ms) == ("t-0-3", 5)
    replayed = InputRecord("t", 0, 3, None, b"", (*headers, ("capstream.replayed_from", b"dlq-0-0")), 5)
    assert (replayed.id, replayed.first_seen_ms) == ("forged", 1)


def test_an_omitted_value_is_known_by_key_and_size() -> None:
    """What stands at the origin now may be another record."""
    original = InputRecord("video.requests", 0, 7, b"key", b"12345")
    bare = dead_letter(original, VERDICT, NAMES).if_too_large
    assert bare is not None
    letter = letter_of(InputRecord("dlq", 0, 0, b"key", None, bare().headers))
    assert letter.omitted_bytes == 8
    assert is_value_of(original, letter)
    assert not is_value_of(None, letter)
    assert not is_value_of(InputRecord("video.requests", 0, 7, b"key", b"1234"), letter)
    assert not is_value_of(InputRecord("video.requests", 0, 7, b"yek", b"12345"), letter)


def test_a_receipt_names_the_letter_by_place_and_time() -> None:
    """Another letter at the same place of a topic made anew has another key."""
    letter = letter_of(letter_record(record(7)))
    made = receipt(letter, "dlq.replayed", 9)
    assert (made.key, made.value) == (
        b"video.requests.dlq-2-5@1700000001000",
        b'{"id": "mine", "replayed_ms": 9}',
    )
    assert key_of(letter) == made.key
