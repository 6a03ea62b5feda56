"""Submits the requests at a steady pace, whatever the brokers do, and knows which were taken.

It goes no further than it is allowed to, so that there is still work when the next fault comes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Self

from confluent_kafka import KafkaError, Message, Producer

from consumers.clients import producer_config
from serve_app.settings import Settings
from tests.chaos.load import Ask, Way

log = logging.getLogger("tests.chaos.feeder")
PATIENCE_S = 600
POLL_S = 0.05


class Feeder:
    """A thread that submits; ``expected`` maps the id of each request that the brokers took to its way."""

    def __init__(self, settings: Settings, asks: Sequence[Ask], base_url: str, per_second: float) -> None:
        config = {**producer_config(settings), "delivery.timeout.ms": PATIENCE_S * 1000, "log_level": 0}
        self._producer = Producer(config, logger=log)
        self._topic = settings.topics.requests
        self._asks = asks
        self._base_url = base_url
        self._per_second = per_second
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = threading.Event()
        self.expected: dict[str, Way] = {}
        self.refused: list[str] = []
        self.sent = 0
        self._allowed = 0.0

    def allow(self, count: float) -> None:
        """Go on until so many requests were submitted in all."""
        self._allowed = count

    @property
    def done(self) -> bool:
        """Whether every request was taken or refused."""
        return len(self.expected) + len(self.refused) == len(self._asks)

    def _run(self) -> None:
        due_s = time.monotonic()
        for ask in self._asks:
            while self.sent >= self._allowed or time.monotonic() < due_s:
                if self._stop.is_set():
                    return
                self._producer.poll(POLL_S)
            # What was held back is not made up for: the pace stays the same.
            due_s = max(due_s + 1 / self._per_second, time.monotonic() - POLL_S)
            self._submit(ask)
            self.sent += 1
        while not self.done and not self._stop.is_set():
            self._producer.poll(POLL_S)

    def _submit(self, ask: Ask) -> None:
        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.refused.append(f"{ask.name}: {error.str()}")
                return
            place = f"{message.topic()}-{message.partition()}-{message.offset()}"
            # What cannot be read is named by its place.
            self.expected[place if ask.way is Way.MALFORMED else ask.name] = ask.way

        value = ask.value(self._base_url)
        self._producer.produce(self._topic, value, ask.name.encode(), on_delivery=on_delivery)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.purge()
