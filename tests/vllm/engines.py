"""capstream's own vLLM engine with the tiny model, for tests."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from serve_app.engines.protocol import Generation, Prompt
from serve_app.schema import ChoiceOutput, GenerationParams, JsonOutput, Output, RegexOutput
from serve_app.settings import VllmSettings
from serve_app.tasks.describe import DESCRIBE
from tests.tiny_model.served import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_app.engines.protocol import Outcome
    from serve_app.engines.vllm import VllmEngine
    from tests.tiny_model.served import Video

NAME = "capstream/tiny_model"  # by which its profile is found
FORMS: tuple[Output, ...] = (
    ChoiceOutput(choices=("yes", "no")),
    RegexOutput(pattern="[0-9]{3}"),
    JsonOutput(
        json_schema={
            "type": "object",
            "properties": {"ok": {"type": "boolean"}},
            "required": ["ok"],
            "additionalProperties": False,
        }
    ),
)


def settings(**given: object) -> VllmSettings:
    """The tiny model on a CPU."""
    own = {"model": str(WEIGHTS), "served_as": NAME, "max_model_len": 4096, "enforce_eager": True}
    return VllmSettings.model_validate(own | given)


def prompt(
    pictures: NDArray[np.uint8],
    duration_s: float,
    pts_seconds: Sequence[float] | None = None,
    output: Output | None = None,
    text: str = DESCRIBE.prompt.text,
) -> Prompt:
    """A question about pictures (uint8, T x H x W x 3), spread over ``duration_s`` or at their times."""
    spread = np.arange(len(pictures)) * duration_s / max(1, len(pictures))
    times = tuple(spread.tolist() if pts_seconds is None else pts_seconds)
    params = GenerationParams(max_tokens=24, temperature=0)
    return Prompt(pictures, times, duration_s, "describe", text, params=params, output=output)


def prompt_of(video: Video) -> Prompt:
    """The question about a video; its rate is kept where pictures were taken out of it."""
    rate = len(video.indices) * video.fps / video.total
    times = [index / video.fps for index in video.indices[: len(video.pictures)]]
    return prompt(video.pictures, len(video.pictures) / rate, times)


class Running:
    """A started engine and its event loop."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        with warnings.catch_warnings(action="ignore"):  # torch's and vLLM's own
            from serve_app.engines.vllm import VllmEngine  # noqa: PLC0415  it reads the environment at its import

            self.engine: VllmEngine = VllmEngine(settings())
            self._runner.run(self.engine.start())

    @property
    def model_config(self) -> Any:  # noqa: ANN401  vLLM's
        """What vLLM knows of the model."""
        engine = self.engine._engine
        assert engine is not None
        return engine.model_config

    def answers(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        """What it says, all at once."""
        with warnings.catch_warnings(action="ignore"):
            return self._runner.run(self.engine.generate(prompts))

    def said(self, videos: Sequence[Video]) -> list[str]:
        """The caption of each."""
        made = self.answers([prompt_of(video) for video in videos])
        return [one.text if isinstance(one, Generation) else one.message for one in made]

    def check_health(self) -> None:
        """Raises if it is dead."""
        self._runner.run(self.engine.check_health())

    def close(self) -> None:
        """End it and its loop."""
        with warnings.catch_warnings(action="ignore"):
            self._runner.run(self.engine.close())
        self._runner.close()
