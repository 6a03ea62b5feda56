"""``serve run configs/serve.yaml`` as a newcomer starts it, with Apache Kafka embedded."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.broker import BrokerProcess
from consumers.broker_node import embedded_node
from consumers.reader import Until, records_of
from consumers.runtime import JavaRuntime
from serve_app.schema import CaptionRecord
from tests.clips import write_clip
from tests.serve.serve_runs import ServeRun, await_gone

CLIP = "a clip.mp4"


@pytest.fixture(scope="module")
def place(java_runtime: JavaRuntime) -> Iterator[ServeRun]:
    """A folder to run the application in, with a short name: Ray's sockets lie in it."""
    assert java_runtime.jars
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        run = ServeRun(Path(folder))
        run.write_config({})
        write_clip(run.folder / CLIP, seconds=2, fps=10, width=320, height=240)
        yield run
        if run.running:
            family = run.family()
            run.interrupt()
            await_gone(family)


@pytest.fixture
async def served(place: ServeRun) -> ServeRun:
    """The application, started if it does not run; what tests before this one did is still there."""
    if not place.running:
        place.start()
    await place.await_running()
    return place


def submit(run: ServeRun, *ids: str) -> None:
    """Send requests for the clip, each with its id, as lines of standard input."""
    url = (run.folder / CLIP).as_uri()
    sent = run.capstream("submit", "-", stdin="".join(json.dumps({"id": i, "url": url}) + "\n" for i in ids))
    assert (sent.returncode, sent.stderr) == (0, "")
    assert len(sent.stdout.splitlines()) == len(ids)
    run.sent += ids


def captioned(run: ServeRun) -> list[str]:
    """The ids of as many captions as there should be, from the first on."""
    ran = run.capstream("tail", "--json", "--from-beginning", "--count", len(run.sent), "--timeout", 60)
    assert ran.returncode == 0, ran.stderr
    return sorted(CaptionRecord.model_validate_json(line).id for line in ran.stdout.splitlines())


async def test_a_shell_is_all_that_is_needed(served: ServeRun) -> None:
    """Files and lines go in by ``submit``, captions and dead letters come out by ``tail``."""
    bad = json.dumps({"id": "bad", "url": (served.folder / "none.mp4").as_uri()})
    sent = [served.capstream("submit", CLIP), served.capstream("submit", "-", stdin=f"{bad}\n")]
    assert [(one.returncode, one.stderr) for one in sent] == [(0, ""), (0, "")]
    served.sent.append(sent[0].stdout.strip())
    await served.await_settled()
    assert captioned(served) == sorted(served.sent)
    letters = served.capstream("tail", "--dead-letters", "--from-beginning", "--count", "1")
    assert letters.returncode == 0
    assert letters.stdout.startswith("bad  dead letter after ")
    assert "SourceNotFoundError" in letters.stdout


async def test_the_broker_is_for_this_machine_only(served: ServeRun) -> None:
    """Its ports are open on the loopback address, and on no other one of this machine."""
    sockets = served.java.net_connections("inet")
    listening = {(s.laddr.ip.removeprefix("::ffff:"), s.laddr.port) for s in sockets if s.status == "LISTEN"}
    assert listening == {("127.0.0.1", served.kafka_port), ("127.0.0.1", served.kafka_port + 1)}
    with pytest.raises(OSError, match=r"refused|unreachable|assign"):
        socket.create_connection(("127.0.0.2", served.kafka_port), timeout=5)


async def test_a_killed_broker_is_started_again(served: ServeRun) -> None:
    """After kill -9 of Java alone the broker comes back on its data, and captions go on."""
    former = served.java
    submit(served, "before")
    await served.await_settled()
    former.kill()
    submit(served, "after")
    await served.await_settled()
    assert captioned(served) == sorted(served.sent)
    assert served.java.pid != former.pid


async def test_ctrl_c_ends_everything_and_the_next_start_goes_on(served: ServeRun) -> None:
    """No process is left; on the same folder records and offsets are kept, and nothing is done again."""
    submit(served, "yesterday")
    before = await served.await_settled()
    family = served.family()
    assert served.java in family
    assert served.interrupt() == 0
    await_gone(family)
    served.start()
    await served.await_running()
    after = await served.await_settled()
    assert before is not None
    assert after is not None
    assert after.watermarks == before.watermarks
    submit(served, "today")
    await served.await_settled()
    assert captioned(served) == sorted(served.sent)
    one_more = ["--count", len(served.sent) + 1, "--timeout", 4]
    assert served.capstream("tail", "--from-beginning", *one_more).returncode == 1


async def test_kill_9_leaves_neither_processes_nor_locks(served: ServeRun, java_runtime: JavaRuntime) -> None:
    """After kill -9 of the process and of Ray all else ends by itself, and the data can be used again."""
    submit(served, "last")
    await served.await_settled()
    family = served.family()
    served.kill(*[process for process in family if process.name() == "raylet"])
    await_gone(family)
    settings = served.settings
    until = Until(len(served.sent), 60)
    with BrokerProcess(embedded_node(served.broker), java_runtime):
        records = records_of(settings, [settings.topics.captions], from_beginning=True, until=until)
        ids = [CaptionRecord.model_validate_json(record.value or b"").id for record in records]
    assert sorted(ids) == sorted(served.sent)


async def test_a_key_that_ray_would_drop_is_refused(place: ServeRun) -> None:
    """The application does not start, and the output names the key's path and the key that was meant."""
    if place.running:
        family = place.family()
        place.interrupt()
        await_gone(family)
    place.write_config({"max_ongoing_request": 5})
    place.start()
    text = await place.await_text("unknown key")
    assert text is not None
    told = (
        "applications[0].deployments[1].max_ongoing_request: unknown key; did you mean max_ongoing_requests?"
    )
    assert told in text
    family = place.family()
    assert place.interrupt() == 0
    await_gone(family)
