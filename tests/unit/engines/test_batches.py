"""Micro-batches: counted in visual tokens, and nobody's fault but one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from serve_app.deployments.batches import timely, weight
from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.errors import EngineRejectedError, Failure, SettingsError
from serve_app.settings import BatchSettings, CaptionerSettings
from serve_app.settings.captioner import changed

FRAME = np.zeros((1, 2, 2, 3), np.uint8)


def prompt(name: str, tokens: int = 1, deadline_s: float = 1e12) -> Prompt:
    return Prompt(FRAME, (0.0,), 1.0, "describe", name, visual_tokens=tokens, deadline_s=deadline_s)


class Echo:
    """Says what it was asked; fails what is called bad; keeps the batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def generate(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        self.batches.append([one.text for one in prompts])
        await self.hold.wait()
        bad = Failure.of(EngineRejectedError("bad"))
        return [bad if one.text == "bad" else Generation(one.text, None, "stop") for one in prompts]


async def take(echo: Echo, *prompts: Prompt, timeout_s: float = 60) -> list[str]:
    made = await timely(echo.generate, prompts, timeout_s, now_s=100.0)
    return [one.text if isinstance(one, Generation) else one.error_class for one in made]


@pytest.mark.parametrize(
    ("tokens", "places"),
    [([0, 0, 0], 3), ([25], 1), ([50, 50], 4), ([75, 25], 4), ([100], 4), ([1000], 4)],
)
def test_prompts_take_their_share_of_a_batch(tokens: list[int], places: float) -> None:
    """A place at least each, more by their visual tokens, and never more than there are."""
    batch = BatchSettings(max_batch_size=4, max_visual_tokens=100)
    assert weight([prompt("a", n) for n in tokens], batch) == places


async def test_a_bad_prompt_fails_alone() -> None:
    """Its neighbours in the batch are answered."""
    assert await take(Echo(), prompt("a"), prompt("bad"), prompt("b")) == ["a", "EngineRejectedError", "b"]


async def test_what_is_too_late_does_not_reach_the_engine() -> None:
    """Its neighbours do, and each gets its own answer."""
    echo = Echo()
    said = await take(echo, prompt("a"), prompt("late", deadline_s=99), prompt("b"))
    assert said == ["a", "EngineUnavailableError", "b"]
    assert await take(echo, prompt("late", deadline_s=99)) == ["EngineUnavailableError"]
    assert echo.batches == [["a", "b"]]


async def test_an_engine_that_does_not_answer_is_waited_for_so_long() -> None:
    """Then each prompt of the batch is another attempt."""
    echo = Echo()
    echo.hold.clear()
    assert await take(echo, prompt("a"), prompt("b"), timeout_s=0.05) == ["EngineUnavailableError"] * 2


def test_user_config_is_laid_over_the_settings() -> None:
    """Key by key, over what the captioner was started with."""
    own = CaptionerSettings(batch=BatchSettings(max_batch_size=4, wait_ms=7))
    made = changed(own, {"batch": {"max_batch_size": 8}}).batch
    assert (made.max_batch_size, made.wait_ms) == (8, 7)


@pytest.mark.parametrize(
    ("user_config", "told"),
    [
        ({"batch": {"overlap": 0}}, "user_config.batch.overlap: '0' is refused; allowed: whole number"),
        ({"batch": {"wait": 1}}, "user_config.batch.wait: unknown key"),
        ({"engine": {}}, "user_config.engine: unknown key"),
    ],
)
def test_a_user_config_that_cannot_be_meant_is_refused(user_config: dict[str, object], told: str) -> None:
    """With the place, the value and what is allowed."""
    with pytest.raises(SettingsError) as raised:
        changed(CaptionerSettings(), user_config)
    assert str(raised.value).startswith(told)
