"""The engine for servers that speak the OpenAI API, against one that can fail as asked."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import HttpUrl

from serve_app.engines.openai import OpenAiEngine
from serve_app.engines.protocol import Generation, Prompt
from serve_app.errors import EngineUnavailableError, Failure, SettingsError
from serve_app.schema import (
    ChoiceOutput,
    GenerationParams,
    JsonOutput,
    Output,
    RegexOutput,
    Usage,
)
from serve_app.settings import OpenAiSettings
from tests.unit.engines.server import Server
from tests.unit.sources.servers import serving

RED = (200, 10, 10)


def prompt(output: Output | None = None, **params: Any) -> Prompt:  # noqa: ANN401  as the model has them
    frames = np.broadcast_to(np.array(RED, np.uint8), (3, 28, 56, 3))
    times = (10.0, 10.5, 11.0)
    return Prompt(
        frames, times, 1.5, "describe", "What?", GenerationParams(**params), output=output, start_s=10.0
    )


@asynccontextmanager
async def engine_of(server: Server, **given: object) -> AsyncIterator[OpenAiEngine]:
    async with serving(server.answer) as base:
        asked = {"base_url": HttpUrl(f"{base}/v1"), "model": "tiny", **given}
        engine = OpenAiEngine(OpenAiSettings.model_validate(asked))
        try:
            await engine.start()
            yield engine
        finally:
            await engine.close()


async def test_frames_go_as_pictures_and_the_answer_comes_back() -> None:
    """In their order, with the question after them, and the usage is the server's."""
    server = Server()
    async with engine_of(server) as engine:
        (made,) = await engine.generate([prompt(max_tokens=5, temperature=0)])
    assert made == Generation("a dog", Usage(prompt_tokens=9, completion_tokens=2), "stop")
    (asked,) = server.asked
    *pictures, text = asked["messages"][0]["content"]
    assert text == {"type": "text", "text": "What?"}
    assert len(pictures) == 3
    head, _, data = pictures[0]["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (56, 28)
    assert np.abs(np.asarray(picture).astype(int) - RED).max() < 8
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("tiny", 5, 0)


async def test_as_a_video_the_frames_have_their_true_times() -> None:
    """In milliseconds from the start of the stretch, none left out."""
    server = Server()
    async with engine_of(server, parts="video") as engine:
        await engine.generate([prompt()])
    (asked,) = server.asked
    url = asked["messages"][0]["content"][0]["video_url"]["url"]
    assert url.startswith("data:video/jpeg;base64,")
    assert url.count(",") == 3
    assert asked["media_io_kwargs"]["video"] == {
        "fps": 1000.0,
        "duration": 1.5,
        "total_num_frames": 1500,
        "frames_indices": [0, 500, 1000],
        "num_frames": -1,
    }


@pytest.mark.parametrize(
    ("output", "sent"),
    [
        (
            JsonOutput(json_schema={"type": "object"}),
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
        (ChoiceOutput(choices=("a", "b")), {"structured_outputs": {"choice": ["a", "b"]}}),
        (RegexOutput(pattern="a+"), {"structured_outputs": {"regex": "a+"}}),
    ],
)
async def test_the_form_of_the_answer_is_asked_for(output: Output, sent: dict[str, object]) -> None:
    """In the API's own words where it has some, in vLLM's where not; so for parameters."""
    server = Server()
    async with engine_of(server, extra_body={"mine": 1}) as engine:
        await engine.generate([prompt(output, top_k=5)])
    (asked,) = server.asked
    assert asked | sent | {"mine": 1, "top_k": 5} == asked


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    """As often as the settings say, and then it is another attempt of the record."""
    passing = Server(failures=[(status, {"Retry-After": "0.01"})])
    async with engine_of(passing, attempts=2) as engine:
        (made,) = await engine.generate([prompt()])
    assert isinstance(made, Generation)
    lasting = Server(failures=[(status, {"Retry-After": "0.01"})] * 2)
    async with engine_of(lasting, attempts=2) as engine:
        (failed,) = await engine.generate([prompt()])
    assert isinstance(failed, Failure)
    assert (failed.error_class, failed.message) == (
        "EngineUnavailableError",
        f"the server answers HTTP {status}",
    )
    assert len(lasting.asked) == 2


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_refusal_is_final(status: int) -> None:
    """It is asked once, in the server's words, and its neighbour is answered."""
    server = Server(failures=[(status, {})])
    async with engine_of(server, concurrency=1) as engine:
        first, second = await engine.generate([prompt(), prompt()])
    assert isinstance(first, Failure)
    assert (first.family, first.error_class) == ("permanent", "EngineRejectedError")
    assert f"HTTP {status}: told {status}" in first.message
    assert isinstance(second, Generation)
    assert len(server.asked) == 2


@pytest.mark.parametrize("raw", [b'{"choices": []}', b'{"choices": null}', b"not json", b"[]"])
async def test_garbage_is_a_failure_and_no_crash(raw: bytes) -> None:
    """A server that answers nonsense is unavailable."""
    async with engine_of(Server(raw=raw)) as engine:
        (failed,) = await engine.generate([prompt()])
    assert isinstance(failed, Failure)
    assert failed.error_class == "EngineUnavailableError"


async def test_a_server_that_is_down_is_unavailable() -> None:
    """At start and later."""
    async with serving(Server().answer) as base:
        gone = base
    settings = OpenAiSettings(base_url=HttpUrl(f"{gone}/v1"), model="tiny", attempts=1)
    engine = OpenAiEngine(settings)
    with pytest.raises(EngineUnavailableError, match="does not answer"):
        await engine.start()
    (failed,) = await engine.generate([prompt()])
    assert isinstance(failed, Failure)
    assert failed.error_class == "EngineUnavailableError"
    await engine.close()


async def test_a_model_that_is_not_served_is_refused_at_start() -> None:
    """With the ones that are."""
    with pytest.raises(SettingsError, match="'huge' is not served there; served: tiny"):
        async with engine_of(Server(), model="huge"):
            pass


async def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a variable that is not set is refused by its name."""
    monkeypatch.setenv("TINY_KEY", "hunter2")
    server = Server()
    async with engine_of(server, api_key_env="TINY_KEY") as engine:
        await engine.generate([prompt()])
    assert server.keys == {"Bearer hunter2"}
    with pytest.raises(SettingsError, match="the environment variable NO_KEY is not set"):
        async with engine_of(server, api_key_env="NO_KEY"):
            pass


async def test_text_alone_goes_without_pictures() -> None:
    """In either form of parts."""
    server = Server()
    for parts in ("images", "video"):
        async with engine_of(server, parts=parts) as engine:
            (made,) = await engine.generate([Prompt(None, (), 1.5, "summary", "What?")])
        assert isinstance(made, Generation)
        asked = server.asked[-1]
        assert asked["messages"] == [{"role": "user", "content": [{"type": "text", "text": "What?"}]}]
        assert "media_io_kwargs" not in asked
