"""The broker dies under the consumer and comes back on its data; the consumer's process lives on."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from consumers.broker import BrokerProcess
from consumers.clients import client_config
from consumers.ends import Ends
from consumers.settlement import Partition
from tests.brokers import Kafka
from tests.kafka.members import Member, captions, member, send, settings_for

KILLS = 3
EACH = 60


def kill(broker: BrokerProcess) -> None:
    """Kill -9, and start again."""
    os.kill(broker.pids[1], signal.SIGKILL)
    assert asyncio.run(broker.wait()) == 128 + signal.SIGKILL
    broker.start()


@contextmanager
def captioning(one: Member) -> Iterator[None]:
    """Caption whatever it takes, on a thread of its own."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                one.give(one.work.get(timeout=0.1))
            except queue.Empty:
                continue

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_killed_broker_costs_time_alone(broker: BrokerProcess) -> None:
    """Killed again and again in the middle of the work: each record has one caption, the loop lives on."""
    settings = settings_for(Kafka(broker.bootstrap_servers, "embedded"), settle_interval_ms=5)
    expected: Counter[bytes | None] = Counter()
    with member(settings) as one, captioning(one):
        for number in range(KILLS):
            values = [f"{number}-{n}".encode() for n in range(EACH)]
            expected.update(values)
            send(settings, *values[::2], partition=0)
            send(settings, *values[1::2], partition=1)
            kill(broker)
            assert len(captions(settings, len(expected))) == len(expected)
            assert one.thread.is_alive()
    assert Counter(record.value for record in captions(settings, len(expected))) == expected


def test_ends_are_known_again_after_a_new_leader_epoch(broker: BrokerProcess) -> None:
    """The client that asks for them does not stay with what it knew of the leader before."""
    settings = settings_for(Kafka(broker.bootstrap_servers, "embedded"))
    send(settings, b"a")
    ends = Ends(client_config(settings.broker))
    partitions = [Partition(settings.topics.requests, number) for number in (0, 1)]
    before = ends.of(partitions)
    assert sorted(before.values()) == [0, 1]
    kill(broker)
    assert ends.of(partitions) == before
