"""Model profiles: which frames, how large, how many tokens; tests/parity compares with the models' code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import NoFramesError
from serve_app.schema import (
    FpsSampling,
    IntervalSampling,
    NumFramesSampling,
    SceneSampling,
    TimesSampling,
    UniformSampling,
)
from serve_app.settings import DecoderSettings, GeometrySettings, ModelProfile
from serve_app.settings.models import BUILT_IN, profile_of
from serve_app.settings.profile import FitSize, FrameRule, FrameTokens, PatchSize, PixelTokens, TileTokens
from serve_app.video.geometry import FixedSize, target_size
from serve_app.video.job import SHOT, Asked, Shot
from serve_app.video.profiles import frame_count, frame_rate, model_frames, placed, steady, visual_tokens


def profile(model: str) -> ModelProfile:
    found = profile_of(model)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen2-VL-7B-Instruct", "qwen2-vl"),
        ("qwen/qwen2-vl-72b-instruct-awq", "qwen2-vl"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "qwen2.5-vl"),
        ("/models/QWEN2_5_VL", "qwen2.5-vl"),
        ("Qwen/Qwen3-VL-235B-A22B-Thinking", "qwen3-vl"),
        ("qwen3-vl-transformers", "qwen3-vl-transformers"),
        ("llava-hf/llava-onevision-qwen2-7b-ov-hf", "llava-onevision"),
        ("lmms-lab/LLaVA-Video-7B-Qwen2", "llava-onevision"),
        ("llava-hf/LLaVA-NeXT-Video-7B-hf", "llava-next-video"),
        ("OpenGVLab/InternVL3-8B", "internvl"),
        ("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "smolvlm2"),
        ("HuggingFaceTB/SmolVLM2-256M-Video-Instruct", "smolvlm2-small"),
        ("gpt-4o-2024-11-20", "openai"),
        ("openai/gpt-4o", "openai"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("claude-opus-4-5", "claude"),
        ("gemini-2.5-flash", "gemini"),
    ],
)
def test_a_model_is_known_by_its_id(model: str, name: str) -> None:
    """In any case, with an organisation or a path before it."""
    assert profile(model).name == name
    assert profile(model.upper()).name == name


@pytest.mark.parametrize(
    "model", ["meta-llama/Llama-3.1-8B", "Qwen/Qwen2.5-7B-Instruct", "", "qwen", "gpt-3.5"]
)
def test_other_models_have_no_profile(model: str) -> None:
    """A language model is not taken for its relative with eyes."""
    assert profile_of(model) is None


def test_a_profile_is_found_by_its_own_name() -> None:
    """Also where its name would match another's pattern."""
    assert [profile(one.name) for one in BUILT_IN] == list(BUILT_IN)


def test_qwen2_and_its_successor_share_their_rules() -> None:
    """What is proven of the one is so of the other."""
    rules = [profile(name).model_dump(exclude={"name", "models"}) for name in ("qwen2-vl", "qwen2.5-vl")]
    assert rules[0] == rules[1]


@pytest.mark.parametrize(
    ("model", "total", "fps", "count"),
    [
        ("qwen2.5-vl", 300, 30.0, 20),
        ("qwen2.5-vl", 310, 30.0, 20),
        ("qwen2.5-vl", 45, 30.0, 4),
        ("qwen2.5-vl", 3, 30.0, 2),
        ("qwen2.5-vl", 1, 30.0, 1),
        ("qwen2.5-vl", 108_000, 30.0, 768),
        ("qwen3-vl-transformers", 310, 30.0, 20),
        ("qwen3-vl-transformers", 316, 30.0, 21),
        ("smolvlm2", 75, 30.0, 2),
        ("smolvlm2", 76, 30.0, 3),
        ("smolvlm2", 10, 30.0, 1),
        ("llava-onevision", 300, 30.0, 32),
        ("llava-onevision", 30, 30.0, 30),
        ("gemini", 300, 30.0, 10),
    ],
)
def test_models_count_their_frames(model: str, total: int, fps: float, count: int) -> None:
    """Known videos, by each rule of rounding and with each bound in force."""
    assert frame_count(profile(model).frames, total, fps) == count


@pytest.mark.parametrize(
    ("placing", "indices"),
    [
        ("ends", [0, 3, 6, 9]),
        ("ends_down", [0, 3, 6, 9]),
        ("starts", [0, 2, 5, 7]),
        ("middles", [1, 3, 6, 8]),
    ],
)
def test_four_of_ten_frames_are_placed_by_each_rule(placing: str, indices: list[int]) -> None:
    """The four ways to spread frames over a video."""
    rule = FrameRule.model_validate({"num_frames": 4, "placing": placing})
    assert placed(rule, 10, 4, 30.0).tolist() == indices


def test_rounding_tells_the_ends_apart() -> None:
    """Three of eight: the middle one is 3.5, which is the fourth or, to the even neighbour, the fifth."""
    chosen = {
        placing: placed(FrameRule.model_validate({"num_frames": 3, "placing": placing}), 8, 3, 30.0).tolist()
        for placing in ("ends", "ends_down")
    }
    assert chosen == {"ends": [0, 4, 7], "ends_down": [0, 3, 7]}


def test_smolvlm_leaves_out_the_ends_of_long_videos() -> None:
    """One second at either end, of what lasts longer than it would show at its rate."""
    rule = profile("smolvlm2").frames
    assert placed(rule, 30 * 100, 64, 30.0)[[0, -1]].tolist() == [30, 2970]
    assert placed(rule, 30 * 60, 60, 30.0)[[0, -1]].tolist() == [0, 1799]


@pytest.mark.parametrize(
    ("model", "shown", "frames", "size"),
    [
        ("qwen2.5-vl", (1920, 1080), 2, (1008, 560)),
        ("qwen2.5-vl", (1920, 1080), 768, (644, 336)),
        ("qwen2.5-vl", (320, 240), 8, (392, 280)),
        ("qwen3-vl", (1920, 1080), 2, (1152, 640)),
        ("qwen3-vl-transformers", (1920, 1080), 8, (1920, 1088)),
        ("qwen3-vl-transformers", (1920, 1080), 768, (224, 128)),
        ("llava-onevision", (1920, 1080), 8, (384, 384)),
        ("llava-next-video", (1920, 1080), 8, (597, 336)),
        ("llava-next-video", (1080, 1920), 8, (336, 597)),
        ("smolvlm2", (1920, 1080), 8, (384, 384)),
        ("openai", (1920, 1080), 8, (1365, 768)),
        ("openai", (320, 240), 8, (320, 240)),
        ("claude", (1920, 1080), 8, (1429, 804)),
        ("gemini", (1920, 1080), 8, (768, 432)),
    ],
)
def test_models_size_their_frames(
    model: str, shown: tuple[int, int], frames: int, size: tuple[int, int]
) -> None:
    """Known pictures, by each rule; where a video has a budget, many frames are smaller ones."""
    assert target_size(*shown, profile(model).size, frames) == size


def test_a_fitting_size_keeps_every_bound() -> None:
    """Both sides and the area are at most what is said, whatever the picture."""
    size = FitSize(longest_edge=1568, shortest_edge=768, max_pixels=1_000_000)
    for width, height in ((8000, 4500), (4500, 8000), (1568, 768), (3000, 10), (769, 769)):
        wide, high = target_size(width, height, size)
        assert max(wide, high) <= 1568
        assert min(wide, high) <= 768
        assert wide * high <= 1_000_000
    assert target_size(1568, 600, size) == (1568, 600)


@pytest.mark.parametrize(
    ("model", "frames", "size", "tokens"),
    [
        ("qwen2.5-vl", 20, (392, 280), 10 * 14 * 10),
        ("qwen2.5-vl", 3, (392, 280), 2 * 14 * 10),
        ("qwen3-vl", 4, (448, 320), 2 * 14 * 10),
        ("llava-onevision", 32, (384, 384), 32 * 196 + 1),
        ("llava-next-video", 8, (597, 336), 8 * 144),
        ("smolvlm2", 10, (384, 384), 810),
        ("openai", 2, (1365, 768), 2 * (6 * 170 + 85)),
        ("gpt-4o-mini", 2, (1365, 768), 2 * (6 * 5667 + 2833)),
        ("claude", 1, (1092, 1092), 1590),
        ("gemini", 10, (768, 432), 2580),
    ],
)
def test_models_count_their_tokens(model: str, frames: int, size: tuple[int, int], tokens: int) -> None:
    """Known frames, by each rule."""
    assert visual_tokens(profile(model).tokens, frames, *size) == tokens


def test_tokens_round_up() -> None:
    """A begun tile or token is a whole one."""
    assert visual_tokens(TileTokens(tile=10, per_tile=3, per_frame=1), 2, 11, 20) == 2 * (4 * 3 + 1)
    assert visual_tokens(PixelTokens(pixels_per_token=7), 3, 5, 3) == 3 * 3
    assert visual_tokens(FrameTokens(per_frame=0), 3, 5, 3) == 0


@pytest.mark.parametrize("rate", [24_000 / 1001, 25.0, 30_000 / 1001, 60.0, 12.5])
@pytest.mark.parametrize("origin", [0.0, 1.4, 3600.033])
@pytest.mark.parametrize("grid_s", [None, 0.001, 1 / 90_000])
def test_rates_survive_how_containers_write_times(rate: float, origin: float, grid_s: float | None) -> None:
    """Shifted, in milliseconds or in ticks: the rate is the stream's own, and the video is steady."""
    times = origin + np.arange(3000) / rate
    times = times if grid_s is None else np.round(times / grid_s) * grid_s
    tolerance = 0.0 if grid_s is None else 1e-5
    assert frame_rate(times) == pytest.approx(rate, rel=tolerance, abs=0)
    assert steady(times, times[-1] + 1 / rate)


def test_a_steady_video_has_the_models_own_indices() -> None:
    """Ten seconds at 30 fps: 20 frames of 300 by Qwen's rule, whatever the container's clock says."""
    expected = np.linspace(0, 299, 20).round().astype(int).tolist()
    for times in (np.arange(300) / 30, 5 + np.arange(300) / 30, np.round(np.arange(300) / 30, 3)):
        end = float(times[-1]) + 1 / 30
        assert model_frames(times, end, profile("qwen2.5-vl").frames).tolist() == expected


def test_a_range_has_the_frames_of_its_own_length() -> None:
    """Seconds 2 to 4 are 60 frames, of which four are taken, the first and the last among them."""
    times = np.arange(300) / 30
    chosen = model_frames(times, 10.0, profile("qwen2.5-vl").frames, 2.0, 4.0)
    assert chosen.tolist() == [60, 80, 99, 119]
    with pytest.raises(NoFramesError):
        model_frames(times, 10.0, profile("qwen2.5-vl").frames, 11.0)


@pytest.mark.parametrize("placing", ["ends", "ends_down", "starts", "middles"])
def test_a_variable_rate_goes_by_time(placing: str) -> None:
    """99 frames in the first second and one for nine more: not all places fall into the first second."""
    times = np.concatenate((np.arange(99) / 99, [1.0]))
    assert not steady(times, 10.0)
    rule = FrameRule.model_validate({"num_frames": 4, "placing": placing})
    chosen = model_frames(times, 10.0, rule)
    assert chosen[-1] == 99
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) <= 4


@given(
    gaps=st.lists(st.floats(0.001, 10), min_size=1, max_size=100),
    placing=st.sampled_from(["ends", "ends_down", "starts", "middles"]),
    fps=st.floats(0.1, 30),
    skip_s=st.sampled_from([0.0, 1.0]),
)
def test_any_video_has_frames_in_order(gaps: list[float], placing: str, fps: float, skip_s: float) -> None:
    """However uneven: at least one, none twice, within the video and the bounds."""
    times = np.cumsum(gaps)
    rule = FrameRule.model_validate({"fps": fps, "placing": placing, "max_frames": 16, "skip_s": skip_s})
    chosen = model_frames(times, float(times[-1]) + 1.0, rule)
    assert 1 <= len(chosen) <= 16
    assert (np.diff(chosen) > 0).all()
    assert 0 <= chosen[0] <= chosen[-1] < len(times)


def test_a_last_frame_that_stays_counts_with_its_time() -> None:
    """Ten frames in a tenth of a second, the last one held for a minute: as many as two a second ask for."""
    times = np.arange(10) / 100
    assert len(model_frames(times, 60.0, FrameRule(fps=2.0))) == 10
    assert len(model_frames(times, 0.1, FrameRule(fps=2.0))) == 1
    assert model_frames(times[:1], 60.0, FrameRule(fps=2.0, frame_factor=2)).tolist() == [0]


def test_a_request_is_laid_over_the_models_rule() -> None:
    """Rate, interval and count replace the model's; its rounding stays, and so do bounds not spoken of."""
    rule = profile("qwen2.5-vl").frames
    assert rule.under(FpsSampling(fps=1)) == rule.model_copy(update={"fps": 1.0})
    assert rule.under(IntervalSampling(every_s=4, max_frames=8)) == rule.model_copy(
        update={"fps": 0.25, "max_frames": 8}
    )
    assert rule.under(FpsSampling(fps=2, max_frames=1)) == rule.model_copy(
        update={"min_frames": 1, "max_frames": 2}
    )
    counted = rule.under(NumFramesSampling(num_frames=7))
    assert counted is not None
    assert frame_count(counted, 300, 30.0) == 8
    assert rule.under(UniformSampling(segments=4)) is None


def test_without_a_profile_nothing_is_different() -> None:
    """The settings' sampling and geometry, and no bound but that of all samplings."""
    settings = DecoderSettings()
    assert Asked().shot(settings, None) == Shot(settings.sampling, size=settings.geometry)


def test_a_profile_rules_where_nobody_else_spoke() -> None:
    """Its frames are replaced by a sampling in the request or the settings, its size by nothing."""
    known = profile("qwen2.5-vl")
    assert Asked().shot(DecoderSettings(), known).rule == known.frames
    said = Asked(sampling=FpsSampling(fps=1)).shot(DecoderSettings(), known)
    assert said.rule == known.frames.model_copy(update={"fps": 1.0})
    by_settings = Asked().shot(DecoderSettings(sampling=FpsSampling(fps=0.5)), known)
    assert by_settings.rule == known.frames.model_copy(update={"fps": 0.5})
    assert {shot.size for shot in (said, by_settings)} == {known.size}


def test_other_strategies_keep_the_models_factor() -> None:
    """Scene counts in it from the start, the rest is thinned to it, and named times stay as they are."""
    known = profile("qwen3-vl")
    scene = Asked(sampling=SceneSampling()).shot(DecoderSettings(), known)
    assert scene.sampling == SceneSampling(frame_factor=2)
    uniform = Asked(sampling=UniformSampling(segments=5)).shot(DecoderSettings(), known)
    times = Asked(sampling=TimesSampling(times_s=(1.0,))).shot(DecoderSettings(), known)
    assert (scene.rule, uniform.rule, times.rule) == (None, None, None)
    assert (uniform.frame_factor, times.frame_factor) == (2, 1)


def test_the_smaller_limit_holds() -> None:
    """max_sampled_frames of the request and of the settings."""
    settings = DecoderSettings(max_sampled_frames=32)
    assert [Asked(max_frames=most).shot(settings, None).max_frames for most in (None, 8, 64)] == [32, 8, 32]


@pytest.mark.parametrize(
    "size",
    [
        GeometrySettings(),
        FixedSize(),
        FixedSize(width=64),
        FixedSize(64, 36),
        *(one.size for one in BUILT_IN),
        PatchSize(factor=28, min_pixels=784, max_pixels=7840),
    ],
    ids=repr,
)
def test_a_shot_survives_its_way_to_the_child(size: GeometrySettings | FixedSize | PatchSize) -> None:
    """As JSON and back it is the same, whichever way its size is said."""
    shot = Shot(SceneSampling(), 1.0, 2.0, size, BUILT_IN[0].frames, 7, 2)
    assert SHOT.validate_json(SHOT.dump_json(shot)) == shot
