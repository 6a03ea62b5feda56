"""Reads committed results as they come and notes when, as a downstream consumer would see them."""

from __future__ import annotations

import logging
import threading
import time
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from consumers.messages import read
from consumers.records import InputRecord
from consumers.report import ending_of
from consumers.snapshot import Topics, reader_config
from serve_app.settings import Settings
from tests.chaos.verdict import End

log = logging.getLogger("tests.chaos.tail")
POLL_S = 0.1


class Tail:
    """A thread that reads; ``captions`` are times of arrival, ``ended`` the ids seen so far."""

    def __init__(self, settings: Settings) -> None:
        names = [settings.topics.captions, settings.topics.dead_letters]
        places = Topics(settings).partitions(names)
        config = {**reader_config(settings), "fetch.wait.max.ms": 100, "log_level": 0}
        self._consumer = Consumer(config, logger=log)
        self._consumer.assign([TopicPartition(p.topic, p.number, OFFSET_BEGINNING) for p in places])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = threading.Event()
        self.captions: list[float] = []
        self.ended: set[str] = set()
        self.last_s = time.monotonic()

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(POLL_S)
            event = read(message) if message is not None else None
            if isinstance(event, InputRecord):
                self._note(event)
        self._consumer.close()

    def _note(self, record: InputRecord) -> None:
        ending = ending_of(record)
        self.last_s = time.monotonic()
        if ending.captioned:
            self.captions.append(self.last_s)
        self.ended.add(ending.id)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def all_ends(settings: Settings) -> list[End]:
    """Every committed result as the topics hold it, read anew from the beginning."""
    topics = Topics(settings)
    names = [settings.topics.captions, settings.topics.dead_letters]
    endings = [ending_of(record) for record in topics.records(topics.decided(topics.partitions(names)))]
    return [
        End(one.id, one.captioned, "" if one.captioned else one.text.partition(":")[0]) for one in endings
    ]
