"""The consumer as a Serve deployment: started, watched and drained with the application.

The Kafka loop runs in a thread of its own; records are worked on as tasks of the replica's event loop.
A loop that dies takes the process with it at once: half dead, it would keep its partitions by heartbeat
while nobody works on them. Kafka then delivers the work again, to a replica that lives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from consumers.backlog import Work
from consumers.clients import client_config
from consumers.dispatch import Dispatcher, Tell
from consumers.ends import Ends
from consumers.halt import ADVICE, Halt
from consumers.kafka import connect
from consumers.parts import attempts_of, parts_of, system_clocks, target_of
from consumers.records import OutputRecord
from consumers.runner import Pace, Runner
from consumers.settlement import Ticket
from consumers.topics import ensure_topics
from consumers.window_producer import WindowProducer
from serve_app.errors import Failure
from serve_app.schema import Captioned, CaptionRequest
from serve_app.settings import Settings

log = logging.getLogger("ray.serve")

LOOP_DIED = 70
FLUSH_S = 0.5
# Any: what a handle's call is said to return has no one type.
Answer = Callable[[Any, float], Awaitable[Captioned | Failure]]
Follow = Callable[[Any, float, Tell], Awaitable[Captioned | Failure]]


@dataclass(frozen=True, slots=True)
class Calls:
    """How an answer over a handle is waited for: one, or the last of several of which each is told."""

    answer: Answer
    follow: Follow


@serve.deployment(name="Consumer")
class Consumer:
    """One member of the consumer group."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        settings: Settings,
        decoder: DeploymentHandle[Any],
        broker: DeploymentHandle[Any] | None,
        calls: Calls,
        start: str,
    ) -> None:
        if broker is not None:
            await broker.ready.remote()
        client, retries = client_config(settings.broker), settings.retry_topics
        for warning in await asyncio.to_thread(ensure_topics, client, settings.topics, retries):
            log.warning(warning)
        own = settings.consumer
        self._settings = own
        self._decoder = decoder
        self._calls = calls
        self._name = serve.get_replica_context().replica_id.unique_id
        self._loop = asyncio.get_running_loop()
        self._windows = None if settings.topics.windows is None else WindowProducer(settings)
        self._ends = Ends(client_config(settings.broker))
        self._topics = frozenset((settings.topics.requests, *settings.retry_topics))
        clocks = system_clocks()
        self._dispatcher = Dispatcher(
            self._call,
            self._finish,
            attempts_of(settings),
            target_of(settings, self._name, self._windows),
            clocks.epoch_ms,
        )
        transport = await asyncio.to_thread(connect, settings)
        pace = Pace(own.settle_interval_ms / 1000)
        parts = parts_of(settings)
        self._halt = Halt(start)
        parts.breaker.told = self._halt.note
        self._runner = Runner(transport, parts, self._start, pace, clocks)
        self._heed()
        # Serve asks once more before a replica is taken for running: without that it would start the next
        # one every other second, and nobody could be asked why.
        self._patience = 1 if self._runner.broken is not None else 0
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)
        self._thread.start()

    async def _call(self, request: CaptionRequest, tell: Tell) -> Captioned | Failure:
        timeout_s = self._settings.record_timeout_s
        if self._windows is None:
            return await self._calls.answer(self._decoder.caption.remote(request), timeout_s)
        stream = self._decoder.options(stream=True).windows.remote(request)
        try:
            return await self._calls.follow(stream, timeout_s, tell)
        finally:
            # What is not acknowledged is published once more, with the caption: mostly a moment suffices.
            await asyncio.to_thread(self._windows.flush, FLUSH_S)

    def _start(self, work: Work) -> None:
        self._loop.call_soon_threadsafe(self._dispatcher.start, work)

    def _finish(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        self._runner.finish(ticket, outputs)

    def _run(self) -> None:
        try:
            self._runner.run()
        except Exception:
            log.exception("the Kafka loop died, and this process with it")
            logging.shutdown()
            os._exit(LOOP_DIED)

    async def status(self) -> dict[str, object]:
        """State of this replica, as :class:`serve_app.deployments.ingress.ConsumerStatus` shows it."""
        ends = await asyncio.to_thread(self._ends.of, self._runner.partitions)
        partitions = await asyncio.to_thread(self._ends.count, self._topics)
        return {"replica": self._name, "partitions": partitions, **self._runner.snapshot(ends)}

    async def check_health(self) -> None:
        """Raise when the Kafka loop is dead, was silent for too long, or stopped reading for good."""
        silent_s = time.monotonic() - self._runner.beat
        if not self._thread.is_alive():
            raise RuntimeError("the Kafka loop is dead")
        if silent_s > self._settings.stale_after_s:
            raise RuntimeError(f"the Kafka loop was silent for {silent_s:.0f} s")
        self._heed()
        if self._patience:
            self._patience -= 1
        elif self._runner.broken is not None:
            raise RuntimeError(f"the consumer stopped reading: {self._runner.broken}; {ADVICE}")

    def _heed(self) -> None:
        """Stop where another replica has stopped."""
        if self._runner.broken is None and (reason := self._halt.reason) is not None:
            self._runner.halt(reason)

    async def __del__(self) -> None:
        if not hasattr(self, "_thread"):
            return  # __init__ failed, and has told why
        self._runner.pause_for_good()
        await self._dispatcher.drain(self._settings.drain_timeout_s)
        self._runner.stop()
        await asyncio.to_thread(self._thread.join)
