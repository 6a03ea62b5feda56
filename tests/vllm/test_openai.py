"""The engine for servers that speak the OpenAI API, against vLLM's own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import warnings
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import aiohttp
import numpy as np
import pytest
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from consumers.broker_node import free_ports
from serve_app.engines.openai import OpenAiEngine
from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.errors import Failure, SettingsError
from serve_app.settings import OpenAiSettings
from serve_app.tasks.output import read_output
from tests.tiny_model.clips import fresh, spread
from tests.tiny_model.served import WEIGHTS
from tests.vllm.engines import FORMS, NAME, prompt

Result = TypeVar("Result")
START_S = 420
SEED = 20_260_301


def run(work: Coroutine[Any, Any, Result]) -> Result:
    with warnings.catch_warnings(action="ignore"):
        return asyncio.run(work)


async def answering(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server is well, or gone."""
    tries = AsyncRetrying(
        retry=retry_if_exception_type(aiohttp.ClientError),
        stop=stop_after_delay(START_S),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async for attempt in tries:
            with attempt:
                assert process.poll() is None, "the server ended"
                async with session.get(f"{url}/health"):
                    pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of vLLM's with the tiny model; gives its URL."""
    (port,) = free_ports(1)
    # What `vllm serve` runs; the command itself asks for a package that the CPU build is not called.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(WEIGHTS)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME]
    model = [
        "--max-model-len",
        "4096",
        "--enforce-eager",
        "--limit-mm-per-prompt",
        '{"video": 1, "image": 0}',
    ]
    as_they_are = ["--mm-processor-kwargs", '{"do_resize": false, "do_sample_frames": false}']
    compact = '{"backend": "guidance", "disable_any_whitespace": true}'
    times = ["--trust-request-mm-kwargs", "--structured-outputs-config", compact]
    with subprocess.Popen([*command, *options, *model, *as_they_are, *times], env=os.environ) as process:
        try:
            run(answering(f"http://127.0.0.1:{port}", process))
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def answers(url: str, prompts: Sequence[Prompt], **given: object) -> list[Outcome]:
    """What the server says, through the engine as an application has it."""

    async def asked() -> list[Outcome]:
        settings = {"base_url": url, "model": NAME, "parts": "video", **given}
        engine = OpenAiEngine(OpenAiSettings.model_validate(settings))
        try:
            await engine.start()
            return await engine.generate(prompts)
        finally:
            await engine.close()

    return run(asked())


def test_captions_over_http_are_right(server: str) -> None:
    """Frames and their times arrive as they are: at least 9 in 10 of fresh clips, pictures as JPEG."""
    clips = fresh(SEED, 60)
    prompts = [prompt(clip.pictures(spread(clip.total, 8)), clip.total / clip.fps) for clip in clips]
    made = answers(server, prompts)
    texts = [one.text if isinstance(one, Generation) else one.message for one in made]
    assert np.mean([text == clip.caption for text, clip in zip(texts, clips, strict=True)]) >= 0.9, texts


def test_wrong_times_make_captions_wrong(server: str) -> None:
    """So that the check above can fail."""
    clips = fresh(SEED, 60)
    prompts = [prompt(clip.pictures(spread(clip.total, 8)), 4 * clip.total / clip.fps) for clip in clips]
    made = answers(server, prompts)
    right = [
        isinstance(one, Generation) and one.text == c.caption for one, c in zip(made, clips, strict=True)
    ]
    assert np.mean(right) <= 0.5


def test_forms_are_kept_and_refusals_are_typed(server: str) -> None:
    """Each form; a prompt that is too long is permanent, and its neighbours are answered."""
    pictures = np.zeros((4, 112, 112, 3), np.uint8)
    formed = [prompt(pictures, 2.0, output=form) for form in FORMS]
    *made, long = answers(server, [*formed, prompt(pictures, 2.0, text="word " * 5000)])
    for outcome, form in zip(made, FORMS, strict=True):
        assert isinstance(outcome, Generation), outcome
        assert outcome.usage is not None
        read_output(outcome.text, form)
    assert isinstance(long, Failure)
    assert (long.family, long.error_class) == ("permanent", "EngineRejectedError")


def test_a_model_that_is_not_served_is_refused(server: str) -> None:
    """At start, with those that are."""
    with pytest.raises(SettingsError, match=NAME):
        answers(server, [], model="other")
