"""Dead letters go back to the input topic once, whatever happens to the replay."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # public names
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from consumers.clients import client_config
from consumers.letters import Selection
from consumers.receipts import receipts
from consumers.records import InputRecord, OutputRecord
from consumers.replay import CHUNK, Ended, Fate, Replay
from consumers.snapshot import Topics
from consumers.topics import ensure_topics
from serve_app.errors import BrokerError, DecoderDiedError, RequestInvalidError, SettingsError
from serve_app.settings import Settings
from tests.brokers import Kafka
from tests.kafka.members import settings_for
from tests.kafka.results import (
    fail,
    letter_for,
    letters,
    produce,
    read,
    request,
)

ROOT = Path(__file__).parents[2]


def run(settings: Settings, selection: Selection | None = None) -> Counter[Fate]:
    """Replay, and count the fates."""
    steps = Replay(settings, selection or Selection(), lambda: 1).steps()
    return Counter(step.fate for step in steps if isinstance(step, Ended))


def replayed(settings: Settings) -> list[InputRecord]:
    """The requests that a replay has sent."""
    found = read(settings, settings.topics.requests)
    return [record for record in found if "capstream.replayed_from" in dict(record.headers)]


def sources(settings: Settings) -> Counter[str]:
    """How often each letter was sent."""
    return Counter((dict(r.headers)["capstream.replayed_from"] or b"").decode() for r in replayed(settings))


def test_a_replayed_request_is_the_original_with_its_name(kafka: Kafka) -> None:
    """Key, value and foreign headers are the original's; of ours, only name and first time stay."""
    settings = settings_for(kafka, partitions=1)
    (original,) = fail(settings, 1)
    assert run(settings) == {Fate.SENT: 1}
    (again,) = replayed(settings)
    assert (again.key, again.value) == (original.key, original.value)
    assert dict(again.headers) == {
        "mine": b"1",
        "capstream.id": original.id.encode(),
        "capstream.first_seen_ms": str(original.timestamp_ms).encode(),
        "capstream.replayed_from": f"{settings.topics.dead_letters}-0-0".encode(),
        "capstream.replays": b"1",
    }
    assert again.id == original.id != again.place
    assert again.first_seen_ms == original.timestamp_ms


def test_a_second_replay_sends_nothing(kafka: Kafka) -> None:
    """The same selection again finds receipts; a letter that came since is sent."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 3)
    assert run(settings) == {Fate.SENT: 3}
    assert run(settings) == {Fate.SENT_BEFORE: 3}
    fail(settings, 1)
    assert run(settings) == {Fate.SENT_BEFORE: 3, Fate.SENT: 1}
    assert set(sources(settings).values()) == {1}


def test_a_request_that_fails_again_may_be_replayed_again(kafka: Kafka) -> None:
    """Its new letter is another one; name and first time stay, and the replays are counted."""
    settings = settings_for(kafka, partitions=1)
    (original,) = fail(settings, 1)
    run(settings)
    (again,) = replayed(settings)
    produce(settings, letter_for(settings, again))
    assert run(settings) == {Fate.SENT_BEFORE: 1, Fate.SENT: 1}
    third = replayed(settings)[-1]
    assert dict(third.headers)["capstream.replays"] == b"2"
    assert (third.id, third.first_seen_ms) == (original.id, original.timestamp_ms)
    assert letters(settings)[1].replays == 1


def test_only_chosen_letters_are_sent(kafka: Kafka) -> None:
    """Class, stage, time and id each choose, and together all must hold."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 2, DecoderDiedError("gone"))
    fail(settings, 2, RequestInvalidError("no"))
    found = letters(settings)
    assert run(settings, Selection(error_class="DecoderDiedError", stage="parse")) == {}
    assert run(settings, Selection(since_ms=found[-1].timestamp_ms + 1)) == {}
    assert run(settings, Selection(ids=frozenset({found[0].id}))) == {Fate.SENT: 1}
    assert run(settings, Selection(ids=frozenset({str(found[3].place)}))) == {Fate.SENT: 1}
    assert run(settings, Selection(error_class="DecoderDiedError")) == {Fate.SENT_BEFORE: 1, Fate.SENT: 1}
    assert run(settings, Selection(stage="parse", since_ms=found[2].timestamp_ms)) == {
        Fate.SENT: 1,
        Fate.SENT_BEFORE: 1,
    }


def test_dry_run_writes_nothing_and_ends_no_replay(kafka: Kafka) -> None:
    """It tells what would be sent, creates no topic, and a replay that has begun goes on."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 2 * CHUNK)
    dry = Replay(settings, Selection(), lambda: 1)
    assert Counter(s.fate for s in dry.dry() if isinstance(s, Ended)) == {Fate.WOULD_BE_SENT: 2 * CHUNK}
    assert replayed(settings) == []
    assert f"{settings.topics.dead_letters}.replayed" not in Topics(settings).names()
    steps = Replay(settings, Selection(), lambda: 1).steps()
    next(steps)
    list(Replay(settings, Selection(), lambda: 1).dry())
    list(steps)
    assert len(replayed(settings)) == 2 * CHUNK


def test_of_two_replays_the_later_one_wins(kafka: Kafka) -> None:
    """The former ends with a sentence, and together they send each letter once."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 3 * CHUNK)
    first = Replay(settings, Selection(), lambda: 1).steps()
    next(first)
    second = Replay(settings, Selection(), lambda: 1).steps()
    next(second)
    with pytest.raises(
        BrokerError, match=r"another replay of .* began and ended this one: run the same replay"
    ):
        list(first)
    list(second)
    assert len(sources(settings)) == 3 * CHUNK
    assert set(sources(settings).values()) == {1}


def test_an_omitted_value_is_fetched_from_where_it_stands(kafka: Kafka) -> None:
    """The original's value and headers are sent, with the letter's name; a letter without one is told."""
    settings = settings_for(kafka, partitions=1)
    produce(
        settings, request(settings, b"big", (("mine", b"1"),)), request(settings, b"gone"), request(settings)
    )
    big, gone, _ = read(settings, settings.topics.requests)
    produce(settings, *(bare(settings, record) for record in (big, gone)))
    place = TopicPartition(settings.topics.requests, 0, 1)
    assert run(settings, Selection(ids=frozenset({big.id}))) == {Fate.SENT: 1}
    (again,) = replayed(settings)
    assert (again.key, again.value, again.id) == (b"key", b"big", big.id)
    assert dict(again.headers)["mine"] == b"1"
    place.offset = 2
    admin = kafka.admin()  # held: what it is doing ends with it
    admin.delete_records([place])[place].result(30)
    assert run(settings) == {Fate.SENT_BEFORE: 1, Fate.VALUE_GONE: 1}


def bare(settings: Settings, record: InputRecord) -> OutputRecord:
    letter = letter_for(settings, record)
    assert letter.if_too_large is not None
    return letter.if_too_large()


def test_another_record_at_the_origin_is_not_sent(kafka: Kafka) -> None:
    """Where the input topic began anew, what stands at the letter's origin is not its request."""
    settings = settings_for(kafka, partitions=1)
    produce(settings, request(settings, b"another"))
    stranger = InputRecord(settings.topics.requests, 0, 0, b"key", b"the original")
    produce(settings, bare(settings, stranger))
    assert run(settings) == {Fate.VALUE_GONE: 1}


def test_a_letter_too_large_for_the_input_topic_holds_up_no_other(kafka: Kafka) -> None:
    """It is told, and has no receipt; the letters around it are sent."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 2)
    record = InputRecord(settings.topics.requests, 0, 0, b"key", bytes(2**20))
    allow(kafka, settings.topics.dead_letters, 2**22)
    produce(settings, letter_for(settings, record))
    fail(settings, 2)
    assert run(settings) == {Fate.SENT: 4, Fate.TOO_LARGE: 1}
    assert run(settings) == {Fate.SENT_BEFORE: 4, Fate.TOO_LARGE: 1}
    assert len(receipts(settings, Topics(settings))) == 4


def allow(kafka: Kafka, topic: str, size: int) -> None:
    """Let a topic take records of so many bytes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = kafka.admin()  # held: what it is doing ends with it
    admin.incremental_alter_configs([resource])[resource].result(30)


def test_receipts_need_their_topic(kafka: Kafka) -> None:
    """With ``create`` off a missing topic of receipts is refused, and nothing is sent."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 1)
    strict = settings.model_copy(update={"topics": settings.topics.model_copy(update={"create": False})})
    with pytest.raises(SettingsError, match=r"dlq\.replayed, where replay keeps its receipts"):
        run(strict)
    assert replayed(settings) == []


def test_old_receipts_do_not_hold_back_a_new_topic(kafka: Kafka) -> None:
    """Letters of a topic that was deleted and created anew are not taken for those replayed before."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 1)
    run(settings)
    admin, name = kafka.admin(), settings.topics.dead_letters
    admin.delete_topics([name], operation_timeout=20)[name].result()
    recreate(settings)
    fail(settings, 1)
    assert run(settings) == {Fate.SENT: 1}


@retry(retry=retry_if_result(lambda there: not there), stop=stop_after_delay(30), wait=wait_fixed(0.1))
def recreate(settings: Settings) -> bool:
    """Create what is missing; a topic that is still being deleted counts as existing for a moment."""
    ensure_topics(client_config(settings.broker), settings.topics)
    return settings.topics.dead_letters in Topics(settings).names()


KILLED_SENDER = """
import sys
from consumers.dead_letters import DeadLetters
from consumers.letters import Selection
from consumers.receipts import ensure_receipts
from consumers.replay import Replay
from consumers.sender import Sender
from serve_app.settings import Settings
settings = Settings.model_validate_json(sys.argv[1])
ensure_receipts(settings)
replay = Replay(settings, Selection(), lambda: 1)
chosen = list(DeadLetters(settings).chosen(Selection()))
assert Sender(settings).produce([replay._outputs(one, one.record) for one in chosen]) == []
print("open", flush=True)
sys.stdin.read()
"""


def test_killed_inside_a_transaction(kafka: Kafka) -> None:
    """What was brought to the broker and not committed is sent once, by the next replay, at once."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 5)
    child = start(settings, KILLED_SENDER)
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    kill(child)
    assert run(settings) == {Fate.SENT: 5}
    assert set(sources(settings).values()) == {1}
    assert len(sources(settings)) == 5


REPLAY = """
import sys
import consumers.replay
from consumers.letters import Selection
from serve_app.settings import Settings
consumers.replay.CHUNK = 10
settings = Settings.model_validate_json(sys.argv[1])
for step in consumers.replay.Replay(settings, Selection(), lambda: 1).steps():
    print(step, flush=True)
"""


@pytest.mark.parametrize("after", [1, 37, 250])
def test_killed_in_the_middle_of_a_replay(kafka: Kafka, after: int) -> None:
    """Killed after any number of letters and run again, each letter is sent exactly once."""
    settings = settings_for(kafka, partitions=1)
    fail(settings, 600)
    child = start(settings, REPLAY)
    assert child.stdout is not None
    for _ in range(after):
        assert child.stdout.readline()
    kill(child)
    fates = run(settings)
    assert fates[Fate.SENT_BEFORE] >= after
    assert fates[Fate.SENT] > 0
    assert len(sources(settings)) == 600
    assert set(sources(settings).values()) == {1}


def start(settings: Settings, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, settings.model_dump_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()
