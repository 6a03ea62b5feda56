"""What exactly-once costs: throughput and latency of both kinds of delivery, in turn on one real broker.

The consumer's real loop and clients; what is captioned is done at once, so that delivery is all there is.
Throughput: captions per second between the first tenth and the last, by the times of their records.
Latency: from the call that sends a request until a reader of committed records has its caption, at a steady
rate far below that.

    python -m benchmarks.delivery [--records 30000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from confluent_kafka import Producer

from consumers.aot import ensure_runtime
from consumers.backlog import Work
from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from consumers.clients import client_config
from consumers.kafka import connect
from consumers.parts import parts_of, system_clocks
from consumers.reader import Until, records_of
from consumers.records import OutputRecord
from consumers.runner import Pace, Runner
from consumers.topics import ensure_topics
from serve_app.settings import ClusterBroker, ConsumerSettings, Settings, TopicSettings

Delivery = Literal["exactly_once", "at_least_once"]
IN_FLIGHT = 2000
STEADY = 400
STEADY_PAUSE_S = 0.02
VALUE = b"https://example.org/videos/0123456789.mp4?"
GIVE_UP_S = 120.0


def settings_of(broker: BrokerProcess, delivery: Delivery) -> Settings:
    """Settings with topics and a group of their own; the topics are made."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    settings = Settings(
        broker=ClusterBroker(bootstrap_servers=broker.bootstrap_servers),
        topics=TopicSettings(requests=name, captions=f"{name}.captions", dead_letters=f"{name}.dlq"),
        consumer=ConsumerSettings(group_id=name, max_in_flight=IN_FLIGHT, delivery=delivery),
    )
    ensure_topics(client_config(settings.broker), settings.topics, settings.retry_topics)
    return settings


@contextmanager
def consumer(settings: Settings) -> Iterator[None]:
    """Run the loop; each request is captioned as soon as it is taken."""

    def start(work: Work) -> None:
        for ticket, record in work:
            runner.finish(ticket, (OutputRecord(settings.topics.captions, record.key, record.value),))

    pace = Pace(settings.consumer.settle_interval_ms / 1000)
    runner = Runner(connect(settings), parts_of(settings), start, pace, system_clocks())
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        yield
    finally:
        runner.stop()
        thread.join()


def throughput(settings: Settings, records: int) -> float:
    """Captions per second."""
    producer = Producer({**client_config(settings.broker), "queue.buffering.max.messages": records})
    for number in range(records):
        producer.produce(settings.topics.requests, VALUE + b"%d" % number)
    producer.flush()
    with consumer(settings):
        until = Until(records, GIVE_UP_S)
        found = records_of(settings, [settings.topics.captions], from_beginning=True, until=until)
        times = sorted(record.timestamp_ms or 0 for record in found)
    low, high = records // 10, records * 9 // 10
    return (high - low) / ((times[high] - times[low]) / 1000)


def latencies_ms(settings: Settings) -> list[float]:
    """Milliseconds from sending to seeing, of each request."""
    sent: dict[bytes, float] = {}
    seen: dict[bytes, float] = {}
    topic = settings.topics.captions

    def read() -> None:
        for record in records_of(settings, [topic], from_beginning=True, until=Until(STEADY, GIVE_UP_S)):
            seen[record.value or b""] = time.monotonic()

    reader = threading.Thread(target=read)
    producer = Producer(client_config(settings.broker))
    with consumer(settings):
        reader.start()
        for number in range(STEADY):
            value = VALUE + b"%d" % number
            sent[value] = time.monotonic()
            producer.produce(settings.topics.requests, value)
            producer.poll(0)
            time.sleep(STEADY_PAUSE_S)
        reader.join()
    # The first ones wait for the consumer to join its group.
    return [(seen[value] - at) * 1000 for value, at in sent.items()][STEADY // 4 :]


def main() -> None:
    """Run both in turn and print rates, latencies and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    kinds: tuple[Delivery, Delivery] = ("exactly_once", "at_least_once")
    ratios, added = [], []
    port, controller_port = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        node = BrokerNode(data_dir=Path(folder), port=port, controller_port=controller_port)
        with BrokerProcess(node, ensure_runtime()) as broker:
            for number in range(asked.rounds):
                order = kinds if number % 2 else kinds[::-1]
                rates = {kind: throughput(settings_of(broker, kind), asked.records) for kind in order}
                waits = {kind: statistics.median(latencies_ms(settings_of(broker, kind))) for kind in order}
                ratios.append(rates["exactly_once"] / rates["at_least_once"])
                added.append(waits["exactly_once"] - waits["at_least_once"])
                told = "  ".join(f"{kind} {rates[kind]:6.0f}/s {waits[kind]:4.0f} ms" for kind in kinds)
                print(f"round {number + 1}: {told}  ratio {ratios[-1]:.2f}")
    print(f"median ratio {statistics.median(ratios):.2f} (goal: at least 0.9), ", end="")
    print(f"median latency added {statistics.median(added):.0f} ms")


if __name__ == "__main__":
    main()
