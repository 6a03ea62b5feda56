"""Train the tiny model: ``python -m tests.tiny_model.train --seed 1``; README.md has the numbers."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from tests.tiny_model.architecture import model, save, tokenizer
from tests.tiny_model.batches import ASKED, FIRST, FULL, OTHER, SMALL, Batches
from tests.tiny_model.shortcuts import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import Qwen2_5_VLForConditionalGeneration

    from tests.tiny_model.batches import Batch, Stage

FIRST_SHARE, SMALL_SHARE = 0.06, 0.34  # of the steps; the others are in full variety
WARM_STEPS = 100
HIGHEST_RATE, LOWEST_RATE = 1.5e-3, 1e-5
HELD_OUT = 10**9  # steps from here on are for measuring
PLACES = {"colour": 1, "direction": 4, "length": 6}  # of the words in a caption
EVERY_STEPS, LONG_EVERY_STEPS = 100, 1000  # a short look at the accuracy, and a long one


@click.command()
@click.option("--seed", default=1)
@click.option("--steps", default=2000)
@click.option("--threads", default=1)
@click.option("--out", type=click.Path(path_type=Path), default=Path("tests/tiny_model/weights"))
def main(seed: int, steps: int, threads: int, out: Path) -> None:
    """Train, say now and then how many words are right, and write the weights."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    words = tokenizer()
    learner = model(words)
    shorten(learner)
    began_s = time.monotonic()
    batches = Batches(words, seed)
    for step, loss in train(learner, batches, steps):
        if step % EVERY_STEPS == 0:
            spent = (
                f"{(time.monotonic() - began_s) / 60:5.1f} min  {time.process_time() / 60:5.1f} min of cpu"
            )
            click.echo(f"{step:5}  {spent}  loss {loss:.3f}  {accuracy(learner, batches, step)}")
    save(learner, words, out)


def train(
    learner: Qwen2_5_VLForConditionalGeneration, batches: Batches, steps: int
) -> Iterator[tuple[int, float]]:
    """Take the steps; the number of steps taken and the loss after each."""
    optimiser = torch.optim.AdamW(
        learner.parameters(), lr=HIGHEST_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    learner.train()
    for step, batch in enumerate(drawn(batches, steps)):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, steps)
        # Plain products: torch's other kernel for processors takes far longer for sequences this short.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            scores, truth = said(learner, batch)
        loss = cross_entropy(scores.float().flatten(0, 1), truth.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimiser.step()
        yield step + 1, loss.item()


def drawn(batches: Batches, steps: int) -> Iterator[Batch]:
    """The batch of each step, drawn in a thread while the step before is taken."""
    with ThreadPoolExecutor(1) as beside:
        ahead = beside.submit(batches.at, 0, stage_at(0, steps))
        for step in range(1, steps + 1):
            batch = ahead.result()
            if step < steps:
                ahead = beside.submit(batches.at, step, stage_at(step, steps))
            yield batch


def stage_at(step: int, steps: int) -> Stage:
    """From one small size to all of them."""
    done = step / steps
    return FIRST if done < FIRST_SHARE else SMALL if done < FIRST_SHARE + SMALL_SHARE else FULL


def rate(step: int, steps: int) -> float:
    """The learning rate: up for a little, then down along a cosine."""
    if step < WARM_STEPS:
        return HIGHEST_RATE * (step + 1) / WARM_STEPS
    done = (step - WARM_STEPS) / (steps - WARM_STEPS)
    return LOWEST_RATE + (HIGHEST_RATE - LOWEST_RATE) * (1 + math.cos(math.pi * done)) / 2


def said(learner: Qwen2_5_VLForConditionalGeneration, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores for each token of the captions, and the tokens: only what the model is to say counts."""
    tokens = torch.from_numpy(batch.tokens)
    hidden = learner.model(
        input_ids=tokens,
        position_ids=torch.from_numpy(batch.positions),
        pixel_values_videos=torch.from_numpy(batch.patches),
        video_grid_thw=torch.tensor([batch.grid] * len(batch.clips)),
        use_cache=False,
    ).last_hidden_state
    return learner.lm_head(hidden[:, -batch.said - 1 : -1]), tokens[:, -batch.said :]


def accuracy(learner: Qwen2_5_VLForConditionalGeneration, batches: Batches, step: int) -> str:
    """The shares of right words on clips that are not trained on, for the task's prompt and for others."""
    rounds = 24 if step % LONG_EVERY_STEPS == 0 else 4
    return "  ".join(
        f"{name}: {shares(learner, [batches.at(HELD_OUT + place, stage) for place in range(rounds)])}"
        for name, stage in (("asked", ASKED), ("other prompts", OTHER))
    )


def shares(learner: Qwen2_5_VLForConditionalGeneration, measured: list[Batch]) -> str:
    """How many of each word, and of the captions, are right."""
    with torch.no_grad():
        hits = torch.cat([right(learner, batch) for batch in measured])
    parts = " ".join(f"{word} {hits[:, at].mean():.3f}" for word, at in PLACES.items())
    return f"{parts} whole {hits.min(dim=1).values.mean():.3f} of {len(hits)}"


def right(learner: Qwen2_5_VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """Which words of which captions are right: clips x words, of zeros and ones."""
    scores, truth = said(learner, batch)
    return (scores.argmax(dim=-1) == truth).float()


if __name__ == "__main__":
    main()
