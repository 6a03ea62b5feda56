"""What the tiny model is trained with is what vLLM and Qwen's processor make of the same clips."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from transformers import AutoProcessor

from tests.tiny_model.batches import patched as ours
from tests.tiny_model.batches import positions_of
from tests.tiny_model.clips import fresh, spread
from tests.tiny_model.served import WEIGHTS

if TYPE_CHECKING:
    from tests.vllm.engines import Running

START, GRID, TOKENS = 5, (4, 6, 5), 5 + 4 * 6 * 5 + 20


@pytest.mark.parametrize("seconds_per_grid", [0.25, 0.5, 1.0, 1.037, 2.0])
def test_positions_are_those_of_vllm(running: Running, seconds_per_grid: float) -> None:
    """Each token has the position that vLLM's own code gives it, at fractions of a second too."""
    from vllm.model_executor.models.qwen2_5_vl import (  # noqa: PLC0415 - after the fixture has set its environment
        Qwen2_5_VLForConditionalGeneration,
    )

    bare = Qwen2_5_VLForConditionalGeneration.__new__(Qwen2_5_VLForConditionalGeneration)
    torch.nn.Module.__init__(bare)
    bare.config = running.model_config.hf_config
    time, rows, columns = GRID
    data = {
        "video_grid_thw": SimpleNamespace(data=torch.tensor([time, 2 * rows, 2 * columns])),
        "second_per_grid_ts": SimpleNamespace(data=torch.tensor(seconds_per_grid)),
    }
    video = SimpleNamespace(modality="video", mm_position=SimpleNamespace(offset=START), data=data)
    theirs, _ = bare.get_mrope_input_positions([0] * TOKENS, [video])
    assert np.array_equal(theirs.numpy(), positions_of(TOKENS, START, GRID, seconds_per_grid))


def test_patches_are_those_of_the_processor(running: Running) -> None:
    """Pictures become the rows of numbers that Qwen's video processor makes of them."""
    assert running.model_config.model == str(WEIGHTS)
    clip = fresh(seed=7, count=1)[0]
    pictures = clip.pictures(spread(clip.total, 6))
    processor = AutoProcessor.from_pretrained(WEIGHTS).video_processor
    made = processor([torch.from_numpy(pictures).permute(0, 3, 1, 2)], do_resize=False, return_tensors="pt")
    assert np.allclose(made["pixel_values_videos"].numpy(), ours(pictures), atol=1e-5)
