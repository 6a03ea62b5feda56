"""The baseline engine says what can be measured, and that it is no model."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.engines.baseline import outcome_of
from serve_app.engines.measure import NAMED, measure
from serve_app.engines.protocol import Generation, Prompt
from serve_app.engines.table import build_engine
from serve_app.errors import Failure
from serve_app.settings import BaselineSettings


def plain(rgb: tuple[int, int, int], frames: int = 4) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, dtype=np.uint8), (frames, 90, 160, 3)).copy()


def prompt(frames: np.ndarray) -> Prompt:
    return Prompt(frames, tuple(float(n) for n in range(len(frames))), 4.0, "describe", "What is it?")


@pytest.mark.parametrize("name", NAMED)
def test_a_plain_colour_is_called_by_its_name(name: str) -> None:
    """Frames of one named colour are mostly that colour."""
    assert measure(plain(NAMED[name])).colours[0] == name


@pytest.mark.parametrize(
    ("rgb", "colour"),
    [((255, 0, 0), "red"), ((0, 255, 0), "green"), ((0, 0, 255), "blue"), ((200, 0, 0), "red")],
)
def test_pure_primaries_have_their_everyday_names(rgb: tuple[int, int, int], colour: str) -> None:
    """Full-strength red, green and blue are called so."""
    assert measure(plain(rgb)).colours == (colour,)


def test_light_goes_from_black_to_very_bright() -> None:
    """Mean luma decides the word."""
    levels = [measure(plain((v, v, v))).light for v in (0, 40, 90, 150, 250)]
    assert levels == ["black", "dark", "dim", "bright", "very bright"]


def test_cuts_are_counted_and_are_no_motion() -> None:
    """Two hard changes of colour are two cuts; the still shots between them have no motion."""
    frames = np.concatenate([plain(NAMED["red"]), plain(NAMED["blue"]), plain(NAMED["white"])])
    found = measure(frames)
    assert (found.cuts, found.motion) == (2, "no")


def test_a_moving_square_is_motion_without_a_cut() -> None:
    """What moves over a constant ground changes luma, not the histogram."""
    frames = plain((0, 0, 0), frames=8)
    for index, frame in enumerate(frames):
        frame[20:60, 10 + index * 12 : 50 + index * 12] = 255
    found = measure(frames)
    assert found.cuts == 0
    assert found.motion in ("moderate", "much")


def test_caption_is_openly_no_model() -> None:
    """Nobody can take a measurement for a model's words."""
    outcome = outcome_of(prompt(plain((255, 0, 0))))
    assert isinstance(outcome, Generation)
    assert outcome.text == (
        "Dark video of 4.0 s, mostly red, with no motion and no cuts in 4 frames "
        "(measured by the baseline engine, not a model)."
    )


def test_single_frame_is_a_picture() -> None:
    """One frame has neither motion nor cuts."""
    outcome = outcome_of(prompt(plain((255, 255, 255), frames=1)))
    assert isinstance(outcome, Generation)
    assert outcome.text.startswith("Very bright picture, mostly white")


async def test_a_bad_item_fails_alone() -> None:
    """An empty or misshapen item is a failure in its place, its neighbours are captioned."""
    engine = build_engine(BaselineSettings())
    empty = np.zeros((0, 90, 160, 3), dtype=np.uint8)
    grey = np.zeros((2, 90, 160), dtype=np.uint8)
    good = plain((0, 0, 255))
    good.setflags(write=False)
    outcomes = await engine.generate([prompt(empty), prompt(good), prompt(grey)])
    assert [type(outcome) for outcome in outcomes] == [Failure, Generation, Failure]


def test_text_alone_is_refused() -> None:
    """There is nothing to measure, and no model to write from text."""
    said = outcome_of(Prompt(None, (), 4.0, "summary", "What is it?"))
    assert isinstance(said, Failure)
    assert (said.error_class, "no model" in said.message) == ("EngineRejectedError", True)
