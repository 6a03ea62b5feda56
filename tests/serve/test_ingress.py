"""HTTP beside Kafka: one video at a time, what the consumers are doing, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from consumers.broker_node import free_ports
from serve_app.deployments.ingress import Problem, Status
from serve_app.schema import CaptionRecord
from serve_app.settings.video import EVERY_GUARD
from tests.brokers import Kafka
from tests.clips import write_clip
from tests.serve.applications import GIVE_UP_S, Application, deployed

Answer = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module")
def application(
    http_url: str, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    """One application for all tests here: none of them changes it."""
    with deployed(http_url, kafka, tmp_path_factory.mktemp("ingress")) as one:
        yield one


@pytest.fixture(scope="module")
def clip(application: Application) -> Path:
    """Two seconds at 10 frames per second."""
    return write_clip(application.folder / "clip.mp4", seconds=2, fps=10, width=320, height=240)


@pytest.fixture(scope="module")
def clip_bytes(clip: Path) -> int:
    """How large it is."""
    return clip.stat().st_size


async def post(application: Application, body: object) -> Answer:
    url = f"{application.url}/v1/captions"
    data = body if isinstance(body, str) else json.dumps(body)
    async with aiohttp.ClientSession() as session, session.post(url, data=data) as response:
        return response.status, await response.json()


async def get(url: str) -> Answer:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


async def test_a_video_is_captioned_in_the_answer(
    application: Application, clip: Path, clip_bytes: int
) -> None:
    """The answer is the record that Kafka would have had, with no place on a topic."""
    body = {"id": "mine", "url": clip.as_uri(), "sampling": {"num_frames": 3}, "metadata": {"a": [1]}}
    status, answer = await post(application, body)
    assert status == 200
    made = CaptionRecord.model_validate(answer)
    assert (made.id, made.request, made.attempts, made.metadata) == ("mine", None, 1, {"a": [1]})
    assert len(made.frames.pts_seconds) == 3
    assert made.source.bytes == clip_bytes
    assert made.config_hash == application.settings.config_hash()


async def test_each_answer_has_an_id_of_its_own(application: Application, clip: Path) -> None:
    """Where the request gives no id, equal requests are told apart by theirs."""
    first, second = [(await post(application, {"url": clip.as_uri()}))[1]["id"] for _ in range(2)]
    assert first != second


async def test_videos_that_cannot_be_captioned_are_unprocessable(application: Application) -> None:
    """Missing, not a video, not allowed, nothing in the range: 422, with the class a dead letter has."""
    folder = application.folder
    (folder / "notes.mp4").write_text("This is not a video.\n" * 50)
    clip = write_clip(folder / "short.mp4", seconds=1, fps=10, width=64, height=48).as_uri()
    expected = {
        "SourceNotFoundError": {"url": (folder / "none.mp4").as_uri()},
        "VideoUnreadableError": {"url": (folder / "notes.mp4").as_uri()},
        "SourceRefusedError": {"url": "gopher://h/x"},
        "NoFramesError": {"url": clip, "start_s": 9},
        "RequestInvalidError": {"url": clip, "task": "sing"},
    }
    for error_class, body in expected.items():
        status, answer = await post(application, body)
        problem = Problem.model_validate(answer)
        assert (status, problem.family, problem.error_class) == (422, "permanent", error_class)
        assert problem.message


async def test_a_source_that_may_come_back_is_worth_another_try(application: Application) -> None:
    """What is transient is 503, so that clients may try again."""
    (port,) = free_ports(1)
    status, answer = await post(application, {"url": f"http://127.0.0.1:{port}/a.mp4"})
    problem = Problem.model_validate(answer)
    assert (status, problem.family, problem.stage) == (503, "transient", "fetch")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"url": "x:y", "uri": "x:y"}', "uri: unknown key"),
        ('{"url": "x:y", "sampling": {"num_frames": 0}}', "sampling.num_frames: "),
        ('{"url": "x:y", "start_s": -1}', "start_s: "),
        ("{}", "url"),
        ("[]", "messages"),
        ("", "the value is empty"),
        ("not a URL", "neither JSON nor a URL"),
        ('{"url": "x:y", "metadata": {"a": "\\ud800"}}', "surrogate"),
    ],
)
async def test_bodies_that_are_no_request_are_refused(application: Application, body: str, told: str) -> None:
    """422 says in the words of a dead letter what is wrong; nothing is fetched."""
    status, answer = await post(application, body)
    problem = Problem.model_validate(answer)
    assert (status, problem.stage, problem.error_class) == (422, "parse", "RequestInvalidError")
    assert told in problem.message


async def test_a_body_is_what_a_record_would_be(
    application: Application, clip: Path, clip_bytes: int
) -> None:
    """A bare URL and a list of chat messages are captioned over HTTP too."""
    chat = [{"role": "user", "content": [{"type": "video", "video": clip.as_uri()}]}]
    for body in (clip.as_uri(), chat):
        status, answer = await post(application, body)
        assert (status, CaptionRecord.model_validate(answer).source.bytes) == (200, clip_bytes)


async def test_the_openapi_document_describes_both_routes(application: Application) -> None:
    """Clients can be generated: bodies, answers and problems have schemas."""
    status, document = await get(f"{application.url}/openapi.json")
    assert status == 200
    assert set(document["paths"]) == {"/v1/captions", "/v1/status"}
    assert {"200", "422", "503"} <= set(document["paths"]["/v1/captions"]["post"]["responses"])
    components = document["components"]["schemas"]
    assert {"Problem", "Status", "ConsumerStatus", "Request", "Url", "Messages"} <= set(components)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named <= set(components)


async def test_status_adds_up(application: Application, clip: Path) -> None:
    """After all requests ended nothing is undone, and the watermarks count what there was."""
    count = 7
    application.submit(*[{"url": clip.as_uri()}] * count)
    assert len(application.endings(count)) == count

    @retry(
        retry=retry_if_result(lambda status: status.undone != 0 or status.in_flight),
        stop=stop_after_delay(GIVE_UP_S),
        wait=wait_fixed(0.1),
    )
    async def when_settled() -> Status:
        return Status.model_validate((await get(f"{application.url}/v1/status"))[1])

    status: Status = await when_settled()
    requests = application.settings.topics.requests
    places = {f"{requests}-{number}" for number in range(application.settings.topics.partitions)}
    assert status.watermarks.keys() == status.undone_by_partition.keys() >= places
    assert sum(status.watermarks.values()) == count
    (consumer,) = status.consumers
    assert (consumer.settled, consumer.in_flight_bytes, consumer.paused) == (count, 0, False)


async def test_status_tells_what_it_can_while_a_consumer_is_down(application: Application) -> None:
    """A replica that was killed is no error of the others; while a partition has no owner, undone is null."""
    application.kill("Consumer")
    application.submit(*[b"no request"] * 50)
    places = application.settings.topics.partitions * (1 + len(application.settings.retry_topics))
    found: Status | None = None
    while found is None or len(found.watermarks) < places:
        status, answer = await get(f"{application.url}/v1/status")
        assert status == 200
        found = Status.model_validate(answer)
        assert found.undone is None or len(found.watermarks) == places
        assert len(found.decoders) == 1


async def test_status_says_how_decoding_is_contained(application: Application) -> None:
    """Every guard is named once, for each decoder replica: in force, or missing with its reason."""
    (decoder,) = Status.model_validate((await get(f"{application.url}/v1/status"))[1]).decoders
    assert {*decoder.in_force} | decoder.missing.keys() == EVERY_GUARD
    assert "no_new_privileges" in decoder.in_force
    assert "/" in decoder.replica


async def test_the_proxy_is_healthy(http_url: str, application: Application) -> None:
    """Load balancers ask Serve's own route, which knows of the running application."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{http_url}/-/healthz") as response:
            assert (response.status, await response.text()) == (200, "success")
        async with session.get(f"{http_url}/-/routes") as response:
            assert (await response.json())[f"/{application.name}"] == application.name
