"""The models' own code, given shapes in place of pixels so that thousands of cases take seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from transformers.image_utils import SizeDict

from tests.parity.cases import Clip

torch.set_num_threads(1)  # there is next to nothing to compute


class Shapes(TorchFunctionMode):
    """Inside, resizing a tensor of shapes costs nothing."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,  # noqa: ANN401  torch's own
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  torch's own
        """Answer a resize with its shape."""
        if function is torch.nn.functional.interpolate:
            size = (kwargs or {}).get("size") or args[1]
            return torch.empty((*args[0].shape[:-2], *size), dtype=args[0].dtype, device="meta")
        return function(*args, **(kwargs or {}))


def pictures(frames: int, clip: Clip) -> torch.Tensor:
    """Frames without pixels, T x C x H x W."""
    return torch.empty((frames, 3, clip.height, clip.width), dtype=torch.uint8, device="meta")


class _VideoDecoder:
    """Stands in for TorchCodec's; a clip's four numbers are the name of its file."""

    def __init__(self, source: str, **_: object) -> None:
        total, fps, width, height = source.split("/")
        self.clip = Clip(int(total), float(fps), int(width), int(height))
        self.metadata = SimpleNamespace(average_fps=self.clip.fps, num_frames=self.clip.total)

    def get_frames_at(self, indices: list[int]) -> SimpleNamespace:
        return SimpleNamespace(data=pictures(len(indices), self.clip))


def _refuse(_: object) -> None:
    raise ValueError("the first reader has refused")


def _qwen() -> Any:  # noqa: ANN401  a module without types
    module = ModuleType("torchcodec.decoders")
    module.VideoDecoder = _VideoDecoder  # type: ignore[attr-defined]
    sys.modules |= {"torchcodec": ModuleType("torchcodec"), "torchcodec.decoders": module}
    os.environ["FORCE_QWENVL_VIDEO_READER"] = "torchcodec"
    from qwen_vl_utils import vision_process  # noqa: PLC0415  it reads the environment when it is imported

    vision_process.logger.disabled = True
    # What it tries next when a reader refuses is gone from torchvision.
    vision_process.VIDEO_READER_BACKENDS["torchvision"] = _refuse
    return vision_process


QWEN = _qwen()


@dataclass(frozen=True)
class Taken:
    """Which frames a loader takes, and how large."""

    indices: list[int]
    width: int
    height: int


def fetched(clip: Clip, said: Mapping[str, object], patch: int) -> Taken | None:
    """What qwen-vl-utils makes of a clip from the file to the model; ``None`` where it refuses."""
    name = f"{clip.total}/{clip.fps!r}/{clip.width}/{clip.height}"
    try:
        with Shapes():
            video, facts = QWEN.fetch_video(
                {"video": name, **said}, image_patch_size=patch, return_video_metadata=True
            )
    except ValueError:
        return None
    return Taken(list(facts["frames_indices"]), video.shape[-1], video.shape[-2])


def resized(processor: Any, clip: Clip, frames: int, **said: object) -> tuple[int, int]:  # noqa: ANN401
    """Width and height of what a processor hands on."""
    with Shapes():
        video = processor.resize(
            pictures(frames, clip)[None],
            SizeDict(**dict(processor.size)),
            resample=processor.resample,
            **said,
        )
    return video.shape[-1], video.shape[-2]
