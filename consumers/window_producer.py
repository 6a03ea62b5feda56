"""Publishes windows beside the transactions: a producer of its own, since readers must not wait for those."""

from __future__ import annotations

import logging
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumers.clients import producer_config
from consumers.records import OutputRecord
from serve_app.settings import Settings

log = logging.getLogger(__name__)


class WindowProducer:
    """A :class:`consumers.windows.Publish`. What fails is logged: it goes with the caption."""

    def __init__(self, settings: Settings) -> None:
        self._producer = Producer(producer_config(settings), logger=log)

    def __call__(self, output: OutputRecord, acknowledged: Callable[[], None]) -> None:
        """Send it, and hear what became of those before."""

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                acknowledged()
            else:
                log.warning("a window is not published yet: %s", error.str())

        try:
            self._producer.produce(
                output.topic, output.value, output.key, headers=list(output.headers), on_delivery=delivered
            )
        except (BufferError, KafkaException) as error:
            log.warning("a window is not published yet: %s", error)
        self._producer.poll(0)

    def flush(self, timeout_s: float) -> None:
        """Wait so long for what is on its way; any thread may do so."""
        self._producer.flush(timeout_s)
