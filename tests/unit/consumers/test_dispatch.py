"""A record's way: retried, judged, or left to be delivered again."""

from __future__ import annotations

import asyncio
import json

from consumers.dispatch import Attempts, Dispatcher, Outcome, Target
from consumers.ledger import Partition, Ticket
from consumers.records import InputRecord, OutputRecord
from serve_app.errors import Failure, OverloadedError, SourceNotFoundError, SourceUnavailableError
from serve_app.schema import CaptionRequest
from tests.unit.consumers.samples import CAPTIONED, MARKS, NAMES, record

QUICK = Attempts(limit=3, initial_s=0.001, max_s=0.002)
TICKET = Ticket(Partition("video.requests", 0), 0, 1)
LATER = Failure.of(SourceUnavailableError("HTTP 503"))
NEVER = Failure.of(SourceNotFoundError("HTTP 404"))
FULL = Failure.of(OverloadedError("every replica is full"))


class Tiers:
    """Answers with the given outcomes, the last one for ever."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0

    async def __call__(self, _request: CaptionRequest) -> Outcome:
        self.calls += 1
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


class Sink:
    """Keeps what was handed in."""

    def __init__(self) -> None:
        self.finished: list[tuple[Ticket, tuple[OutputRecord, ...]]] = []

    def __call__(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        self.finished.append((ticket, outputs))


def dispatcher(tiers: Tiers, sink: Sink | None = None) -> Dispatcher:
    return Dispatcher(tiers, sink or Sink(), QUICK, Target(NAMES, MARKS))


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
    one = Dispatcher(Tiers(LATER), sink, Attempts(50, 0.01, 0.01), Target(NAMES, MARKS))
    one.start([(TICKET, record())])
    await asyncio.sleep(0)
    await one.drain(5)
    assert sink.finished == []


async def test_drain_gives_up_on_what_overstays() -> None:
    """Work that does not end is cancelled without a result, and Kafka delivers it again."""
    asked = asyncio.Event()

    async def never(_request: CaptionRequest) -> Outcome:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    sink = Sink()
    one = Dispatcher(never, sink, QUICK, Target(NAMES, MARKS))
    one.start([(TICKET, record())])
    await asked.wait()
    await one.drain(0)
    assert sink.finished == []
    assert one.running == 0
