"""kill -9 of whole consumer processes: under read_committed nothing is lost and nothing is doubled."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from consumers.reader import Until, records_of
from consumers.records import InputRecord
from consumers.report import Ending, ending_of
from serve_app.settings import Settings
from tests.brokers import Kafka
from tests.kafka.members import send, settings_for

ROOT = Path(__file__).parents[2]
GIVE_UP_S = 120.0
STOP_S = 30.0
PARTITIONS = 4


class Workers:
    """Consumer processes, each replaced when it died."""

    def __init__(self, settings: Settings, count: int, folder: Path) -> None:
        self._command = [sys.executable, "-m", "tests.kafka.worker", settings.model_dump_json()]
        self._log = (folder / "workers.log").open("ab")
        self.deaths = 0
        self.running = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, cwd=ROOT, stderr=self._log)

    def replace_dead(self) -> None:
        """Start one for each that died."""
        dead = [index for index, one in enumerate(self.running) if one.poll() is not None]
        self.deaths += len(dead)
        for index in dead:
            self.running[index] = self._start()

    def kill_one(self, noise: random.Random) -> None:
        """SIGKILL."""
        psutil.Process(noise.choice(self.running).pid).kill()

    def stop(self) -> None:
        """SIGTERM, and wait; one that overstays says on which line (the worker's faulthandler)."""
        with self._log:
            for one in self.running:
                one.terminate()
            overstayed = [one for one in self.running if not has_ended(one)]
            for one in overstayed:
                one.send_signal(signal.SIGABRT)
                one.wait(10)
        assert not overstayed, Path(self._log.name).read_text(encoding="utf-8")[-20_000:]


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def workers(settings: Settings, count: int, folder: Path) -> Iterator[Workers]:
    running = Workers(settings, count, folder)
    try:
        yield running
    finally:
        running.stop()


def results(settings: Settings) -> Iterator[InputRecord | None]:
    """Committed captions and dead letters as they come; ``None`` where none came for a moment."""
    topics = [settings.topics.captions, settings.topics.dead_letters]
    deadline = time.monotonic() + GIVE_UP_S
    seen: set[str] = set()
    while time.monotonic() < deadline:
        for record in records_of(settings, topics, from_beginning=True, until=Until(None, 0.7)):
            if record.id not in seen:
                seen.add(record.id)
                yield record
        yield None


def requests(count: int, **urls: str) -> list[bytes]:
    """Requests by id; ``urls`` names those that are not harmless."""
    plain = {f"r{n}": f"file:///{n}.mp4" for n in range(count)}
    return [json.dumps({"id": id_, "url": url}).encode() for id_, url in (plain | urls).items()]


def spread(settings: Settings, values: list[bytes]) -> None:
    for partition in range(PARTITIONS):
        send(settings, *values[partition::PARTITIONS], partition=partition)


def extra(settings: Settings) -> list[InputRecord]:
    """Everything that is committed once all is quiet."""
    topics = [settings.topics.captions, settings.topics.dead_letters]
    return list(records_of(settings, topics, from_beginning=True, until=Until(None, 2)))


@pytest.mark.parametrize(
    ("protocol", "static", "kills"), [("classic", False, 8), ("classic", True, 6), ("consumer", False, 4)]
)
def test_killed_processes_lose_and_double_nothing(
    kafka: Kafka,
    tmp_path: Path,
    protocol: str,
    static: bool,  # noqa: FBT001  a parameter
    kills: int,
) -> None:
    """Two processes, kills all the time, some records that are retried: each ends as one caption."""
    settings = settings_for(
        kafka,
        partitions=PARTITIONS,
        group_protocol=protocol,
        static_membership=static,
        session_timeout_s=2,
        max_in_flight=16,
        settle_interval_ms=50,
        retry_delays_s=(0.3,),
        max_attempts=20,
        max_attempts_by_class={"ProcessKilledError": 50},
    )
    values = requests(400, **{f"f{n}": f"file:///fail{n}.mp4" for n in range(20)})
    spread(settings, values)
    noise = random.Random(3)
    endings: Counter[str] = Counter()
    with workers(settings, 2, tmp_path) as running:
        for record in results(settings):
            if record is not None:
                endings[ending_of(record).id] += 1
                continue
            if len(endings) == len(values) and kills <= 0:
                break
            if endings and kills > 0:
                running.kill_one(noise)
                kills -= 1
                if len(endings) == len(values):
                    more = requests(0, **{f"m{kills}-{n}": f"file:///{kills}-{n}.mp4" for n in range(40)})
                    values += more
                    spread(settings, more)
            running.replace_dead()
    final = [ending_of(record) for record in extra(settings)]
    assert all(ending.captioned for ending in final)
    counted = Counter(ending.id for ending in final)
    assert len(counted) == len(values)
    assert set(counted.values()) == {1}


def test_a_record_that_kills_its_process_ends_as_a_dead_letter(kafka: Kafka, tmp_path: Path) -> None:
    """No process ever sees it fail; after the limit it is not worked on, and its neighbours are captioned."""
    settings = settings_for(
        kafka, partitions=PARTITIONS, session_timeout_s=2, static_membership=True, max_in_flight=16
    )
    values = requests(40, poison="file:///kill.mp4")
    spread(settings, values)
    endings: dict[str, Ending] = {}
    with workers(settings, 1, tmp_path) as running:
        for record in results(settings):
            running.replace_dead()
            if record is not None:
                ending = ending_of(record)
                assert ending.id not in endings
                endings[ending.id] = ending
            elif len(endings) == len(values):
                break
    # Nobody reads the value of such a record, so it is named by its place.
    poison = f"{settings.topics.requests}-0-10"
    assert {id_ for id_, ending in endings.items() if not ending.captioned} == {poison}
    assert "ProcessKilledError" in endings[poison].text
    # The first death may come before it was committed which records had begun.
    assert running.deaths in (3, 4)
