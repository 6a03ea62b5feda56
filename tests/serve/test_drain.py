"""An application that is deleted in the middle of its work, and deployed again.

Serve takes the tiers out of each other's reach at once, so what has not got as far as the captioner by then
is not finished but done again by the next deployment.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from ray import serve

from consumers.progress import decode
from serve_app.config import settings_from
from serve_app.schema import CaptionRecord
from tests.brokers import KAFKA_LOG, Kafka
from tests.clips import write_clip
from tests.serve.applications import Application, config_for, deploy

COUNT = 60
IN_FLIGHT = 8


@contextmanager
def running(document: dict[str, Any]) -> Iterator[None]:
    """Deploy, and delete in good order at the end."""
    deploy(document)
    try:
        yield
    finally:
        serve.delete(document["applications"][0]["name"])


def captioned(application: Application, kafka: Kafka) -> list[str]:
    """The ids of all captions that are on the topic now."""
    mark = os.urandom(8)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers}, logger=KAFKA_LOG)
    # With the key of the captions, so behind them in their partition.
    producer.produce(application.settings.topics.captions, mark, b"key", partition=partition_of(application))
    assert producer.flush(30) == 0
    ids = []
    for record in application.results(10 * COUNT):
        if record.value == mark:
            break
        if len(record.value or b"") > len(mark):
            ids.append(CaptionRecord.model_validate_json(record.value or b"").id)
    return ids


def partition_of(application: Application) -> int:
    """The partition of the captions: all requests have the same key."""
    return next(application.results(1)).partition


def committed(application: Application, kafka: Kafka) -> int:
    """How many requests are done for good: below the group's offsets, or finished out of order above them."""
    group = application.settings.consumer.group_id
    admin = kafka.admin()
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    places = [
        place for place in asked[group].result(20).topic_partitions if place.offset > 0 or place.metadata
    ]
    return sum(place.offset + decode(place.offset, place.metadata).finished.count(1) for place in places)


def test_a_delete_under_load_loses_nothing_and_repeats_nothing(
    http_url: str, kafka: Kafka, tmp_path: Path
) -> None:
    """Each caption that was published is committed, and the next deployment does the rest, each once."""
    document = config_for(kafka, tmp_path, consumer={"max_in_flight": IN_FLIGHT})
    (own,) = document["applications"]
    settings = settings_from(own["args"], os.environ)
    application = Application(own["name"], f"{http_url}/{own['name']}", settings, tmp_path)
    clip = write_clip(tmp_path / "clip.mp4", seconds=6, fps=25, width=640, height=480)
    with running(document):
        application.submit(*[{"id": f"r{n}", "url": clip.as_uri()} for n in range(COUNT)])
        next(application.results(1))
    first = captioned(application, kafka)
    assert 0 < len(first) < COUNT
    assert committed(application, kafka) == len(first)
    with running(document):
        application.submit({"id": "last", "url": clip.as_uri()})
        for record in application.results(10 * COUNT):
            if b'"last"' in (record.value or b""):
                break
    counts = Counter(captioned(application, kafka))
    assert counts == Counter([f"r{n}" for n in range(COUNT)] + ["last"])
    assert committed(application, kafka) == COUNT + 1
