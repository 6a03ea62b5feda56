"""Settings of the GPU tier: engine and batches."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from serve_app.schema import Closed
from serve_app.schema.numbers import Number, Whole

# Of a Captioner in a file that does not say; Ray's own 5 would fill no batch.
DEFAULT_ONGOING_REQUESTS = 64


class BaselineSettings(Closed):
    """No model: states measured facts about light, colour, motion and cuts."""

    kind: Literal["baseline"] = "baseline"

    @property
    def model_id(self) -> str | None:
        """The model that runs, by which its profile is found."""
        return None


class BatchSettings(Closed):
    """Micro-batches of the captioner."""

    max_batch_size: Whole = Field(default=16, ge=1, le=1024, description="Requests in one batch.")
    wait_ms: Number = Field(default=5, ge=0, le=10_000, description="Wait for a batch to fill.")
    overlap: Whole = Field(default=2, ge=1, le=16, description="Batches in the engine at once.")
    timeout_s: Number = Field(default=120, gt=0, le=3600, description="For one batch.")


class CaptionerSettings(Closed):
    """Engine and batches."""

    engine: BaselineSettings = Field(default=BaselineSettings(), description="What writes the captions.")
    batch: BatchSettings = Field(default=BatchSettings(), description="Micro-batches.")
    task: Literal["describe"] = Field(default="describe", description="Where a request does not say.")
    timeout_s: Number = Field(
        default=300, gt=0, le=3600, description="From handing over frames to their caption, queue included."
    )
