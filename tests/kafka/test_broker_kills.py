"""SIGKILL at every link between owner, supervisor, Java and the other nodes of a cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from confluent_kafka import Producer

from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from tests.brokers import KAFKA_LOG, EmbeddedCluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.runtime import JavaRuntime

ROOT = Path(__file__).parents[2]
GONE_WITHIN_S = 20


def await_gone(*processes: psutil.Process) -> None:
    _, alive = psutil.wait_procs(processes, timeout=GONE_WITHIN_S)
    assert not alive


def test_a_killed_owner_leaves_no_process(java_runtime: JavaRuntime, tmp_path: Path) -> None:
    """After kill -9 of the owner, supervisor and Java end, and a new owner takes over their directory."""
    port, controller_port = free_ports(2)
    command = [sys.executable, "-m", "tests.kafka.owner", str(tmp_path), str(port), str(controller_port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]
        assert len(processes) == 2
        owner.kill()
    node = BrokerNode(data_dir=tmp_path, port=port, controller_port=controller_port)
    with BrokerProcess(node, java_runtime) as successor:
        await_gone(*processes)
        assert successor.poll() is None


@pytest.mark.usefixtures("java_runtime")
def test_an_owner_that_forked_is_missed_all_the_same(tmp_path: Path) -> None:
    """A fork of the owner holds the pipe open; the broker ends when the owner does, nonetheless."""
    ports = [str(port) for port in free_ports(2)]
    command = [sys.executable, "-m", "tests.kafka.owner", str(tmp_path), *ports, "fork"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        *processes, fork = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]
        assert len(processes) == 2
        try:
            owner.kill()
            await_gone(*processes)
            assert fork.is_running()
        finally:
            fork.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_killed_supervisor_leaves_no_java(broker: BrokerProcess) -> None:
    """After kill -9 of the supervisor Java ends too, the owner is told, and the directory is free."""
    supervisor, java = map(psutil.Process, broker.pids)
    supervisor.kill()
    assert asyncio.run(broker.wait()) == -signal.SIGKILL
    await_gone(java)
    broker.start()


async def test_a_killed_java_is_noticed(broker: BrokerProcess) -> None:
    """The owner sees kill -9 of Java as exit code 137, and start() brings the broker back."""
    waiting = asyncio.create_task(broker.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    os.kill(broker.pids[1], signal.SIGKILL)
    async with asyncio.timeout(GONE_WITHIN_S):
        assert await waiting == 128 + signal.SIGKILL
    assert broker.poll() == 128 + signal.SIGKILL
    await asyncio.to_thread(broker.start)
    assert broker.poll() is None


async def test_wait_ends_with_stop(broker: BrokerProcess) -> None:
    """A coroutine in wait() is released when another thread stops the broker."""
    waiting = asyncio.create_task(broker.wait())
    await asyncio.sleep(0)
    await asyncio.to_thread(broker.stop)
    async with asyncio.timeout(GONE_WITHIN_S):
        assert await waiting == 128 + signal.SIGTERM


def test_a_killed_node_rejoins(kafka_cluster: Callable[[], EmbeddedCluster]) -> None:
    """Three nodes lose one to kill -9 and still take records from all replicas that are left; it rejoins."""
    cluster = kafka_cluster()
    kafka = cluster.kafka
    topic = kafka.topic()
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "acks": "all",
    }
    producer = Producer(config, logger=KAFKA_LOG)
    victim = cluster.nodes[1]
    os.kill(victim.pids[1], signal.SIGKILL)
    assert asyncio.run(victim.wait()) == 128 + signal.SIGKILL
    failures: list[object] = []
    producer.produce(topic, b"x", on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(60) == 0
    assert failures == []
    victim.start()
    assert set(kafka.admin().list_topics(timeout=20).brokers) == {1, 2, 3}
