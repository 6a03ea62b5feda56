"""The command line without Kafka and Ray: captions, settings, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from serve_app.schema import CaptionRecord
from tests.albums import data_url, packed, shade
from tests.cli.commands import USAGE, Run

ROOT = Path(__file__).parents[2]


# caption


def test_caption_prints_one_sentence(capstream: Run, clip: Path) -> None:
    """The caption alone goes to standard output, so that it can be piped."""
    ran = capstream("caption", clip)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("\n") == 1
    assert "video of 4.0 s" in ran.out


def test_caption_prints_the_whole_record_as_json(capstream: Run, clip: Path) -> None:
    """With ``--json`` it is a record of the published schema, with the facts of this very file."""
    ran = capstream("caption", clip, "--json", "--prompt", "What is red?")
    made = CaptionRecord.model_validate_json(ran.out)
    assert (ran.code, made.request, made.attempts) == (0, None, 1)
    assert made.source.bytes == clip.stat().st_size
    assert made.video.frame_count == 40
    assert made.frames.pts_seconds == [n / 2 for n in range(8)]


def test_caption_takes_a_data_uri(capstream: Run, clip: Path) -> None:
    """A video that is written out in the argument is longer than any file's name."""
    ran = capstream("caption", f"data:video/mp4;base64,{b64encode(clip.read_bytes()).decode()}")
    assert ran.code == 0
    assert "video of 4.0 s" in ran.out


def test_caption_takes_images_as_one_video(capstream: Run, tmp_path: Path) -> None:
    """Files and other URLs, in their order, so many a second."""
    for place in range(3):
        (tmp_path / f"{place}.png").write_bytes(packed(shade(place * 90)))
    ran = capstream("caption", "0.png", "1.png", "2.png", data_url(packed(shade(9))), "--fps", 2, "--json")
    made = CaptionRecord.model_validate_json(ran.out)
    assert (made.source.url, made.source.images) == ((tmp_path / "0.png").as_uri(), 4)
    assert (made.frames.pts_seconds, made.video.duration_s) == ([0, 0.5, 1, 1.5], 2)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["none.mp4"], 1, "capstream: 'none.mp4' is neither a file here nor a URL"),
        ([""], 1, "capstream: '' is neither a file here nor a URL"),
        (["gopher://h/x"], 1, "capstream: scheme 'gopher' is not allowed; allowed: http, https, file, data"),
        (["notes.mp4"], 1, "capstream: not a video in a known container"),
        (["."], 1, "not a regular file"),
        (["notes.mp4", "--prompt", ""], USAGE, "Error: prompt: '' is refused; allowed: text, 1 or longer"),
        (
            ["notes.mp4", "notes.mp4"],
            USAGE,
            "several images are one video if --fps says how many of them are",
        ),
        (["notes.mp4", "--fps", "1"], 1, "capstream: image 1 of 1: not a JPEG, PNG, WebP, BMP or GIF"),
        (
            ["notes.mp4", "--fps", "0"],
            USAGE,
            "'0' is refused; allowed: number, at least 1e-06, at most 1,000",
        ),
        ([], USAGE, "Error: Missing argument 'FILE|URL…'."),
    ],
)
def test_caption_refuses_in_one_sentence(
    capstream: Run, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    """What cannot be captioned is told on standard error, without a traceback."""
    (tmp_path / "notes.mp4").write_text("This is not a video.\n" * 50)
    ran = capstream("caption", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert told in ran.told
    assert "Traceback" not in ran.err


# config


def test_config_check_tells_every_violation(capstream: Run, config: Path, tmp_path: Path) -> None:
    """Good files are ok, bad ones are told line by line, and the exit code says which it was."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(config.read_text().replace("settle_timeout_s", "settle_timeout").replace("name", "nam"))
    good = capstream("config", "check", config, ROOT / "configs" / "serve.yaml")
    assert (good.code, good.out.count(": ok\n")) == (0, 2)
    ran = capstream("config", "check", bad, config, tmp_path / "none.yaml")
    assert ran.code == 1
    assert f"{bad}: args.consumer.settle_timeout: unknown key; did you mean settle_timeout_s?" in ran.out
    assert f"{bad}: applications[0].nam: unknown key; did you mean name?" in ran.out
    assert f"{config}: ok" in ran.out
    assert "none.yaml: No such file or directory" in ran.out
    assert "hunter2" not in ran.out + ran.err


def test_config_show_hides_secrets(capstream: Run, config: Path) -> None:
    """All settings with their defaults are shown; what may be a secret is not."""
    ran = capstream("config", "show", config)
    assert ran.code == 0
    assert "sasl.password: '***'" in ran.out
    assert "client.rack: r1" in ran.out
    assert "settle_timeout_s: 0.5" in ran.out
    assert "hunter2" not in ran.out


def test_a_bad_config_stops_every_command(capstream: Run, config: Path, clip: Path) -> None:
    """Each command refuses settings that are impossible, before it does anything."""
    config.write_text(config.read_text().replace("0.5", "-1"))
    for command in (["caption", clip], ["frames", clip, "--out", "o"], ["submit", "x:y"], ["tail"]):
        ran = capstream("--config", config, *command)
        assert (ran.code, ran.out) == (1, "")
        assert "args.consumer.settle_timeout_s: '-1' is refused" in ran.told


# submit and tail, as far as they go without a broker


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.mp4"], "'none.mp4' is no request: the value is neither JSON nor a URL"),
        ([""], "'' is no request: the value is empty"),
        (['{"url": 1}'], "is no request: url: '1' is refused; allowed: text"),
        (['{"uri": "x:y"}'], "is no request: uri: unknown key; did you mean url?"),
        (["x:y", "--num-frames", "0"], "'--num-frames': '0' is refused; allowed: whole number, at least 1"),
        (["x:y", "--start", "nan"], "'--start': 'nan' is refused; allowed: number, at least 0"),
        (['{"url": "x:y", "sampling": {"num_frames": 0}}'], "is no request: sampling.num_frames: '0' is ref"),
        (["x:y", "--start", "2", "--end", "1"], "end_s 1.0 must be above start_s 2.0"),
        (["x:y", "--fps", "1", "--num-frames", "1"], "give one of --fps and --num-frames"),
        (['{"url": "x:y"}', "--task", "describe"], "options go with URLs; a JSON value says everything"),
        ([], "Missing argument"),
    ],
)
def test_submit_refuses_what_is_no_request(
    capstream: Run, config: Path, arguments: list[str], told: str
) -> None:
    """It is told before anything is sent: the exit code is that of a wrong command line."""
    ran = capstream("--config", config, "submit", *arguments)
    assert (ran.code, ran.out) == (USAGE, "")
    assert told in ran.told


@pytest.mark.parametrize("command", [["tail", "--timeout", "1"], ["submit", "x:y"]])
def test_without_a_broker_there_is_one_sentence(capstream: Run, config: Path, command: list[str]) -> None:
    """The address that does not answer is named, once, and the client's own lines are kept back."""
    ran = capstream("--config", config, *command)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    assert "127.0.0.1:" in ran.err


def test_client_properties_that_do_not_exist_are_refused(capstream: Run, config: Path) -> None:
    """The client library's refusal comes as a sentence that names the property."""
    config.write_text(config.read_text().replace("client.rack", "no.such"))
    for command in (["tail"], ["submit", "x:y"]):
        ran = capstream("--config", config, *command)
        assert ran.code == 1
        assert ran.err == "capstream: broker.client.no.such: librdkafka has no such property\n"


# the process itself


def test_a_reader_that_leaves_early_is_no_error_to_tell(clip: Path) -> None:
    """A pipe whose reader is gone ends the command without a complaint."""
    command = [sys.executable, "-m", "serve_app.cli", "caption", str(clip), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_help_names_every_command(capstream: Run) -> None:
    """The first thing that is typed lists what there is."""
    ran = capstream("--help")
    assert ran.code == 0
    for command in ("submit", "tail", "caption", "frames", "config"):
        assert f"\n  {command} " in ran.out
