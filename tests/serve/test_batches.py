"""Micro-batches in a replica: full by their visual tokens, and changed while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pytest
from ray import serve
from ray.serve import Deployment
from ray.serve.handle import DeploymentHandle

from serve_app.deployments.batches import Batches
from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.settings import BatchSettings

FRAME = np.zeros((1, 2, 2, 3), np.uint8)
Handle = DeploymentHandle[Any]


@serve.deployment(max_ongoing_requests=64, ray_actor_options={"num_cpus": 0})
class Echo:
    """Hands prompts on in batches and says what was asked; `held` until it is let go."""

    def __init__(self, batch: dict[str, float]) -> None:
        self._said: list[list[str]] = []
        self._free = asyncio.Event()
        self._free.set()
        self._batches = Batches(self._generate, BatchSettings.model_validate(batch))

    async def _generate(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        self._said.append([prompt.text for prompt in prompts])
        await self._free.wait()
        return [Generation(prompt.text, None, "stop") for prompt in prompts]

    async def take(self, tokens: dict[str, int]) -> list[str]:
        """Prompts with so many visual tokens, all at once."""
        asked = [
            Prompt(FRAME, (0.0,), 1.0, "describe", text, visual_tokens=count)
            for text, count in tokens.items()
        ]
        made = await asyncio.gather(*(self._batches.take(prompt) for prompt in asked))
        return [one.text for one in made if isinstance(one, Generation)]

    async def change(self, batch: dict[str, float]) -> None:
        """Other settings."""
        self._batches.change(BatchSettings.model_validate(batch))

    async def hold(self, *, free: bool) -> None:
        """Whether answers come."""
        if free:
            self._free.set()
        else:
            self._free.clear()

    async def said(self) -> list[list[str]]:
        """The batches."""
        return self._said


@pytest.fixture
def echo(http_url: str, request: pytest.FixtureRequest) -> Iterator[Handle]:
    """An echo whose batches wait long enough for all that comes at once."""
    assert http_url
    batch = {"wait_ms": 1000, "overlap": 8, **request.param}
    yield serve.run(cast("Deployment", Echo).bind(batch), name="echo", route_prefix=None)
    serve.delete("echo")


@pytest.mark.parametrize("echo", [{"max_visual_tokens": 100}], indirect=True)
def test_a_batch_is_full_by_its_visual_tokens(echo: Handle) -> None:
    """Not by its number of prompts; one that is too heavy for any batch is alone and not refused."""
    tokens = {"a": 60, "b": 40, "c": 60, "d": 10, "huge": 1000, "e": 1}
    assert echo.take.remote(tokens).result() == list(tokens)
    said = echo.said.remote().result()
    assert ["huge"] in said
    assert 3 <= len(said) <= 4  # Ray puts what no longer fits behind what has come since
    assert all(sum(tokens[text] for text in batch) <= 100 for batch in said if batch != ["huge"])


@pytest.mark.parametrize("echo", [{"max_batch_size": 3}], indirect=True)
def test_a_batch_holds_no_more_prompts_than_allowed(echo: Handle) -> None:
    """However light they are."""
    assert echo.take.remote(dict.fromkeys("abcdefg", 0)).result() == list("abcdefg")
    assert sorted(map(len, echo.said.remote().result())) == [1, 3, 3]


@pytest.mark.parametrize("echo", [{"max_batch_size": 2, "overlap": 1}], indirect=True)
def test_settings_change_while_batches_are_under_way(echo: Handle) -> None:
    """What came before is answered as it came, what comes later goes by the new ones."""
    echo.hold.remote(free=False).result()
    before = echo.take.remote(dict.fromkeys("abcd", 0))
    while not echo.said.remote().result():
        pass
    echo.change.remote({"max_batch_size": 1, "wait_ms": 0}).result()
    after = echo.take.remote(dict.fromkeys("xy", 0))
    while ["x"] not in echo.said.remote().result():
        pass
    echo.hold.remote(free=True).result()
    assert before.result() == list("abcd")
    assert after.result() == list("xy")
    assert sorted(map(len, echo.said.remote().result())) == [1, 1, 2, 2]
