"""A record's way: retried, judged, or left to be delivered again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from consumers.attempts import Attempts
from consumers.dispatch import Dispatcher, Outcome, Target, Tell
from consumers.records import InputRecord, OutputRecord
from consumers.retries import Retries, RetryTopic
from consumers.settlement import Partition, Ticket
from serve_app.errors import (
    Failure,
    OverloadedError,
    SourceNotFoundError,
    SourceUnavailableError,
    WorkerLostError,
)
from serve_app.schema import CaptionRequest
from tests.unit.consumers.samples import CAPTIONED, MARKS, NAMES, record

QUICK = Attempts(limit=3, initial_s=0.001, max_s=0.002, limits={"WorkerLostError": 5})
IN_PLACE = Target(NAMES, MARKS, Retries())
RETRIES = Retries((RetryTopic("r.5s", 5000), RetryTopic("r.60s", 60_000)))
NOW_MS = 1_000_000
TICKET = Ticket(Partition("video.requests", 0), 0, 1)
LATER = Failure.of(SourceUnavailableError("HTTP 503"))
NEVER = Failure.of(SourceNotFoundError("HTTP 404"))
LOST = Failure.of(WorkerLostError("the replica died"))
FULL = Failure.of(OverloadedError("every replica is full"))


class Tiers:
    """Answers with the given outcomes, the last one for ever."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0

    async def __call__(self, _request: CaptionRequest, _tell: Tell) -> Outcome:
        self.calls += 1
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


class Sink:
    """Keeps what was handed in."""

    def __init__(self) -> None:
        self.finished: list[tuple[Ticket, tuple[OutputRecord, ...]]] = []

    def __call__(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        self.finished.append((ticket, outputs))


def dispatcher(tiers: Tiers, sink: Sink | None = None) -> Dispatcher:
    return Dispatcher(tiers, sink or Sink(), QUICK, IN_PLACE, lambda: NOW_MS)


def with_retries(tiers: Tiers) -> Dispatcher:
    return Dispatcher(tiers, Sink(), QUICK, Target(NAMES, MARKS, RETRIES), lambda: NOW_MS)


async def retried(tiers: Tiers, came: InputRecord) -> InputRecord:
    """The one output, as it would be read from its topic."""
    outputs = await with_retries(tiers).outputs_of(came)
    assert outputs is not None
    (made,) = outputs
    return InputRecord(made.topic, 2, 99, made.key, made.value, made.headers, NOW_MS)


async def outcome_of(tiers: Tiers, came: InputRecord) -> OutputRecord:
    outputs = await dispatcher(tiers).outputs_of(came)
    assert outputs is not None
    (output,) = outputs
    return output


async def test_caption_at_once() -> None:
    """A captioned record is one caption after one attempt."""
    output = await outcome_of(Tiers(CAPTIONED), record())
    assert output.topic == NAMES.captions
    assert json.loads(output.value or b"")["attempts"] == 1


async def test_transient_failures_are_tried_again() -> None:
    """A caption that came at the third attempt says so."""
    tiers = Tiers(LATER, LATER, CAPTIONED)
    output = await outcome_of(tiers, record())
    assert json.loads(output.value or b"")["attempts"] == 3
    assert tiers.calls == 3


async def test_exhausted_attempts_are_a_dead_letter() -> None:
    """After the last attempt the record is a dead letter with the last failure and their number."""
    tiers = Tiers(LATER)
    output = await outcome_of(tiers, record())
    assert output.topic == NAMES.dead_letters
    assert dict(output.headers)["capstream.attempts"] == b"3"
    assert tiers.calls == 3


async def test_a_replayed_request_keeps_its_first_time_over_retries() -> None:
    """Dead letters name when the request was seen first, before the replay, however often it was tried."""
    replayed = (("capstream.first_seen_ms", b"1000"), ("capstream.replayed_from", b"video.requests.dlq-0-1"))
    came = replace(record(), headers=replayed)
    for _ in range(3):
        came = await retried(Tiers(LATER), came)
        assert [value for name, value in came.headers if name == "capstream.first_seen_ms"] == [b"1000"]
    assert came.topic == NAMES.dead_letters


async def test_a_class_with_its_own_limit_counts_by_itself() -> None:
    """Neither are lost workers held against a slow server nor the other way round, over all retries."""
    tiers = Tiers(LATER, LOST, LOST, LATER, LOST, LOST, LATER)
    came = record()
    for _ in range(4):
        came = await retried(tiers, came)
    assert dict(came.headers)["capstream.failures"] == b"SourceUnavailableError=2,WorkerLostError=4"
    last = await retried(tiers, came)
    assert last.topic == NAMES.dead_letters
    assert dict(last.headers)["capstream.attempts"] == b"7"


async def test_permanent_failure_is_tried_once() -> None:
    """What no attempt will help is a dead letter at once."""
    tiers = Tiers(NEVER)
    output = await outcome_of(tiers, record())
    assert output.topic == NAMES.dead_letters
    assert tiers.calls == 1


async def test_back_pressure_is_no_attempt() -> None:
    """Full replicas are waited out, however often, and do not use up attempts."""
    output = await outcome_of(Tiers(*[FULL] * 20, CAPTIONED), record())
    assert json.loads(output.value or b"")["attempts"] == 1


async def test_unparsable_value_never_reaches_the_tiers() -> None:
    """A value that is no request is a dead letter of the parse stage."""
    tiers = Tiers(CAPTIONED)
    output = await outcome_of(tiers, record(value=b"\xff"))
    assert dict(output.headers)["__connect.errors.stage"] == b"parse"
    assert tiers.calls == 0


async def test_a_bug_in_the_consumer_is_a_dead_letter() -> None:
    """An error that nobody expected ends its record, and not the partition behind it."""

    async def broken(_request: CaptionRequest, _tell: Tell) -> Outcome:
        raise ZeroDivisionError

    sink = Sink()
    one = dispatcher(Tiers(CAPTIONED), sink)
    one._call = broken
    one.start([(TICKET, record())])
    await one.drain(5)
    ((_, (letter,)),) = sink.finished
    headers = dict(letter.headers)
    assert headers["__connect.errors.exception.class.name"] == b"InternalError"
    assert headers["__connect.errors.exception.message"] == b"ZeroDivisionError in the consumer"


async def test_drain_waits_for_running_records() -> None:
    """What finishes within the time is handed in."""
    sink = Sink()
    one = dispatcher(Tiers(CAPTIONED), sink)
    one.start([(TICKET, record())])
    await one.drain(5)
    assert [ticket for ticket, _ in sink.finished] == [TICKET]


async def test_drain_makes_no_dead_letters_of_interrupted_work() -> None:
    """A tier that goes away with the application is no verdict on the record."""
    sink = Sink()
    one = Dispatcher(Tiers(LATER), sink, Attempts(50, 0.01, 0.01), IN_PLACE, lambda: NOW_MS)
    one.start([(TICKET, record())])
    await asyncio.sleep(0)
    await one.drain(5)
    assert sink.finished == []


async def test_drain_gives_up_on_what_overstays() -> None:
    """Work that does not end is cancelled without a result, and Kafka delivers it again."""
    asked = asyncio.Event()

    async def never(_request: CaptionRequest, _tell: Tell) -> Outcome:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    sink = Sink()
    one = Dispatcher(never, sink, QUICK, IN_PLACE, lambda: NOW_MS)
    one.start([(TICKET, record())])
    await asked.wait()
    await one.drain(0)
    assert sink.finished == []
    assert one.running == 0


async def test_a_transient_failure_goes_to_the_first_retry_topic() -> None:
    """Key, value and headers stay; headers of ours say what was tried, when it is due and whence it came."""
    again = await retried(Tiers(LATER), record(7))
    assert (again.topic, again.key, again.value) == ("r.5s", b"key", b"file:///clip.mp4")
    headers = dict(again.headers)
    assert headers["a"] == b"1"
    assert headers["capstream.attempt"] == b"1"
    assert headers["capstream.due_ms"] == str(NOW_MS + 5000).encode()
    assert headers["capstream.first_seen_ms"] == b"1700000000000"
    origin = [
        headers["capstream.origin." + name] for name in ("topic", "partition", "offset", "timestamp_ms")
    ]
    assert origin == [b"video.requests", b"0", b"7", b"1700000000000"]
    assert headers["capstream.last_error.class"] == b"SourceUnavailableError"


async def test_retries_go_from_topic_to_topic_and_keep_their_origin() -> None:
    """Each failure moves a record on, the last topic is used again, and the caption is the origin's."""
    twice = await retried(Tiers(LATER), await retried(Tiers(LATER), record(7)))
    assert twice.topic == "r.60s"
    assert len(dict(twice.headers)) == len(twice.headers)
    captioned = await retried(Tiers(CAPTIONED), twice)
    made = json.loads(captioned.value or b"")
    assert (made["id"], made["attempts"]) == ("video.requests-0-7", 3)
    assert made["request"]["offset"] == 7
    letter = await retried(Tiers(LATER), twice)
    assert letter.topic == NAMES.dead_letters
    assert dict(letter.headers)["capstream.attempts"] == b"3"
    assert dict(letter.headers)["__connect.errors.offset"] == b"7"
    assert dict(letter.headers)["capstream.first_seen_ms"] == b"1700000000000"
    assert "capstream.due_ms" not in dict(letter.headers)


async def test_a_lost_worker_is_called_again_in_place_first() -> None:
    """A replica that died is replaced soon; only then does the record wait in a retry topic."""
    tiers = Tiers(LOST)
    once = await retried(tiers, record())
    assert (once.topic, tiers.calls) == ("r.5s", 2)
    last = await retried(tiers, await retried(tiers, once))
    assert (last.topic, tiers.calls) == (NAMES.dead_letters, 5)


async def test_permanent_failures_do_not_wait() -> None:
    """What no attempt will help does not go through the retry topics."""
    assert (await retried(Tiers(NEVER), record())).topic == NAMES.dead_letters


async def test_a_request_cannot_claim_an_origin() -> None:
    """Our headers count on our own topics only."""
    forged = InputRecord(
        "video.requests", 0, 5, b"k", b"file:///a.mp4", (("capstream.origin.offset", b"1"),), None
    )
    made = json.loads((await retried(Tiers(CAPTIONED), forged)).value or b"")
    assert made["id"] == "video.requests-0-5"


async def test_a_stranger_on_a_retry_topic_is_a_request() -> None:
    """A record without our headers is worked on as the one it is."""
    stranger = InputRecord("r.5s", 0, 5, b"k", b"file:///a.mp4", (), None)
    made = json.loads((await retried(Tiers(CAPTIONED), stranger)).value or b"")
    assert (made["id"], made["attempts"]) == ("r.5s-0-5", 1)


async def test_who_killed_too_many_processes_is_not_worked_on() -> None:
    """A record that comes with as many crashes as allowed is a dead letter that says so."""
    tiers = Tiers(CAPTIONED)
    outputs = await dispatcher(tiers).outputs_of(record(), crashes=3)
    assert outputs is not None
    headers = dict(outputs[0].headers)
    assert outputs[0].topic == NAMES.dead_letters
    assert headers["__connect.errors.exception.class.name"] == b"ProcessKilledError"
    assert (headers["capstream.attempts"], headers["capstream.family"]) == (b"3", b"permanent")
    assert tiers.calls == 0
