"""Starts and stops one node of the embedded broker: Apache Kafka in a supervised child process.

All calls block; from asyncio use ``asyncio.to_thread(broker.start)`` and ``await broker.wait()``.
How the processes end together is described in :mod:`consumers.broker_child`.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from consumers.broker_node import HOST, BrokerNode
from consumers.runtime import FOREIGN_FLAGS
from consumers.topics import await_broker, await_groups
from serve_app.errors import BrokerError

if TYPE_CHECKING:
    from types import TracebackType

    from consumers.runtime import JavaRuntime

SUPERVISOR = Path(__file__).with_name("broker_child.py")
LOG_LINES_SHOWN = 8


class BrokerProcess:
    """One node: owned by this process and gone with it, whatever kills it.

    ``grace_s`` is Kafka's time for an orderly stop before SIGKILL. ``lock_timeout_s`` is how long a start
    waits for a former owner of the data directory to be gone. ``flags`` go to Java. Linux and macOS;
    only on Linux does Java also die with a supervisor that was killed.
    """

    def __init__(
        self,
        node: BrokerNode,
        runtime: JavaRuntime,
        *,
        grace_s: float = 5,
        lock_timeout_s: float = 15,
        flags: tuple[str, ...] = (),
    ) -> None:
        self.node = node
        self._runtime = runtime
        self._grace_s = grace_s
        self._lock_timeout_s = lock_timeout_s
        self._flags = flags
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return self.node.bootstrap_servers

    @property
    def pids(self) -> tuple[int, int]:
        """Process ids of the supervisor and of Java; meaningful while it runs."""
        supervisor, java = self.node.lock_path.read_text().split()
        return int(supervisor), int(java)

    def start(self) -> None:
        """Start and wait until it serves; ``BrokerError`` says what is in the way and what to do."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start the processes without waiting; nodes of one cluster need each other to become ready."""
        if self.poll() is None and self._supervisor is not None:
            raise BrokerError(f"the broker on {self.bootstrap_servers} is running already")
        self.stop()
        self.node.data_dir.mkdir(parents=True, exist_ok=True)
        lock_fd = _lock(self.node, self._lock_timeout_s)
        try:
            for port in (self.node.port, self.node.controller_port):
                _require_free(port)
            self.node.properties_path.write_text(self.node.server_properties())
            self._supervisor = self._spawn(lock_fd)
        finally:
            # Supervisor and Java hold copies; the lock stays taken until the last one is closed.
            os.close(lock_fd)

    def await_ready(self) -> None:
        """Wait until the node lists itself as a broker; stop it and raise ``BrokerError`` otherwise."""
        timeout_s = self.node.start_timeout_s
        try:
            serves = self._serves(timeout_s)
        except BaseException:
            self.stop()
            raise
        if not serves:
            code = self.poll()
            self.stop()
            what = f"was not ready after {timeout_s:g} s" if code is None else f"ended with exit code {code}"
            raise BrokerError(
                f"Apache Kafka on {self.bootstrap_servers} {what}: {log_tail(self.node.log_path)}"
            )

    def poll(self) -> int | None:
        """The exit code if it has ended (128 + signal when killed), None while it runs."""
        return self._supervisor.poll() if self._supervisor else 0

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        process = self._supervisor
        if process is None or process.stdout is None:
            return 0
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        # A copy, because stop() in another thread closes the original.
        watched = os.dup(process.stdout.fileno())
        loop.add_reader(watched, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        return await asyncio.to_thread(process.wait)

    def stop(self) -> None:
        """End it in order: SIGTERM, then SIGKILL after ``grace_s``. Harmless when it has ended."""
        if (process := self._supervisor) is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(self._grace_s + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._supervisor = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serves(self, timeout_s: float) -> bool:
        def alive() -> bool:
            return self.poll() is None

        address = (HOST, self.node.port)
        if not await_broker(address, self.node.node_id, timeout_s=timeout_s, alive=alive):
            return False
        # The topic behind groups needs all nodes of a cluster, this one may be the first.
        alone = not self.node.voters
        return not alone or await_groups(address, timeout_s=timeout_s, alive=alive)

    def _commands(self) -> list[list[str]]:
        node, run = self.node, self._runtime.command
        path = str(node.properties_path)
        kafka = run("kafka.Kafka", path, heap_mib=node.heap_mib, flags=self._flags)
        if node.formatted:
            return [kafka]
        arguments = ("format", "--ignore-formatted", "-t", node.cluster_id, "-c", path)
        return [run("kafka.tools.StorageTool", *arguments, heap_mib=128), kafka]

    def _spawn(self, lock_fd: int) -> subprocess.Popen[bytes]:
        work = {
            "owner_pid": os.getpid(),
            "lock_fd": lock_fd,
            "grace_s": self._grace_s,
            "commands": self._commands(),
        }
        log = self.node.log_path
        if log.exists():
            log.replace(log.with_name("broker.log.1"))
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own file, no shell
                [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(work)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                pass_fds=[lock_fd],
                env={key: value for key, value in os.environ.items() if key not in FOREIGN_FLAGS},
                # Ctrl-C in a terminal reaches the owner alone, which then stops us in order.
                start_new_session=True,
            )


def _lock(node: BrokerNode, timeout_s: float) -> int:
    """An exclusive lock on the data directory, as a file descriptor."""
    lock_fd = os.open(node.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(lock_fd, 64, 0).decode().split()
                os.close(lock_fd)
                raise BrokerError(
                    f"data directory {node.data_dir} is in use by another broker "
                    f"(pid {holder[0] if holder else 'unknown'}): stop it, or set another broker.data_dir"
                ) from None
            time.sleep(0.05)
        else:
            return lock_fd


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        # As Java does: a connection of a former broker in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise BrokerError(f"port {port} on {HOST} cannot be opened: {error.strerror}") from error
            raise BrokerError(
                f"port {port} on {HOST} is taken by another process: "
                "choose another pair of ports with broker.port, for example CAPSTREAM_KAFKA_PORT=29092"
            ) from error


def log_tail(path: Path) -> str:
    """The last lines of a log, without Java's stack frames."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if not line.startswith("\tat ")]
    return "\n".join([f"the last lines of {path} are", *lines[-LOG_LINES_SHOWN:]])
