"""What is said of a bug on a topic: class and place, never the text that somebody else wrote."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

import pytest
from ray.exceptions import RayTaskError

from serve_app.bugs import named, named_by
from serve_app.deployments.calls import answer
from serve_app.errors import Failure, InternalError
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.sandbox import Sandbox
from tests.clips import write_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

HUSH = "postgresql://me:hush@10.1.2.3/db"
PLACE = r"serve_app\.errors\.of, line \d+"
TRACK = f"""ray::ServeReplica:capstream:Decoder.handle_request() (pid=7, ip=10.1.2.3)
  File "/opt/app/lib/python3.11/site-packages/ray/serve/_private/replica.py", line 1234, in _call
    return await method(*args)
  File "/opt/app/serve_app/deployments/decoder.py", line 68, in caption
    task = task_named(request.task)
  File "/opt/app/lib/python3.11/site-packages/numpy/core.py", line 9, in loaded
    raise ValueError(text)
ValueError: {HUSH}
"""


def raised(kind: type[Exception], make: Callable[[], object]) -> BaseException:
    with pytest.raises(kind) as caught:
        make()
    return caught.value


class Secretive:
    """An error of another library's, whose text tells too much."""

    @property
    def family(self) -> str:
        raise LookupError(HUSH)


def test_a_bug_is_named_by_class_and_place_in_our_own_code() -> None:
    """The last of our own functions that the exception went through, with its line."""
    bug = raised(LookupError, lambda: Failure.of(Secretive()))  # type: ignore[arg-type]  # that is the bug
    assert re.fullmatch(f"LookupError in {PLACE}", named(bug))


def test_a_bug_outside_our_code_is_named_by_its_class() -> None:
    """There is nothing of ours to name."""
    assert named(raised(ValueError, lambda: int(HUSH))) == "ValueError"


def test_a_bug_of_another_process_is_named_by_its_track() -> None:
    """As Ray brings it: of the text only our own places are read."""
    assert named_by(ValueError(HUSH), TRACK) == "ValueError in serve_app.deployments.decoder.caption, line 68"
    in_a_lambda = TRACK.replace("in caption", "in <lambda>")
    assert named_by(ValueError(HUSH), in_a_lambda).endswith("decoder.<lambda>, line 68")
    assert named_by(ValueError(HUSH), HUSH) == "ValueError"


class Response:
    """A handle's response that ends in a bug of the callee's."""

    def __await__(self) -> Generator[None, None, Failure]:
        yield from asyncio.sleep(0).__await__()
        raise RayTaskError("caption", TRACK, ValueError(HUSH))


async def test_a_bug_behind_a_handle_goes_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The failure names class and place; the log has the whole track."""
    with caplog.at_level(logging.ERROR, "ray.serve"):
        failure: Failure = await answer(Response(), 5)  # type: ignore[arg-type]  # as much of one as is needed
    assert failure.error_class == "InternalError"
    assert failure.message == "ValueError in serve_app.deployments.decoder.caption, line 68"
    assert HUSH in caplog.text


async def test_a_bug_in_the_child_goes_to_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The record's message is class and place; numpy's own words are in the parent's log."""
    clip = write_clip(tmp_path / "a.mp4", seconds=1, fps=10, width=64, height=48)
    box = Sandbox(children=1, timeout_s=30, max_frames_bytes=1 << 20)
    await box.start()
    with caplog.at_level(logging.ERROR, "ray.serve"), pytest.raises(InternalError) as bug:
        async with box.decode(DecodeJob(clip, Shot(max_frames=-3))):
            pass
    await box.close()
    assert re.fullmatch(r"ValueError in serve_app\.video\.sampling\.thinned, line \d+", str(bug.value))
    assert "Number of samples, -3, must be non-negative" in caplog.text
