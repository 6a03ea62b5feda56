"""Settings of the GPU tier: engines, batches, and what text they write."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, ValidationError

from serve_app.errors import SettingsError
from serve_app.schema import Closed
from serve_app.schema.numbers import Number, Whole
from serve_app.schema.violations import dotted, plain, violations
from serve_app.settings.engines import BaselineSettings, EngineSettings
from serve_app.settings.generation import GenerationSettings

# Of a Captioner in a file that does not say; Ray's own 5 would fill no batch.
DEFAULT_ONGOING_REQUESTS = 64


class BatchSettings(Closed):
    """Micro-batches of the captioner; `user_config` of its deployment changes them while it runs."""

    max_batch_size: Whole = Field(default=16, ge=1, le=1024, description="Requests in one batch.")
    max_visual_tokens: Whole = Field(
        default=65_536, ge=1, le=10**9, description="Visual tokens in one batch, unless one request has more."
    )
    wait_ms: Number = Field(default=5, ge=0, le=10_000, description="Wait for a batch to fill.")
    overlap: Whole = Field(default=2, ge=1, le=64, description="Batches in the engine at once.")
    timeout_s: Number = Field(default=120, gt=0, le=3600, description="For one batch.")


class CaptionerSettings(Closed):
    """One captioner: its engine, its batches, and what it does where a request does not say."""

    engine: EngineSettings = Field(default=BaselineSettings(), description="What writes the captions.")
    batch: BatchSettings = Field(default=BatchSettings(), description="Micro-batches.")
    generation: GenerationSettings = Field(default=GenerationSettings(), description="Text.")
    task: str = Field(
        default="describe", min_length=1, max_length=64, description="Where a request does not say."
    )
    timeout_s: Number = Field(
        default=300, gt=0, le=3600, description="From handing over frames to their caption, queue included."
    )


class Changeable(Closed):
    """What `user_config` of a captioner's deployment may hold."""

    batch: BatchSettings = Field(default=BatchSettings(), description="Micro-batches.")


def changed(settings: CaptionerSettings, user_config: Mapping[str, object]) -> CaptionerSettings:
    """The settings with ``user_config`` laid over them; ``SettingsError`` names each violation."""
    batch = user_config.get("batch", {})
    given = dict(user_config)
    if isinstance(batch, Mapping):
        given["batch"] = settings.batch.model_dump() | dict(batch)
    try:
        found = Changeable.model_validate(given)
    except ValidationError as error:
        lines = (
            f"user_config.{dotted(one.path)}: {one.sentence(plain(one.value))}"
            for one in violations(error, Changeable)
        )
        raise SettingsError("\n".join(lines)) from error
    return settings.model_copy(update={"batch": found.batch})
