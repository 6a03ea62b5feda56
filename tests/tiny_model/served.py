"""The tiny model in real vLLM, in this process: for tests and benchmarks. README.md has an example."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serve_app.settings.profile import FrameRule, ModelProfile, PatchSize, PatchTokens
from serve_app.tasks.describe import DESCRIBE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from vllm import LLM

    from tests.tiny_model.clips import Clip

WEIGHTS = Path(__file__).with_name("weights")
PROMPT = (
    "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>"
    f"{DESCRIBE.prompt.text}<|im_end|>\n<|im_start|>assistant\n"
)
# Qwen's rule, with the frames and pixels that the model was trained with.
PROFILE = ModelProfile(
    name="tiny-model",
    models=("*tiny_model*",),
    frames=FrameRule(fps=2.0, min_frames=8, max_frames=16, frame_factor=2, placing="ends"),
    size=PatchSize(factor=28, min_pixels=16 * 28 * 28, max_pixels=64 * 28 * 28, temporal_factor=2),
    tokens=PatchTokens(factor=28, temporal_factor=2),
)
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_LOGGING_LEVEL": "ERROR",
}


@dataclass(frozen=True, slots=True)
class Video:
    """Pictures (uint8, T x H x W x 3, RGB), and what is said of them: a rate, and which of how many."""

    pictures: NDArray[np.uint8]
    fps: float
    total: int
    indices: tuple[int, ...]

    @classmethod
    def of(cls, clip: Clip, indices: Sequence[int]) -> Video:
        """Some frames of a clip."""
        return cls(clip.pictures(indices), float(clip.fps), clip.total, tuple(indices))

    def shown(self, pictures: NDArray[np.uint8]) -> Video:
        """The same times with other pictures."""
        return replace(self, pictures=pictures)

    def request(self) -> dict[str, Any]:
        """As vLLM takes it."""
        metadata = {
            "fps": self.fps,
            "duration": self.total / self.fps,
            "total_num_frames": self.total,
            "frames_indices": list(self.indices),
            "video_backend": "capstream",
            "do_sample_frames": False,
        }
        return {
            "prompt": PROMPT,
            "multi_modal_data": {"video": [(self.pictures, metadata)]},
            "mm_processor_kwargs": {"do_resize": False, "do_sample_frames": False},
        }


@contextmanager
def loaded(model: Path = WEIGHTS) -> Iterator[LLM]:
    """The engine, for as long as it is needed: loading takes half a minute, so one is enough."""
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    with warnings.catch_warnings(action="ignore"):  # torch's and vLLM's own
        from vllm import LLM  # noqa: PLC0415 - it reads the environment when it is imported

        engine = LLM(
            model=str(model),
            dtype="bfloat16",
            max_model_len=4096,
            enforce_eager=True,
            limit_mm_per_prompt={"image": 0, "video": 1},
            mm_processor_cache_gb=0,
            disable_log_stats=True,
        )
    try:
        yield engine
    finally:
        engine.llm_engine.engine_core.shutdown()


def said(engine: LLM, videos: Sequence[Video]) -> list[str]:
    """The caption of each."""
    from vllm import SamplingParams  # noqa: PLC0415 - see above

    greedy = SamplingParams(temperature=0.0, max_tokens=24)
    outputs = engine.generate([video.request() for video in videos], greedy, use_tqdm=False)
    return [output.outputs[0].text for output in outputs]
