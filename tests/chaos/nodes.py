"""Three real brokers that can be killed one at a time or all at once, and come back by themselves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consumers.aot import ensure_runtime
from consumers.broker import BrokerProcess
from consumers.broker_node import cluster_nodes, free_ports
from tests.chaos.schedule import NODES


@dataclass(slots=True)
class Nodes:
    """The brokers; one repair at a time goes on beside everything else."""

    processes: list[BrokerProcess]
    _pool: ThreadPoolExecutor
    _repair: Future[None] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return ",".join(node.bootstrap_servers for node in self.processes)

    @property
    def all_serve(self) -> bool:
        """Whether all of them serve."""
        return self._repair is None or self._repair.done()

    def kill(self, victims: list[BrokerProcess], down_s: float) -> None:
        """SIGKILL these, and have them started again after so many seconds."""
        self.await_repaired()
        for node in victims:
            os.kill(node.pids[1], signal.SIGKILL)
        self._repair = self._pool.submit(_revive, victims, down_s)

    def await_repaired(self) -> None:
        """Wait until all nodes that were killed serve again."""
        if self._repair is not None:
            self._repair.result()

    def stop(self) -> None:
        """Stop all of them at once: without a quorum the last ones would wait for their grace to end."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(BrokerProcess.stop, self.processes))


def _revive(victims: list[BrokerProcess], down_s: float) -> None:
    time.sleep(down_s)
    for node in victims:
        node.launch()
    for node in victims:
        node.await_ready()


@contextmanager
def three_nodes(folder: Path) -> Iterator[Nodes]:
    """Start them; whoever needs them waits by :meth:`Nodes.await_repaired`."""
    runtime = ensure_runtime()
    ports = free_ports(2 * NODES)
    made = cluster_nodes(folder, list(zip(ports[::2], ports[1::2], strict=True)))
    with ThreadPoolExecutor(1) as pool:
        nodes = Nodes([BrokerProcess(node, runtime, grace_s=2) for node in made], pool)
        nodes._repair = pool.submit(_revive, nodes.processes, 0)
        try:
            yield nodes
        finally:
            pool.submit(nodes.stop).result()
