"""What the consumer's deployment adds to its loop: health, the end of the process, the drain."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from consumers.deployment import LOOP_DIED, Consumer
from consumers.parts import parts_of, target_of
from serve_app.settings import ConsumerSettings, Settings

ROOT = Path(__file__).parents[3]
REPLICA: Any = cast("Any", Consumer).func_or_class  # without Serve's wrapping


@dataclass(slots=True)
class Loop:
    """A Kafka loop as the deployment sees it; it lists what it was told."""

    told: list[str]
    beat: float = 0.0
    broken: str | None = None

    def halt(self, reason: str) -> None:
        self.broken = reason

    def pause_for_good(self) -> None:
        self.told.append("pause")

    def stop(self) -> None:
        self.told.append("stop")


@dataclass(slots=True)
class Dispatcher:
    told: list[str]

    async def drain(self, timeout_s: float) -> None:
        self.told.append(f"drain {timeout_s:g}")


@dataclass(slots=True)
class Thread:
    told: list[str]
    alive: bool = True

    def is_alive(self) -> bool:
        return self.alive

    def join(self) -> None:
        assert threading.current_thread() is not threading.main_thread()
        self.told.append("join")


@dataclass(slots=True)
class Halted:
    """What all replicas of a start know."""

    reason: str | None = None


@dataclass(slots=True)
class Replica:
    """The parts that a replica consists of."""

    told: list[str] = field(default_factory=list)
    _settings: ConsumerSettings = field(init=False)
    _runner: Loop = field(init=False)
    _dispatcher: Dispatcher = field(init=False)
    _thread: Thread = field(init=False)
    _halt: Halted = field(default_factory=Halted)
    _patience: int = 0

    def _heed(self) -> None:
        REPLICA._heed(self)

    def __post_init__(self) -> None:
        self._settings = ConsumerSettings(stale_after_s=100, drain_timeout_s=7)
        self._runner = Loop(self.told, time.monotonic())
        self._dispatcher = Dispatcher(self.told)
        self._thread = Thread(self.told)


async def test_a_loop_that_goes_round_is_healthy() -> None:
    """Nothing is raised while the loop lives and was heard of lately."""
    await REPLICA.check_health(Replica())


async def test_a_dead_loop_is_unhealthy() -> None:
    """Serve is told, and replaces the replica."""
    replica = Replica()
    replica._thread.alive = False
    with pytest.raises(RuntimeError, match="the Kafka loop is dead"):
        await REPLICA.check_health(replica)


async def test_a_silent_loop_is_unhealthy() -> None:
    """A loop that hangs in a call to Kafka is told with the time that it was silent for."""
    replica = Replica()
    replica._runner.beat = time.monotonic() - 101
    with pytest.raises(RuntimeError, match="the Kafka loop was silent for 101 s"):
        await REPLICA.check_health(replica)


async def test_a_stop_is_told_to_the_replicas_that_come_after() -> None:
    """Serve replaces the one that is unhealthy; a fresh one would read on."""
    replica = Replica(_halt=Halted("5 dead letters in a row"), _patience=1)
    await REPLICA.check_health(replica)  # Serve's question whether it may be taken for running
    assert replica._runner.broken == "5 dead letters in a row"
    with pytest.raises(RuntimeError, match="stopped reading: 5 dead letters in a row; to read on, deploy"):
        await REPLICA.check_health(replica)


async def test_a_drain_takes_no_more_then_finishes_then_leaves() -> None:
    """The loop goes on settling until the work in flight is done; the thread is waited for off the loop."""
    replica = Replica()
    await REPLICA.__del__(replica)
    assert replica.told == ["pause", "drain 7", "stop", "join"]


def test_a_loop_that_dies_takes_its_process_along() -> None:
    """Half dead, it would keep its partitions by heartbeat; the exit code tells what happened."""
    code = """
from types import SimpleNamespace
from consumers.deployment import Consumer
def run():
    raise ZeroDivisionError
Consumer.func_or_class._run(SimpleNamespace(_runner=SimpleNamespace(run=run)))
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert ran.returncode == LOOP_DIED
    assert b"ZeroDivisionError" in ran.stderr


def test_results_name_the_engine() -> None:
    """A dead letter says which engine it would have had."""
    assert target_of(Settings(), "replica").marks.engine == "baseline"


def test_the_flow_is_bounded_as_the_settings_say() -> None:
    """Counts and bytes of what one replica holds come from its settings."""
    flow = parts_of(Settings(consumer=ConsumerSettings(max_in_flight=3, max_in_flight_mib=0.5))).flow
    assert flow.room(1) == 2
    flow.regulate(1, 512 * 1024)
    assert flow.paused
