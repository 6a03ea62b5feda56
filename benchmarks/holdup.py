"""How long a kill -9 in the middle of a transaction holds up those who read what is committed.

A process opens a transaction as the consumer does, writes a caption in it, and is killed with SIGKILL. Behind
that caption stands another one, which is committed. Measured is the time from the kill until a reader of
committed records gets that one: once with a successor that opens a producer of the same id, as a process
does that takes the slot over, and once with nobody, where the broker ends the transaction by itself.

    python -m benchmarks.holdup [--rounds 3]
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # public, but not marked

from consumers.aot import ensure_runtime
from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from consumers.clients import transactional_config
from serve_app.settings import Settings

TOPIC, IDENTITY = "captions", "slot"
TIMEOUT_S = 60.0


def settings_for(servers: str) -> Settings:
    """The defaults, at this broker."""
    return Settings.model_validate({"broker": {"kind": "cluster", "bootstrap_servers": servers}})


def opened(servers: str) -> Producer:
    """A producer as the consumer opens it, which ends what the last one of its id left."""
    producer = Producer({**transactional_config(settings_for(servers), IDENTITY), "log_level": 0})
    producer.init_transactions(TIMEOUT_S)
    return producer


def victim(servers: str) -> None:
    """Open a transaction, write into it, say so, and wait to be killed."""
    producer = opened(servers)
    producer.begin_transaction()
    producer.produce(TOPIC, b"never committed")
    assert producer.flush(TIMEOUT_S) == 0  # noqa: S101  the broker has it
    print("open", flush=True)
    signal.pause()


def held_up(servers: str, *, succeeded: bool) -> float:
    """Seconds from the kill until the caption behind the open transaction can be read."""
    command = [sys.executable, "-m", "benchmarks.holdup", "--victim", servers]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101  it is a pipe
        process.stdout.readline()
        plain = Producer({"bootstrap.servers": servers, "log_level": 0})
        plain.produce(TOPIC, b"committed")
        plain.flush(TIMEOUT_S)
        reader = Consumer(
            {"bootstrap.servers": servers, "group.id": "reader", "isolation.level": "read_committed"}
        )
        # For a reader of committed records the end is where the first open transaction begins.
        place = TopicPartition(TOPIC, 0)
        place.offset = reader.get_watermark_offsets(place, timeout=TIMEOUT_S)[1]
        reader.assign([place])
        process.kill()
        began = time.monotonic()
    if succeeded:
        opened(servers)
    value = b""
    while value != b"committed" and time.monotonic() - began < TIMEOUT_S:
        message = reader.poll(0.05)
        value = b"" if message is None or message.error() else message.value() or b""
    took_s = time.monotonic() - began
    reader.close()
    if value != b"committed":
        sys.exit(f"nothing could be read from {place.offset} on for {TIMEOUT_S:g} s")
    return took_s


def main() -> None:
    """Measure and print, or be the victim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--victim", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.victim:
        victim(asked.victim)
        return
    with tempfile.TemporaryDirectory() as folder:
        port, controller_port = free_ports(2)
        node = BrokerNode(data_dir=Path(folder), port=port, controller_port=controller_port)
        with BrokerProcess(node, ensure_runtime()) as broker:
            admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
            admin.create_topics([NewTopic(TOPIC, 1, 1)], operation_timeout=TIMEOUT_S)[TOPIC].result()
            for succeeded in (True, False):
                took = [held_up(broker.bootstrap_servers, succeeded=succeeded) for _ in range(asked.rounds)]
                who = "a successor with the same id" if succeeded else "nobody: the broker ends it"
                print(f"{who}: {'  '.join(f'{one:.1f} s' for one in took)}")


if __name__ == "__main__":
    main()
