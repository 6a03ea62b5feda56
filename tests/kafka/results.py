"""Topics as a consumer leaves them, written by the test itself, and the command line over them."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from confluent_kafka import Consumer, Producer, TopicPartition

from consumers.dead_letters import DeadLetters
from consumers.letters import Letter, Selection
from consumers.records import (
    Headers,
    InputRecord,
    Marks,
    Names,
    OutputRecord,
    Verdict,
    caption_output,
    caption_record,
    dead_letter,
)
from consumers.snapshot import Topics
from serve_app.cli import cli
from serve_app.errors import Failure, RecordError, SourceNotFoundError
from serve_app.schema.values import parse
from serve_app.settings import Settings
from tests.brokers import KAFKA_LOG
from tests.unit.consumers.samples import CAPTIONED

MARKS = Marks("hash", "replica")
URL = b"file:///clip.mp4"


def names_of(settings: Settings) -> Names:
    return Names(settings.topics.captions, settings.topics.dead_letters)


def produce(settings: Settings, *outputs: OutputRecord, partition: int = 0) -> None:
    """Write records to one partition, in order."""
    producer = Producer(
        {"bootstrap.servers": settings.broker.bootstrap_servers, "message.max.bytes": 2**24}, logger=KAFKA_LOG
    )
    for output in outputs:
        producer.produce(
            output.topic, output.value, output.key, headers=list(output.headers), partition=partition
        )
    assert producer.flush(60) == 0


def request(settings: Settings, value: bytes | None = URL, headers: Headers = ()) -> OutputRecord:
    return OutputRecord(settings.topics.requests, b"key", value, headers)


def read(settings: Settings, topic: str) -> list[InputRecord]:
    """All committed records of a topic."""
    topics = Topics(settings)
    found = list(topics.records(topics.decided(topics.partitions([topic]))))
    return sorted(found, key=lambda record: (record.partition, record.offset))


def letter_for(settings: Settings, record: InputRecord, error: RecordError | None = None) -> OutputRecord:
    """The dead letter of a request, as the consumer writes it."""
    failure = Failure.of(error or SourceNotFoundError("no such file"))
    return dead_letter(record, Verdict(failure, 1, record.id, MARKS), names_of(settings))


def caption_for(settings: Settings, record: InputRecord) -> OutputRecord:
    """The caption of a request, as the consumer writes it."""
    made = caption_record(record, parse(record.value), CAPTIONED, 1, MARKS)
    return caption_output(record, made, names_of(settings), MARKS)


def commit(settings: Settings, offset: int, topic: str = "", partition: int = 0) -> None:
    """Say that the group has done everything below an offset."""
    consumer = Consumer(
        {"bootstrap.servers": settings.broker.bootstrap_servers, "group.id": settings.consumer.group_id},
        logger=KAFKA_LOG,
    )
    place = TopicPartition(topic or settings.topics.requests, partition, offset)
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()


def fail(settings: Settings, count: int, error: RecordError | None = None) -> list[InputRecord]:
    """Write so many requests with different values, and a dead letter of each; returns the requests."""
    before = len(read(settings, settings.topics.requests))
    produce(
        settings,
        *(request(settings, URL + b"?%d" % n, (("mine", b"1"),)) for n in range(before, before + count)),
    )
    made = read(settings, settings.topics.requests)[before:]
    produce(settings, *(letter_for(settings, record, error) for record in made))
    return made


def letters(settings: Settings) -> list[Letter]:
    """All dead letters, in order."""
    return sorted(DeadLetters(settings).chosen(Selection()), key=lambda letter: letter.place)


def capstream(settings: Settings, tmp_path: Path, *arguments: str) -> Result:
    """Run the command line with these settings; the output holds stdout alone."""
    args = settings.model_dump(mode="json", exclude={"broker"})
    args["broker"] = {"kind": "cluster", "bootstrap_servers": settings.broker.bootstrap_servers}
    document = {"applications": [{"import_path": "serve_app.app:build", "args": args}]}
    path = tmp_path / "serve.yaml"
    path.write_text(json.dumps(document))
    return CliRunner().invoke(cli, ["--config", str(path), *arguments])
