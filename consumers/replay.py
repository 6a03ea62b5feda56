"""Sends dead letters back to the input topic, each once.

How that holds under crashes and with several replays at a time:

1. All replays of a dead letter topic share one ``transactional.id``. The first thing a replay does is to
   register it: Kafka aborts what a former one left open, and refuses everything that it tries from then on.
2. Only then are the receipts read. Nobody else can add to them any more, so they are complete.
3. A request and the receipt of its letter are produced in one transaction. Both are there, or neither.

So a replay that dies anywhere is simply run again, and of two replays at once the later one wins: the former
ends with an error, and what it has sent is known to the other. A shared ``transactional.id``, which is wrong
for consumers because live ones would end each other, is what keeps replays apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from consumers.clients import MIB, ClientConfig, producer_config
from consumers.dead_letters import DeadLetters
from consumers.letters import Letter, Selection, letter_of, request_again
from consumers.messages import record_of
from consumers.plans import receipts_topic
from consumers.receipts import ensure_receipts, key_of, receipt
from consumers.records import InputRecord, OutputRecord
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)

CHUNK = 100  # letters in one transaction: a crash costs so many sends, none twice
CHUNK_BYTES = 4 * MIB
AGAIN = "run the same replay again, what was sent has its receipt and is not sent twice"
RETRY_FOR_S = 60.0
FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001  the names are public


class Fate(Enum):
    """What became of a chosen letter."""

    SENT = "sent"
    WOULD_BE_SENT = "would be sent"
    SENT_BEFORE = "sent before"
    VALUE_GONE = "not sent: its value was omitted, and the original is gone from its topic"
    TOO_LARGE = "not sent: too large for the input topic"


@dataclass(frozen=True, slots=True)
class Ended:
    """One chosen letter is dealt with."""

    letter: Letter
    fate: Fate


@dataclass(frozen=True, slots=True)
class Read:
    """So many letters more were looked at, chosen or not."""

    count: int


Step = Ended | Read


class Replay:
    """One run over the dead letters that exist when it begins. ``now_ms`` gives the time since the epoch."""

    def __init__(self, settings: Settings, selection: Selection, now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._selection = selection
        self._now_ms = now_ms
        self._letters = DeadLetters(settings)
        self._spans = self._letters.spans(selection)
        self.total = sum(span.end - span.start for span in self._spans)
        """Most letters that there are to look at; aborted ones and markers are counted too."""

    def dry(self) -> Iterator[Step]:
        """What :meth:`steps` would do. Nothing is written, and a replay that runs is not disturbed."""
        done = self._letters.receipts()
        for batch in self._letters.batches(self._spans):
            for letter, _, fate in self._judged(batch, done):
                yield Ended(letter, fate)
            yield Read(len(batch))

    def steps(self) -> Iterator[Step]:
        """Send, and tell of each letter once its transaction is committed.

        Raises ``BrokerError`` where Kafka fails or another replay began; then it may be run again.
        """
        ensure_receipts(self._settings)
        sender = Sender(self._settings, self._now_ms)
        done = self._letters.receipts()
        for batch in self._letters.batches(self._spans):
            chunk: list[tuple[Letter, InputRecord]] = []
            for letter, source, fate in self._judged(batch, done):
                if source is None:
                    yield Ended(letter, fate)
                    continue
                chunk.append((letter, source))
                if len(chunk) >= CHUNK or sum(one.size for _, one in chunk) >= CHUNK_BYTES:
                    yield from sender.send(chunk)
                    chunk = []
            yield from sender.send(chunk)
            yield Read(len(batch))

    def _judged(
        self, batch: list[Message], done: set[bytes]
    ) -> Iterator[tuple[Letter, InputRecord | None, Fate]]:
        for letter in map(letter_of, map(record_of, batch)):
            if not self._selection.takes(letter):
                continue
            if key_of(letter) in done:
                yield letter, None, Fate.SENT_BEFORE
            elif (source := self._letters.request_of(letter)) is None:
                yield letter, None, Fate.VALUE_GONE
            else:
                yield letter, source, Fate.WOULD_BE_SENT


class Sender:
    """Sends requests with their receipts. Making one ends the sender before it, wherever that runs."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._topics = settings.topics
        self._now_ms = now_ms
        self._timeout_s = settings.consumer.settle_timeout_s
        self._producer = Producer(_sender_config(settings), logger=log)
        self._insist(self._producer.init_transactions)

    def send(self, chunk: list[tuple[Letter, InputRecord]]) -> Iterator[Ended]:
        """Send in one transaction; in smaller ones where something among it is too large."""
        if not chunk:
            return
        if self._committed([output for letter, source in chunk for output in self._outputs(letter, source)]):
            yield from (Ended(letter, Fate.SENT) for letter, _ in chunk)
        elif len(chunk) == 1:
            yield Ended(chunk[0][0], Fate.TOO_LARGE)
        else:
            half = len(chunk) // 2
            yield from self.send(chunk[:half])
            yield from self.send(chunk[half:])

    def _outputs(self, letter: Letter, source: InputRecord) -> tuple[OutputRecord, OutputRecord]:
        return (
            request_again(letter, source, self._topics.requests),
            receipt(letter, receipts_topic(self._topics), self._now_ms()),
        )

    def _committed(self, outputs: Iterable[OutputRecord]) -> bool:
        """Whether it is committed; if not, something was too large and nothing was sent."""
        errors = self.produce(outputs)
        if not errors:
            self._insist(self._producer.commit_transaction)
            return True
        self._insist(self._producer.abort_transaction)
        if not any(error.code() == KafkaError.MSG_SIZE_TOO_LARGE for error in errors):
            raise self._sentence(errors[0])
        return False

    def produce(self, outputs: Iterable[OutputRecord]) -> list[KafkaError]:
        """Begin a transaction and bring everything to the broker, uncommitted; what went wrong."""
        errors: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                errors.append(error)

        try:
            self._producer.begin_transaction()
            for output in outputs:
                self._producer.produce(
                    output.topic,
                    output.value,
                    output.key,
                    headers=list(output.headers),
                    on_delivery=delivered,
                )
        except KafkaException as error:
            errors.append(error.args[0])
        if left := self._producer.flush(self._timeout_s + 1):
            errors.append(KafkaError(KafkaError._MSG_TIMED_OUT, f"{left} records were not acknowledged"))  # noqa: SLF001  the name is public
        return errors

    def _insist(self, call: Callable[[float], None]) -> None:
        again = Retrying(
            retry=retry_if_exception(_is_retriable),
            stop=stop_after_delay(RETRY_FOR_S),
            wait=wait_fixed(0.2),
            reraise=True,
        )
        try:
            again(call, self._timeout_s)
        except KafkaException as error:
            raise self._sentence(error.args[0]) from error

    def _sentence(self, error: KafkaError) -> BrokerError:
        if error.code() in FENCED:
            return BrokerError(
                f"another replay of {self._topics.dead_letters} began and ended this one: {AGAIN}"
            )
        return BrokerError(f"the replay cannot go on: {error.str()} ({error.name()}): {AGAIN}")


def _is_retriable(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].retriable()


def _sender_config(settings: Settings) -> ClientConfig:
    timeout_ms = int(settings.consumer.settle_timeout_s * 1000)
    return {
        **producer_config(settings),
        "transactional.id": f"capstream-replay-{settings.topics.dead_letters}",
        # What a killed replay left open holds up readers of the input topic for so long at most.
        "transaction.timeout.ms": max(15_000, timeout_ms + 5000),
    }
