"""``capstream dlq``, ``audit`` and ``topics`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # public names
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from consumers.records import InputRecord
from serve_app.errors import DecoderDiedError, SourceNotFoundError
from tests.brokers import Kafka, unique
from tests.kafka.members import settings_for
from tests.kafka.results import capstream, fail, letter_for, letters, produce, read


def test_dead_letters_are_listed_with_what_was_replayed(kafka: Kafka, tmp_path: Path) -> None:
    """One line each, the newest last; options choose, and a star marks those sent again."""
    settings = settings_for(kafka, partitions=1)
    first, second = fail(settings, 2, DecoderDiedError("gone"))
    (third,) = fail(settings, 1, SourceNotFoundError("no such\nfile"))
    listed = capstream(settings, tmp_path, "dlq", "list").stdout.splitlines()
    assert [first.id in listed[0], second.id in listed[1], third.id in listed[2]] == [True] * 3
    assert "decode   DecoderDiedError  1x" in listed[0]
    assert listed[2].endswith("no such file")
    assert "*" not in "".join(listed)
    chosen = capstream(
        settings, tmp_path, "dlq", "list", "--class", "DecoderDiedError", "--json", "--limit", "1"
    )
    assert json.loads(chosen.stdout)["id"] == second.id
    assert "1 older ones are not shown" in capstream(settings, tmp_path, "dlq", "list", "--limit", "2").stderr
    assert capstream(settings, tmp_path, "dlq", "list", "--stage", "parse").stdout == ""
    assert len(capstream(settings, tmp_path, "dlq", "list", "--since", "1h").stdout.splitlines()) == 3
    assert capstream(settings, tmp_path, "dlq", "replay", "--id", first.id).stdout == "1 sent\n"
    listed = capstream(settings, tmp_path, "dlq", "list").stdout.splitlines()
    assert ["*" in line for line in listed] == [True, False, False]


def test_a_dead_letter_is_shown_by_id_or_place(kafka: Kafka, tmp_path: Path) -> None:
    """Why, headers, key and value; an id that nothing has is exit code 1."""
    settings = settings_for(kafka, partitions=1)
    (made,) = fail(settings, 1)
    (letter,) = letters(settings)
    for wanted in (made.id, str(letter.place)):
        shown = capstream(settings, tmp_path, "dlq", "show", wanted)
        for part in ("SourceNotFoundError", "no such file", "mine", "file:///clip.mp4?0", made.place):
            assert part in shown.stdout
        assert shown.exit_code == 0
    whole = json.loads(capstream(settings, tmp_path, "dlq", "show", made.id, "--json").stdout)
    assert (whole["value"], whole["headers"][0]) == ("file:///clip.mp4?0", ["mine", "1"])
    nothing = capstream(settings, tmp_path, "dlq", "show", "no-such-id")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "no dead letter has the id or place 'no-such-id'" in nothing.stderr


def test_replay_tells_what_it_does(kafka: Kafka, tmp_path: Path) -> None:
    """A dry run lists and sends nothing; a replay counts; a second one finds all sent."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 3)
    dry = capstream(settings, tmp_path, "dlq", "replay", "--dry-run")
    assert dry.stdout.splitlines()[-1] == "3 would be sent"
    assert len(dry.stdout.splitlines()) == 4
    assert len(read(settings, settings.topics.requests)) == 3
    sent = capstream(settings, tmp_path, "dlq", "replay", "--class", "SourceNotFoundError", "--since", "1h")
    assert (sent.stdout, sent.exit_code) == ("3 sent\n", 0)
    assert "3/3" in sent.stderr
    assert "sent 3" in sent.stderr
    assert capstream(settings, tmp_path, "dlq", "replay").stdout == "0 sent\n3 sent before\n"
    assert len(read(settings, settings.topics.requests)) == 6


def test_replay_fails_where_a_letter_cannot_be_sent(kafka: Kafka, tmp_path: Path) -> None:
    """A value that was omitted and is gone is told by its letter, with exit code 1."""
    settings = settings_for(kafka, partitions=1)
    bare = letter_for(settings, InputRecord(settings.topics.requests, 0, 7, b"key", b"gone")).if_too_large
    assert bare is not None
    produce(settings, bare())
    found = capstream(settings, tmp_path, "dlq", "replay")
    assert found.exit_code == 1
    why = "not sent: its value was omitted, and the original is gone from its topic"
    letter = f"{settings.topics.dead_letters}-0-0  {settings.topics.requests}-0-7"
    assert found.stdout.splitlines() == [f"{letter}  {why}", "0 sent", f"1 {why}"]


def test_topics_are_created_and_checked(kafka: Kafka, tmp_path: Path) -> None:
    """Create makes what is missing; check fails until all are there that the first replay does not make."""
    there = settings_for(kafka, partitions=1)
    names = there.topics.model_copy(update={"captions": unique("missing")})
    settings = there.model_copy(update={"topics": names})
    before = capstream(settings, tmp_path, "topics", "check")
    assert before.exit_code == 1
    assert before.stdout == f"topic {names.captions} does not exist: `capstream topics create` makes it\n"
    made = capstream(settings, tmp_path, "topics", "create")
    assert made.stdout.splitlines() == [
        f"{names.requests}: exists",
        f"{names.captions}: created",
        f"{names.dead_letters}: exists",
        f"{names.dead_letters}.replayed: created",
    ]
    after = capstream(settings, tmp_path, "topics", "check")
    assert (after.exit_code, after.stdout) == (0, "all topics are as the settings ask\n")


@retry(retry=retry_if_result(lambda known: not known), stop=stop_after_delay(30), wait=wait_fixed(0.05))
def wait_until_known(admin: AdminClient, names: set[str]) -> bool:
    """Creating a topic ends before the broker tells of it."""
    return names <= set(admin.list_topics(timeout=20).topics)


def test_planted_differences_of_topics_are_found(kafka: Kafka, tmp_path: Path) -> None:
    """Retention, record size, partitions, compaction and its absence: one sentence each."""
    settings = settings_for(kafka, partitions=1)
    names, admin = settings.topics, kafka.admin()
    wrong = {
        f"{names.requests}.b": {"retention.ms": "3600000", "max.message.bytes": "1000"},
        f"{names.captions}.b": {"cleanup.policy": "compact", "min.insync.replicas": "1"},
        f"{names.dead_letters}.b": {"retention.ms": "-1"},
        f"{names.dead_letters}.b.replayed": {"cleanup.policy": "delete"},
    }
    topics = [NewTopic(name, 1, kafka.replicas, config=config) for name, config in wrong.items()]
    for future in admin.create_topics(topics, operation_timeout=20).values():
        future.result()
    wait_until_known(admin, set(wrong))
    renamed = {name: f"{getattr(names, name)}.b" for name in ("requests", "captions", "dead_letters")}
    other = settings.model_copy(update={"topics": names.model_copy(update={**renamed, "partitions": 2})})
    found = capstream(other, tmp_path, "topics", "check")
    assert found.exit_code == 1
    forgets = "has cleanup.policy delete, compact is needed: a replay that it forgets is sent again"
    few = "has 1 partitions, topics.partitions asks for 2"
    assert found.stdout.splitlines() == [
        f"topic {names.requests}.b {few}",
        f"topic {names.requests}.b takes records up to 1000 bytes, topics.max_message_mib asks for 1",
        f"topic {names.requests}.b keeps records for 1 hours, topics.retention_hours asks for 168",
        f"topic {names.captions}.b {few}",
        f"topic {names.captions}.b is compacted: records with equal keys will vanish",
        f"topic {names.dead_letters}.b {few}",
        f"topic {names.dead_letters}.b.replayed {forgets}",
    ]
    assert capstream(other, tmp_path, "topics", "create").exit_code == 0
