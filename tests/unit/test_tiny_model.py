"""The tiny model's clips, which need neither torch nor vLLM, and the size of its files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.tiny_model.clips import COLOURS, DIRECTIONS, LENGTHS, SIDES, Clip, caption, fresh, spread
from tests.tiny_model.served import WEIGHTS

MOST_BYTES = 8_000_000
CLIPS = fresh(seed=5, count=100)


def square(clip: Clip, index: int) -> tuple[float, float, int]:
    """The middle of what has the square's colour, and how many pixels that is."""
    picture = clip.picture(index).astype(int)
    rows, columns = np.nonzero(np.abs(picture - clip.ink).max(axis=-1) <= clip.noise)
    return float(columns.mean()), float(rows.mean()), len(rows)


def test_the_same_seed_draws_the_same_clips() -> None:
    """Clips and their pixels follow from the seed, and another seed gives others."""
    again = fresh(seed=5, count=100)
    assert again == CLIPS
    assert np.array_equal(again[0].pictures([0, 3]), CLIPS[0].pictures([0, 3]))
    assert fresh(seed=6, count=100) != CLIPS


def test_all_words_are_drawn() -> None:
    """A hundred clips hold each colour, direction, length and size, and many rates."""
    assert {clip.colour for clip in CLIPS} == set(COLOURS)
    assert {clip.direction for clip in CLIPS} == set(DIRECTIONS)
    assert {clip.length for clip in CLIPS} == set(LENGTHS)
    assert {clip.width for clip in CLIPS} == {clip.height for clip in CLIPS} == set(SIDES)
    assert len({clip.fps for clip in CLIPS}) > 10


@pytest.mark.parametrize("place", range(20))
def test_the_square_goes_where_the_caption_says(place: int) -> None:
    """From the first frame to the last it moves by its travel, in the caption's direction, and is whole."""
    clip = CLIPS[place]
    (x, y, pixels), (last_x, last_y, last_pixels) = square(clip, 0), square(clip, clip.total - 1)
    right, down = DIRECTIONS[clip.direction]
    assert [last_x - x, last_y - y] == pytest.approx([right * clip.travel, down * clip.travel])
    assert pixels == last_pixels == clip.side**2


def test_pictures_do_not_tell_the_length() -> None:
    """The same clip of twice the length gives the same frames at the same shares of its time."""
    short = replace(CLIPS[0], noise=0, seconds=2.0, fps=10)
    long = replace(short, length=8, seconds=8.0, fps=10)
    ends = [0, short.total - 1], [0, long.total - 1]
    assert np.array_equal(short.pictures(ends[0]), long.pictures(ends[1]))
    assert short.total < long.total


def test_swapped_channels_are_another_colour() -> None:
    """No colour stays itself when red and blue change places."""
    for name, ink in COLOURS.items():
        distances = {other: np.abs(np.subtract(ink[::-1], COLOURS[other])).sum() for other in COLOURS}
        assert min(distances, key=lambda other: distances[other]) != name


def test_a_second_is_one() -> None:
    """The caption's grammar follows the number."""
    assert caption("red", "left", 1) == "a red square moves left for 1 second"
    assert caption("blue", "up", 8) == "a blue square moves up for 8 seconds"


def test_frames_are_spread_from_first_to_last() -> None:
    """Both ends are taken, and what is between evenly."""
    assert spread(10, 4) == [0, 3, 6, 9]


def test_the_weights_are_small() -> None:
    """Weights, tokenizer and configurations together have at most 8 MB."""
    assert 0 < sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= MOST_BYTES
