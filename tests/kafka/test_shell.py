"""``capstream submit`` and ``capstream tail`` on a real broker."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from confluent_kafka import Producer

from consumers.reader import Until, records_of
from consumers.records import (
    InputRecord,
    Names,
    OutputRecord,
    Verdict,
    caption_output,
    caption_record,
    dead_letter,
)
from serve_app.cli import main
from serve_app.errors import Failure, VideoUnreadableError
from serve_app.schema import NumFramesSampling
from serve_app.schema.values import parse
from serve_app.settings import Settings
from tests.brokers import KAFKA_LOG, Kafka
from tests.kafka.members import GIVE_UP_S, settings_for
from tests.unit.consumers.samples import CAPTIONED, MARKS, record


def requests(settings: Settings, count: int, timeout_s: float = GIVE_UP_S) -> list[InputRecord]:
    """The first records of the request topic."""
    until = Until(count, timeout_s)
    return list(records_of(settings, [settings.topics.requests], from_beginning=True, until=until))


def config_of(settings: Settings, folder: Path) -> str:
    """A Serve YAML with the broker and the topics of these settings."""
    args = settings.model_dump(mode="json", include={"broker", "topics", "consumer"})
    path = folder / "serve.yaml"
    application = {"name": "a", "import_path": "serve_app.app:build", "args": args}
    path.write_text(json.dumps({"applications": [application]}))
    return str(path)


def test_submit_sends_arguments_and_standard_input(
    kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files become URLs, lines of standard input go as they are, and one id is printed for each."""
    settings = settings_for(kafka, partitions=1)
    clip = tmp_path / "a clip.mp4"
    clip.touch()
    line = '{"url": "file:///b.mp4",  "metadata": {"n": 1}}'
    monkeypatch.setattr("sys.stdin", io.StringIO(f"file:///a.mp4\n\n  {line}\n"))
    with pytest.raises(SystemExit) as ended:
        main(["--config", config_of(settings, tmp_path), "submit", str(clip), "-", "--key", "k"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines() == [f"{settings.topics.requests}-0-{n}" for n in range(3)]
    records = requests(settings, 3)
    assert [r.value for r in records] == [clip.as_uri().encode(), b"file:///a.mp4", line.encode()]
    assert {r.key for r in records} == {b"k"}


def test_submit_sends_what_the_options_say(
    kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Task, prompt, sampling and range travel with the URL, as a request that parses to just these."""
    settings = settings_for(kafka, partitions=1)
    options = ["--task", "describe", "--prompt", "Why?", "--num-frames", "3", "--start", "1", "--end", "2.5"]
    with pytest.raises(SystemExit):
        main(["--config", config_of(settings, tmp_path), "submit", "file:///a.mp4", *options])
    assert capsys.readouterr().err == ""
    (sent,) = requests(settings, 1)
    request = parse(sent.value)
    assert (request.url, request.task, request.prompt) == ("file:///a.mp4", "describe", "Why?")
    assert (request.start_s, request.end_s) == (1, 2.5)
    assert request.sampling == NumFramesSampling(num_frames=3)


def publish(settings: Settings, *outputs: OutputRecord) -> None:
    """Put records on the result topics."""
    producer = Producer({"bootstrap.servers": settings.broker.bootstrap_servers}, logger=KAFKA_LOG)
    for output in outputs:
        producer.produce(output.topic, output.value, output.key, headers=list(output.headers))
        assert producer.flush(20) == 0


def test_tail_shows_captions_and_dead_letters(
    kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As lines for people or as JSON; a count that is not reached in time is told by the exit code."""
    settings = settings_for(kafka, partitions=1)
    names = Names(settings.topics.captions, settings.topics.dead_letters)
    made = caption_record(record(), parse(record().value), CAPTIONED, 1, MARKS)
    verdict = Verdict(Failure.of(VideoUnreadableError("no video")), 2, "bad", MARKS)
    foreign = OutputRecord(names.captions, None, b"hello")
    publish(
        settings, caption_output(record(), made, names, MARKS), foreign, dead_letter(record(), verdict, names)
    )

    def tail(*options: str) -> tuple[object, list[str], str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", config_of(settings, tmp_path), "tail", "--from-beginning", *options])
        said = capsys.readouterr()
        return ended.value.code, said.out.splitlines(), said.err

    code, lines, _ = tail("--count", "2")
    assert code == 0
    assert lines[0].startswith("video.requests-0-0  caption after ")
    assert lines[0].endswith(" s  A red square moves left.")
    assert lines[1] == f"{names.captions}-0-1  not a record of capstream.caption/v1"
    assert tail("--count", "1", "--json")[1] == [made.model_dump_json(by_alias=True)]
    (letter,) = tail("--count", "1", "--dead-letters")[1]
    assert letter.startswith("bad  dead letter after ")
    assert letter.endswith(" s  VideoUnreadableError: no video")
    (headers,) = tail("--count", "1", "--dead-letters", "--json")[1]
    assert json.loads(headers)["capstream.attempts"] == "2"
    assert tail("--count", "3", "--timeout", "3")[::2] == (1, "capstream: 2 of 3 came within 3 s\n")
