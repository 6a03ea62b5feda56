"""Coming into the group and leaving it, as librdkafka wants it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Event
from typing import cast

import pytest
from confluent_kafka import Consumer, TopicPartition

from consumers.committed import Committed
from consumers.identity import claim
from consumers.kafka import KafkaTransport
from consumers.progress import Progress
from consumers.settlement import Partition, Settlement
from consumers.transport import Rebalances, Settled, SettleOutcome


class Leaver:
    """A client whose ``close`` hands out a partition first, and returns when it may."""

    def __init__(self) -> None:
        self.may_leave = Event()
        self.calls: list[str] = []
        self._on_assign: Callable[[Leaver, list[TopicPartition]], None] = lambda _, __: None

    def subscribe(self, _topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._on_assign = callbacks["on_assign"]

    def close(self) -> None:
        self._on_assign(self, [TopicPartition("video", 0)])
        self.calls.append("close")
        self.may_leave.wait()

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.calls.append(f"committed within {timeout:g} s")
        return partitions


class Nothing:
    """A settler, and what wants to know of rebalances."""

    def settle(self, _settlement: Settlement) -> SettleOutcome:
        return Settled()

    def close(self) -> None:
        return

    def assigned(self, found: Mapping[Partition, Progress]) -> None:
        raise AssertionError(found)

    def revoked(self, partitions: Collection[Partition]) -> None:
        raise AssertionError(partitions)

    def lost(self, partitions: Collection[Partition]) -> None:
        raise AssertionError(partitions)


def subscribed(
    leaver: Leaver, folder: Path, leave_timeout_s: float, rebalances: Rebalances | None = None
) -> KafkaTransport:
    client = cast("Consumer", leaver)
    transport = KafkaTransport(
        ["video"],
        client,
        Nothing(),
        Committed(client, 1),
        claim("leaving", folder),
        leave_timeout_s=leave_timeout_s,
    )
    transport.subscribe(rebalances or Nothing())
    return transport


def test_partitions_handed_out_while_leaving_are_not_looked_at(tmp_path: Path) -> None:
    """Nobody would answer what is committed there, and the wait would hold up the end."""
    leaver = Leaver()
    leaver.may_leave.set()
    subscribed(leaver, tmp_path, 5).close()
    assert leaver.calls == ["close"]


def test_a_group_that_cannot_be_left_is_left_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A replica ends in time, and its name is free."""
    leaver = Leaver()
    subscribed(leaver, tmp_path, 0.01).close()
    leaver.may_leave.set()
    assert "not left in good order" in caplog.text
    again = claim("leaving", tmp_path)
    assert again.lock.name.endswith(".0.lock")
    again.release()


class Joiner(Leaver):
    """A client that hands out a partition whose offset 7 is committed, and lists what it is told."""

    def join(self) -> None:
        self._on_assign(self, [TopicPartition("video", 0)])

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        return [TopicPartition(p.topic, p.partition, 7) for p in partitions]

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        assert (partition.topic, timeout > 0) == ("video", True)
        return 0, 9

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.calls += [f"assign {p.topic}-{p.partition} at {p.offset}" for p in partitions]

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.calls += [f"resume {p.topic}-{p.partition}" for p in partitions]


class Owner(Nothing):
    """Takes what it is given."""

    def assigned(self, found: Mapping[Partition, Progress]) -> None:
        assert found == {Partition("video", 0): Progress(7)}


def test_a_partition_is_resumed_when_it_comes(tmp_path: Path) -> None:
    """A pause of an earlier ownership survives in the client and would stall the partition silently."""
    joiner = Joiner()
    joiner.may_leave.set()
    transport = subscribed(joiner, tmp_path, 5, Owner())
    joiner.join()
    assert joiner.calls == ["assign video-0 at 7", "resume video-0"]
    transport.close()
