"""The embedded broker as a Serve deployment: it starts with the application and ends after its consumers.

A broker process that dies is started again in place, on the same data. When the application stops, Serve
stops all deployments at once; the broker therefore waits until the consumer group is empty, so that the
consumers can publish and commit what they finished.
"""

from __future__ import annotations

import asyncio
import logging
import operator

from ray import serve
from tenacity import (
    AsyncRetrying,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_fixed,
)

from consumers.aot import ensure_runtime
from consumers.broker import BrokerProcess
from consumers.broker_node import embedded_node
from consumers.clients import HEADROOM_BYTES, MIB, client_config
from consumers.group import is_empty
from consumers.jars import default_cache_dir
from consumers.runtime import find_runtime
from serve_app.settings import EmbeddedBroker, Settings

log = logging.getLogger("ray.serve")

RESTARTS = 5
ASK_AGAIN_S = 0.2
PREPARE_AFTER_S = 60.0


@serve.deployment(name="Broker")
class Broker:
    """Owns the one node of the embedded broker."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Serve awaits it
        if not isinstance(settings.broker, EmbeddedBroker):
            raise TypeError(f"broker.kind is {settings.broker.kind}: nothing to embed")
        self._settings = settings
        self._broker = await asyncio.to_thread(_process, settings, settings.broker)
        await asyncio.to_thread(self._broker.start)
        self._watch = asyncio.create_task(self._supervise())
        self._preparing = asyncio.create_task(_prepare_later())

    async def ready(self) -> str:
        """The bootstrap servers; Serve answers calls only once the broker serves."""
        return self._broker.bootstrap_servers

    async def check_health(self) -> None:
        """Raise when the broker could not be started again."""
        if self._watch.done():
            raise RuntimeError("the embedded broker ended and did not start again")

    async def _supervise(self) -> None:
        while True:
            code = await self._broker.wait()
            log.error("the embedded broker ended with code %s; it is started again", code)
            again = AsyncRetrying(
                stop=stop_after_attempt(RESTARTS), wait=wait_exponential(multiplier=0.5, max=10), reraise=True
            )
            await again(asyncio.to_thread, self._broker.start)

    async def __del__(self) -> None:
        if not hasattr(self, "_preparing"):
            return  # __init__ failed, and has told why
        self._watch.cancel()
        self._preparing.cancel()
        await self._linger()
        await asyncio.to_thread(self._broker.stop)

    async def _linger(self) -> None:
        """Wait for the group's members to leave, as long as they may take to drain."""
        own = self._settings.consumer
        config = client_config(self._settings.broker)
        until_empty = AsyncRetrying(
            retry=retry_if_result(operator.not_),
            wait=wait_fixed(ASK_AGAIN_S),
            stop=stop_after_delay(own.drain_timeout_s + own.settle_timeout_s),
            retry_error_callback=lambda _: False,
        )
        if not await until_empty(asyncio.to_thread, is_empty, config, own.group_id):
            log.warning("the embedded broker stops although consumers are still connected")


def _process(settings: Settings, own: EmbeddedBroker) -> BrokerProcess:
    size = settings.topics.max_message_mib * MIB + HEADROOM_BYTES
    return BrokerProcess(embedded_node(own, max_message_bytes=size), find_runtime(default_cache_dir()))


async def _prepare_later() -> None:
    # Preparing takes longer than it saves at this start, so it waits until the application has settled.
    await asyncio.sleep(PREPARE_AFTER_S)
    await asyncio.to_thread(ensure_runtime)
