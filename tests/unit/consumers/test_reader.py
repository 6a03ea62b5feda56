"""Where reading begins in each topic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, TopicPartition

from consumers.reader import _assign


@dataclass(frozen=True, slots=True)
class Topic:
    partitions: dict[int, object]


@dataclass(frozen=True, slots=True)
class Metadata:
    topics: dict[str, Topic]


@dataclass(slots=True)
class Broker:
    """Knows more topics from one look to the next: partitions by name."""

    looks: list[dict[str, int]]
    assigned: dict[tuple[str, int], int] = field(default_factory=dict)

    def list_topics(self, timeout: float) -> Metadata:
        assert timeout > 0
        known = self.looks.pop(0)
        return Metadata({name: Topic(dict.fromkeys(range(count))) for name, count in known.items()})

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = {(place.topic, place.partition): place.offset for place in places}


def assigned(where: int, *looks: dict[str, int]) -> dict[tuple[str, int], int]:
    broker = Broker(list(looks))
    _assign(cast("Consumer", broker), ["a", "b"], where, math.inf)
    assert broker.looks == []
    return broker.assigned


def test_every_partition_begins_where_it_was_asked() -> None:
    """All partitions of the topics, and none of another topic."""
    found = assigned(OFFSET_END, {"a": 2, "b": 1, "c": 1})
    assert found == {("a", 0): OFFSET_END, ("a", 1): OFFSET_END, ("b", 0): OFFSET_END}


def test_a_topic_that_comes_later_is_read_whole() -> None:
    """It was empty when reading began; the one that was there is still read from its end."""
    found = assigned(OFFSET_END, {"a": 1}, {"a": 1}, {"a": 1, "b": 1})
    assert found == {("a", 0): OFFSET_END, ("b", 0): OFFSET_BEGINNING}


def test_a_topic_without_partitions_is_not_there_yet() -> None:
    """A broker may name a topic a moment before it knows who leads its partitions."""
    assert assigned(OFFSET_END, {"a": 1, "b": 0}, {"a": 1, "b": 1})["b", 0] == OFFSET_BEGINNING


def test_nothing_is_assigned_when_the_time_is_up() -> None:
    """A deadline that has passed ends the waiting."""
    broker = Broker([])
    _assign(cast("Consumer", broker), ["a"], OFFSET_END, -math.inf)
    assert broker.assigned == {}
