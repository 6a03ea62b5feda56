"""The dead letter topic as it stands: reading letters, and the requests behind them."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import Message

from consumers.letters import Letter, Selection, is_value_of, letter_of
from consumers.messages import record_of
from consumers.receipts import receipts
from consumers.records import InputRecord
from consumers.snapshot import Span, Topics
from serve_app.settings import Settings


class DeadLetters:
    """All methods raise ``BrokerError`` where the broker does not answer, or the topic does not exist."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings)

    def spans(self, selection: Selection) -> list[Span]:
        """Where the chosen letters stand; letters that come later are not among them."""
        places = self._topics.partitions([self._settings.topics.dead_letters])
        return self._topics.spans(places, since_ms=selection.since_ms)

    def batches(self, spans: list[Span]) -> Iterator[list[Message]]:
        """The records of the spans, unread."""
        return self._topics.messages(spans)

    def chosen(self, selection: Selection) -> Iterator[Letter]:
        """The letters of a selection, in order within each partition."""
        for batch in self.batches(self.spans(selection)):
            yield from (letter for m in batch if selection.takes(letter := letter_of(record_of(m))))

    def request_of(self, letter: Letter) -> InputRecord | None:
        """The record with the request's value: the letter's own, or where it was omitted, the original.

        ``None`` if the original is gone from its topic, or if another record stands there.
        """
        if letter.omitted_bytes is None:
            return letter.record
        if letter.origin is None:
            return None
        found = self._topics.at(letter.origin.partition, letter.origin.offset)
        return found if is_value_of(found, letter) else None

    def receipts(self) -> set[bytes]:
        """The keys of the letters that were replayed, see :func:`consumers.receipts.key_of`."""
        return receipts(self._settings, self._topics)
