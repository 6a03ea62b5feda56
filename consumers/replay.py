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

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import Enum

from confluent_kafka import Message

from consumers.clients import MIB
from consumers.dead_letters import DeadLetters
from consumers.letters import Letter, Selection, letter_of, request_again
from consumers.messages import record_of
from consumers.receipts import ensure_receipts, key_of, receipt
from consumers.records import InputRecord, OutputRecord
from consumers.sender import Sender
from serve_app.settings import Settings

CHUNK = 100  # letters in one transaction: a crash costs so many sends, none twice
CHUNK_BYTES = 4 * MIB


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
Work = tuple[Letter, InputRecord]


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
        session = self._session()
        for batch in self._letters.batches(self._spans):
            chunk: list[Work] = []
            for letter, source, fate in self._judged(batch, session.done):
                if source is None:
                    yield Ended(letter, fate)
                    continue
                chunk.append((letter, source))
                if len(chunk) >= CHUNK or sum(one.size for _, one in chunk) >= CHUNK_BYTES:
                    session = yield from self._send(session, chunk)
                    chunk = []
            session = yield from self._send(session, chunk)
            yield Read(len(batch))

    def _session(self, *, exact: bool = False) -> Session:
        # In this order: nobody else can write receipts once there is a new sender.
        sender = Sender(self._settings, exact=exact)
        return Session(sender, self._letters.receipts(), exact)

    def _send(self, session: Session, chunk: list[Work]) -> Generator[Ended, None, Session]:
        """Send in one transaction; what is too large is told, and the rest sent without it."""
        while chunk:
            refused = session.sender.send([self._outputs(*work) for work in chunk])
            if not refused:
                yield from (Ended(letter, Fate.SENT) for letter, _ in chunk)
                break
            # Whole batches were refused: only a sender that sends each record by itself knows which it is.
            known = refused if session.exact else set()
            session = self._session(exact=True)
            yield from (Ended(chunk[index][0], Fate.TOO_LARGE) for index in sorted(known))
            rest = [work for index, work in enumerate(chunk) if index not in known]
            before = [letter for letter, _ in rest if key_of(letter) in session.done]
            yield from (Ended(letter, Fate.SENT_BEFORE) for letter in before)
            chunk = [work for work in rest if work[0] not in before]
        return session

    def _outputs(self, letter: Letter, source: InputRecord) -> tuple[OutputRecord, OutputRecord]:
        topics = self._settings.topics
        return (
            request_again(letter, source, topics.requests),
            receipt(letter, topics.receipts, self._now_ms()),
        )

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


@dataclass(frozen=True, slots=True)
class Session:
    """A sender, the keys of all receipts that there are since it began, and whether it is exact."""

    sender: Sender
    done: set[bytes]
    exact: bool
