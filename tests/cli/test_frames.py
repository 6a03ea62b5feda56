"""``capstream frames``: which pictures are written, how large, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.commands import USAGE, Run
from tests.clips import mux

RED = (200, 30, 30)  # the ground of the clip


def frames_in(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "frames.json").read_text())
    return report


@pytest.mark.parametrize(
    ("options", "times"),
    [
        (["--num-frames", 2], [0.0, 3.9]),
        (["--every", 1.5], [0.0, 1.5, 3.0]),
        (["--fps", 1], [0.0, 1.0, 2.0, 3.0]),
        (["--fps", 2, "--start", 1, "--end", 2], [1.0, 1.5]),
        (["--every", 1, "--start", 2.5], [2.5, 3.5]),
        (["--num-frames", 1, "--start", 1, "--end", 1.05], [1.0]),
        (["--num-frames", 4096], [n / 10 for n in range(40)]),
        ([], [n / 2 for n in range(8)]),
        (["--uniform", 2], [1.0, 3.0]),
        (["--times", "3.05, 0,1.5"], [0.0, 1.5, 3.0]),
        (["--keyframes"], [0.0]),
        (["--scene"], [1.0, 2.7]),
        (["--fps", 10, "--max-frames", 3], [0.0, 2.0, 3.9]),
        (["--profile", "qwen2.5-vl", "--num-frames", 3], [0.0, 1.3, 2.6, 3.9]),
    ],
)
def test_frames_are_those_that_were_asked_for(
    capstream: Run, clip: Path, tmp_path: Path, options: list[object], times: list[float]
) -> None:
    """Each strategy and range chooses its times; each has its picture, and nothing else is written."""
    out = tmp_path / "new" / "folder"
    ran = capstream("frames", clip, "--out", out, *options)
    assert (ran.code, ran.err, ran.out) == (0, "", f"{len(times)} frames in {out}\n")
    told = frames_in(out)["frames"]
    assert [frame["pts_seconds"] for frame in told] == pytest.approx(times)
    assert {path.name for path in out.iterdir()} == {"frames.json", *(frame["file"] for frame in told)}


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ([], (320, 240)),
        (["--width", 160], (160, 120)),
        (["--height", 60], (80, 60)),
        (["--width", 50, "--height", 70], (50, 70)),
    ],
)
def test_pictures_have_the_asked_size_and_true_colours(
    capstream: Run, clip: Path, tmp_path: Path, options: list[object], size: tuple[int, int]
) -> None:
    """Every PNG opens, is RGB, as large as ``frames.json`` says, and as red as the clip."""
    assert capstream("frames", clip, "--out", tmp_path, "--num-frames", 2, *options).code == 0
    report = frames_in(tmp_path)
    assert (report["width"], report["height"]) == size
    for frame in report["frames"]:
        with Image.open(tmp_path / frame["file"]) as picture:
            assert (picture.mode, picture.size) == ("RGB", size)
            colour = np.median(np.asarray(picture).reshape(-1, 3), axis=0)
        assert colour == pytest.approx(RED, abs=12)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], (8, 320, 240, None, None)),
        (["--profile", "Qwen/Qwen2.5-VL-7B-Instruct"], (8, 392, 280, "qwen2.5-vl", 4 * 14 * 10)),
        (["--profile", "SMOLVLM2-2.2B"], (4, 384, 384, "smolvlm2", 4 * 81)),
        (["--profile", "qwen3-vl", "--width", 64], (8, 64, 48, "qwen3-vl", 4 * 2 * 1)),
    ],
)
def test_a_profile_decides_frames_and_size(
    capstream: Run, clip: Path, tmp_path: Path, options: list[object], told: tuple[object, ...]
) -> None:
    """Number and size are the model's unless said otherwise; the report names the profile and its tokens."""
    assert capstream("frames", clip, "--out", tmp_path, *options).code == 0
    report = frames_in(tmp_path)
    keys = ("width", "height", "profile", "visual_tokens")
    assert (len(report["frames"]), *(report[key] for key in keys)) == told


def test_frames_json_says_what_was_found(capstream: Run, clip: Path, tmp_path: Path) -> None:
    """Source, stream, rotation and warnings stand beside the times."""
    assert capstream("frames", clip.as_uri(), "--out", tmp_path, "--num-frames", 1).code == 0
    report = frames_in(tmp_path)
    assert (report["stream"], report["rotation"], report["warnings"]) == (0, 0, [])
    assert report["source"]["bytes"] == clip.stat().st_size
    assert report["video"]["frame_count"] == 40


def test_a_damaged_video_gives_what_is_whole_where_that_is_asked(
    capstream: Run, clip: Path, tmp_path: Path
) -> None:
    """By default it is an error and nothing is written; with ``partial`` the report says what is missing."""
    half, out = tmp_path / "half.mkv", tmp_path / "out"
    remuxed = mux(tmp_path / "whole.mkv", clip)
    half.write_bytes(remuxed.read_bytes()[: remuxed.stat().st_size * 2 // 3])
    failed = capstream("frames", half, "--out", out)
    assert failed.code == 1
    assert failed.told.startswith("capstream: the file is cut short")
    assert not list(out.iterdir())
    assert capstream("frames", half, "--out", out, "--on-damage", "partial").code == 0
    report = frames_in(out)
    assert 0 < len(report["frames"]) < 8
    assert not report["coverage"]["complete"]


def test_pictures_of_an_earlier_run_are_removed(capstream: Run, clip: Path, tmp_path: Path) -> None:
    """What stays is one run's and what others put there; a run that fails removes nothing."""
    others = tmp_path / "frame-1.png"
    others.write_text("not ours")
    assert capstream("frames", clip, "--out", tmp_path, "--num-frames", 4).code == 0
    assert capstream("frames", "data:,", "--out", tmp_path).code == 1
    assert len(list(tmp_path.glob("frame-*.png"))) == 5
    again = capstream("frames", clip, "--out", tmp_path, "--num-frames", 2)
    assert (again.code, again.err) == (0, f"4 pictures of an earlier run were removed from {tmp_path}\n")
    left = {frame["file"] for frame in frames_in(tmp_path)["frames"]} | {others.name}
    assert {path.name for path in tmp_path.glob("frame-*")} == left


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--on-damage", "hope"], "Invalid value for '--on-damage': 'hope' is not one of 'fail', 'partial'."),
        (
            ["--num-frames", "0"],
            "Error: Invalid value for '--num-frames': '0' is refused; allowed: whole number, at least 1",
        ),
        (
            ["--num-frames", "4097"],
            "Invalid value for '--num-frames': '4097' is refused; allowed: whole number, at least 1",
        ),
        (
            ["--num-frames", "x"],
            "Invalid value for '--num-frames': 'x' is refused; allowed: whole number, at least 1",
        ),
        (["--fps", "0"], "Invalid value for '--fps': '0' is refused; allowed: number, above 0, at most 240"),
        (["--fps", "nan"], "Invalid value for '--fps': 'nan' is refused; allowed: number, above 0"),
        (["--fps", "x"], "Invalid value for '--fps': 'x' is refused; allowed: number, above 0"),
        (["--every", "-1"], "'--every': '-1' is refused; allowed: number, above 0, at most 86,400"),
        (["--start", "-1"], "Invalid value for '--start': '-1' is refused; allowed: number, at least 0"),
        (["--start", "nan"], "Invalid value for '--start': 'nan' is refused; allowed: number, at least 0"),
        (["--end", "inf"], "Invalid value for '--end': 'inf' is refused; allowed: number, above 0"),
        (["--fps", "1", "--every", "1"], "Error: give one of --fps, --num-frames, --every, --uniform, "),
        (["--scene", "--keyframes"], "--keyframes, --scene and --times"),
        (["--times", "1,x"], "Invalid value for '--times': 'x' is refused; allowed: number, at least 0"),
        (["--times", ",".join(["1"] * 1025)], "--times takes 1024 times at most, not 1025"),
        (["--profile", "llama"], "--profile 'llama' is refused; allowed: a known model's id, or qwen2-vl, "),
        (["--start", "2", "--end", "1"], "Error: --end 1 must be above --start 2"),
        (["--start", "1", "--end", "1"], "Error: --end 1 must be above --start 1"),
        (["--width", "0"], "Invalid value for '--width': 0 is not in the range 1<=x<=16384."),
    ],
)
def test_frames_refuses_what_makes_no_sense(
    capstream: Run, clip: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    """The option, its value and what is allowed are named; nothing is written."""
    out = tmp_path / "out"
    ran = capstream("frames", clip, "--out", out, *arguments)
    assert (ran.code, ran.out) == (USAGE, "")
    assert told in ran.told
    assert "Traceback" not in ran.err
    assert not list(out.glob("*"))


def test_frames_refuses_bad_videos_and_folders(capstream: Run, clip: Path, tmp_path: Path) -> None:
    """A missing file, a text and a folder that is a file are each told in one sentence."""
    text = tmp_path / "notes.mp4"
    text.write_text("This is not a video.\n" * 50)
    missing = capstream("frames", "none.mp4", "--out", "out")
    assert (missing.code, missing.told) == (1, "capstream: 'none.mp4' is neither a file here nor a URL")
    assert not (tmp_path / "out").exists()
    unreadable = capstream("frames", text, "--out", "out")
    assert unreadable.code == 1
    assert unreadable.told.startswith("capstream: not a video in a known container")
    too_late = capstream("frames", clip, "--out", "out", "--start", 9)
    assert too_late.code == 1
    assert too_late.told.startswith("capstream: no frame is shown from 9.000 s")
    no_folder = capstream("frames", clip, "--out", text)
    assert (no_folder.code, no_folder.told) == (1, f"Error: {text}: File exists")
