"""Clips as the tensors that training takes: patches, tokens and positions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from serve_app.tasks.describe import DESCRIBE
from tests.tiny_model.architecture import POSITIONS_PER_SECOND
from tests.tiny_model.clips import SIDES, Clip, draw, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    Spoil = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

PATCH, MERGE, PAIR = 14, 2, 2
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)
COUNTS = (6, 6, 8, 8, 12, 16)  # frames of a clip; the cheap ones more often
TRAINED_SIDES = (*SIDES[:3], *SIDES[:3], *SIDES)  # the same for sizes
TOKENS_PER_STEP = 1200
MOST_CLIPS, FEWEST_CLIPS = 40, 4
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"


@dataclass(frozen=True, slots=True)
class Batch:
    """Clips of one shape with one prompt; every caption has the same number of tokens."""

    clips: tuple[Clip, ...]
    patches: NDArray[np.float32]
    grid: tuple[int, int, int]
    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    said: int


@dataclass(frozen=True, slots=True)
class Stage:
    """How varied the clips and prompts of a part of the training are.

    ``asked`` prompts are the task's, others are none; ``varied`` is the share of the steps whose prompt is
    words by chance instead, at most ``most_words``.
    """

    sides: tuple[int, ...]
    counts: tuple[int, ...]
    plain: bool = False
    spoilt: bool = True
    asked: bool = False
    varied: float = 0.3
    most_words: int = 0


FIRST = Stage(sides=(84,), counts=(6,), plain=True, spoilt=False)
SMALL = Stage(sides=(84, 112), counts=(6, 8), most_words=8)
FULL = Stage(sides=TRAINED_SIDES, counts=COUNTS, asked=True, most_words=96)
ASKED, OTHER = replace(FULL, varied=0.0), replace(FULL, varied=1.0)  # for measuring


class Batches:
    """Draws batches by chance, each from its own seed."""

    def __init__(self, words: PreTrainedTokenizerFast, seed: int) -> None:
        self._words = words
        self._seed = seed
        self._pad = words.convert_tokens_to_ids("<|video_pad|>")
        self._plain = np.arange(7, len(words))  # the first seven are special

    def at(self, step: int, stage: Stage) -> Batch:
        """The batch of a step."""
        random = np.random.default_rng((self._seed, step))
        width, height = (int(side) for side in random.choice(stage.sides, 2))
        count = int(random.choice(stage.counts))
        cells = count // PAIR * (width // 28) * (height // 28)
        number = int(np.clip(TOKENS_PER_STEP // cells, FEWEST_CLIPS, MOST_CLIPS))
        clips = tuple(draw(random, width, height, count) for _ in range(number))
        if stage.plain:
            clips = tuple(replace(clip, ground=(0, 0, 0), texture=0, noise=0) for clip in clips)
        chosen = [places(random, clip.total, count) for clip in clips]
        spoil = spoiler(random) if stage.spoilt else unspoilt
        patches = [patched(spoil(clip.pictures(at))) for clip, at in zip(clips, chosen, strict=True)]
        before, after = self._prompt(random, stage)
        captions = [self._ids(f"{clip.caption}<|im_end|>") for clip in clips]
        tokens = np.array([[*before, *[self._pad] * cells, *after, *caption] for caption in captions])
        shape = (count // PAIR, height // 28, width // 28)
        gaps = [PAIR * clip.total / (clip.fps * count) for clip in clips]
        positions = [positions_of(tokens.shape[1], len(before), shape, gap) for gap in gaps]
        grid = (count // PAIR, height // PATCH, width // PATCH)
        return Batch(
            clips, np.concatenate(patches), grid, tokens, np.stack(positions, axis=1), said=len(captions[0])
        )

    def _prompt(self, random: np.random.Generator, stage: Stage) -> tuple[list[int], list[int]]:
        """The tokens before and after the video; other text than the task's must not confuse the model."""
        first, last = "<|im_start|>user\n<|vision_start|>", "<|vision_end|>"
        end = "<|im_end|>\n<|im_start|>assistant\n"
        if random.random() >= stage.varied:
            asked = DESCRIBE.prompt.text if stage.asked else ""
            return self._ids(first), self._ids(f"{last}{asked}{end}")
        before = [
            int(word) for word in random.choice(self._plain, random.integers(0, stage.most_words // 4 + 1))
        ]
        after = [int(word) for word in random.choice(self._plain, random.integers(0, stage.most_words + 1))]
        system = [*self._ids("<|im_start|>system\n"), *before, *self._ids("<|im_end|>\n")] if before else []
        return [*system, *self._ids(first)], [*self._ids(last), *after, *self._ids(end)]

    def _ids(self, text: str) -> list[int]:
        return list(self._words(text, add_special_tokens=False)["input_ids"])


def places(random: np.random.Generator, total: int, count: int) -> list[int]:
    """Indices of ``count`` frames, as one or another loader places them."""
    if random.random() < 0.5:
        return spread(total, count)
    return [int((index + random.choice((0.0, 0.5))) * total / count) for index in range(count)]


def positions_of(
    tokens: int, start: int, grid: tuple[int, int, int], seconds_per_grid: float
) -> NDArray[np.int64]:
    """Positions (3 x tokens) as vLLM gives them: time by the fraction, text after the largest of all.

    transformers cuts the seconds to an integer, and a model trained with that tells vLLM wrong lengths.
    """
    video = np.indices(grid)
    video[0] = (video[0] * (seconds_per_grid * POSITIONS_PER_SECOND)).astype(np.int64)
    video = video.reshape(3, -1) + start
    before = np.broadcast_to(np.arange(start), (3, start))
    left = tokens - start - video.shape[1]
    after = np.broadcast_to(np.arange(left), (3, left)) + video.max() + 1
    return np.concatenate([before, video, after], axis=1)


def patched(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures of an even number as rows of normalised patches, in the order of Qwen's processor."""
    count, height, width, _ = pictures.shape
    scaled = pictures * (1 / (255 * DEVIATION)) - (MEAN / DEVIATION)
    rows, columns = height // (PATCH * MERGE), width // (PATCH * MERGE)
    parts = scaled.reshape(count // PAIR, PAIR, rows, MERGE, PATCH, columns, MERGE, PATCH, 3)
    # time, row, column, row and column inside the merge; then channel, picture of the pair, pixel
    ordered = parts.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return ordered.reshape(-1, 3 * PAIR * PATCH * PATCH).astype(np.float32)


def unspoilt(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pictures as they are."""
    return pictures


def spoiler(random: np.random.Generator) -> Spoil:
    """What encoding, scaling and other cameras do to the pictures of a batch, in a few cheap strokes."""
    coarse, blurred = random.random() < 0.35, random.random() < 0.35

    def spoil(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if coarse:
            pictures = pictures[:, ::2, ::2].repeat(2, axis=1).repeat(2, axis=2)
        values = pictures.astype(np.float32)
        if blurred:
            values[:, 1:] = (values[:, 1:] + values[:, :-1]) / 2
            values[:, :, 1:] = (values[:, :, 1:] + values[:, :, :-1]) / 2
        values = values * random.uniform(0.85, 1.1) + random.uniform(-10, 15)
        return np.clip(values, 0, 255).astype(np.uint8)

    return spoil
