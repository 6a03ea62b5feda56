"""Proves from the topics that every input ended exactly once, or names those that did not.

The order of reading is the proof's order (:mod:`consumers.tally`): first what the group has done, then the
inputs, then what became of them, up to everything that was written when the first question was answered,
transactions that were open then included.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from consumers.clients import client_config
from consumers.cluster import QUIET
from consumers.ledger import Partition
from consumers.messages import record_of
from consumers.origins import attempt_of, origin_of, retry_topics
from consumers.progress import MetadataError, decode
from consumers.snapshot import ASK_TIMEOUT_S, Topics
from consumers.tally import Account, Ending, Standing, Tally
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)

SKEW_MS = 600_000  # clocks of producers and consumers may differ by so much where a time is asked for
ASK_FOR_S = 90.0  # a group transaction that is pending hides the committed offset until its time-out

Standings = Mapping[Partition, Standing]


def audit(settings: Settings, *, since_ms: int | None = None) -> list[Account]:
    """Account for each partition of the input topic, for inputs from ``since_ms`` (epoch) on.

    Raises ``BrokerError`` where the topics cannot be read to the end.
    """
    topics, names = Topics(settings), settings.topics
    kinds = {names.captions: Ending.CAPTION, names.dead_letters: Ending.DEAD_LETTER}
    places = topics.partitions([names.requests])
    retry_places = topics.partitions(retry_topics(topics.names(), names.requests))
    standings = standings_of(settings, [*places, *retry_places])
    spans = topics.spans(places, since_ms=since_ms)
    tallies = {s.partition: Tally(s.partition, s.start, s.end, standings[s.partition]) for s in spans}
    for batch in topics.messages(spans):
        for message in batch:
            place, offset = _place(message)
            tallies[place].input(offset)
    earliest_ms = None if since_ms is None else max(0, since_ms - SKEW_MS)
    ends = topics.decided([*topics.partitions(kinds), *retry_places], since_ms=earliest_ms)
    for batch in topics.messages(ends):
        for message in batch:
            _note(message, tallies, standings, kinds)
    return [tallies[place].account() for place in sorted(tallies)]


def _note(
    message: Message, tallies: Mapping[Partition, Tally], standings: Standings, kinds: Mapping[str, Ending]
) -> None:
    record = record_of(message)
    origin = origin_of(record.headers, record.value)
    tally = tallies.get(origin.partition) if origin is not None else None
    if origin is None or tally is None:
        return  # of another input, or of none: requests over HTTP have no record
    if (kind := kinds.get(record.topic)) is not None:
        tally.ended(origin.offset, kind, record.place)
    else:
        is_open = not standings[Partition(record.topic, record.partition)].done(record.offset)
        tally.retried(origin.offset, record.topic, attempt_of(record.headers), is_open=is_open)


def _place(message: Message) -> tuple[Partition, int]:
    return Partition(message.topic() or "", message.partition() or 0), message.offset() or 0


def standings_of(settings: Settings, partitions: list[Partition]) -> dict[Partition, Standing]:
    """What the group has committed, offsets whose transaction is over; ``BrokerError`` without an answer."""
    if not partitions:
        return {}
    config = {**client_config(settings.broker), **QUIET, "group.id": settings.consumer.group_id}
    consumer = Consumer({**config, "enable.auto.commit": False}, logger=log)
    again = Retrying(
        retry=retry_if_exception_type(KafkaException),
        stop=stop_after_delay(ASK_FOR_S),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    try:
        return again(_committed, consumer, partitions)
    except KafkaException as error:
        raise BrokerError(
            f"no committed offsets of group {settings.consumer.group_id} within {ASK_FOR_S:g} s: "
            f"{error.args[0].str()}"
        ) from error
    finally:
        consumer.close()


def _committed(consumer: Consumer, partitions: list[Partition]) -> dict[Partition, Standing]:
    asked = [TopicPartition(place.topic, place.number) for place in partitions]
    found = {}
    for tp in consumer.committed(asked, timeout=ASK_TIMEOUT_S):
        if tp.error is not None:
            raise KafkaException(tp.error)
        found[Partition(tp.topic, tp.partition)] = _standing(tp.offset, tp.metadata)
    return found


def _standing(offset: int, metadata: str | None) -> Standing:
    # Nothing committed reads as -1001: the group has done nothing.
    if offset < 0:
        return Standing(0)
    try:
        return Standing(offset, bytes(decode(offset, metadata).finished))
    except MetadataError:
        return Standing(offset)
