"""The whole application with vLLM: files on Kafka in, right captions on Kafka out, whatever is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.schema import CaptionRecord
from tests.clips import Coding, encode
from tests.serve.applications import Application, application_of, config_for, deploy
from tests.serve.conftest import http_url
from tests.tiny_model.clips import Clip, fresh
from tests.tiny_model.served import PROFILE
from tests.vllm.engines import settings

if TYPE_CHECKING:
    from tests.brokers import Kafka

__all__ = ["http_url"]

SEED = 20_260_201
CLIPS = 200
ENOUGH = 0.95
ENGINE = "VLLM::EngineCore"


@pytest.fixture(scope="module")
def served(http_url: str, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application with the tiny model, which takes a while to load."""
    folder = tmp_path_factory.mktemp("files")
    document = config_for(
        kafka,
        folder,
        consumer={"retry_delays_s": [1.0, 5.0, 30.0]},
        captioner={"engine": settings().model_dump(mode="json")},
        decoder={"profiles": [PROFILE.model_dump(mode="json")]},
    )
    deploy(document)
    one = application_of(document, http_url, folder)
    yield one
    one.undeploy()


def written(clip: Clip, path: Path) -> Path:
    def paint(index: int, picture: np.ndarray) -> None:
        picture[:] = clip.picture(index)

    return encode(path, paint, clip.total, (clip.width, clip.height), Coding(fps=clip.fps))


def captions(application: Application, count: int) -> dict[str, CaptionRecord]:
    records = application.results(count, timeout_s=300)
    made = [CaptionRecord.model_validate_json(record.value or b"") for record in records]
    assert len(made) == len({one.id for one in made}) == count
    return {one.id: one for one in made}


def test_captions_of_files_are_right(served: Application) -> None:
    """At least 95 % of 200 fresh clips, through decoding, sampling, batches and back."""
    clips = {f"{SEED}-{number}": clip for number, clip in enumerate(fresh(SEED, CLIPS))}
    files = {name: written(clip, served.folder / f"{name}.mp4") for name, clip in clips.items()}
    served.submit(*({"id": name, "url": path.as_uri()} for name, path in files.items()))
    made = captions(served, CLIPS)
    right = [made[name].caption == clip.caption for name, clip in clips.items()]
    assert np.mean(right) >= ENOUGH
    one = next(iter(made.values()))
    assert one.engine.kind == "vllm"
    assert one.frames.profile == PROFILE.name
    assert one.usage is not None
    assert one.frames.visual_tokens is not None
    assert one.usage.prompt_tokens > one.frames.visual_tokens


def test_an_engine_that_is_killed_loses_nothing(served: Application) -> None:
    """Its replica is replaced, and every request is captioned once."""
    clips = fresh(SEED + 1, 24)
    files = [written(clip, served.folder / f"kill-{number}.mp4") for number, clip in enumerate(clips)]
    (replica,) = served.processes("Captioner")
    before = [process for process in replica.children(recursive=True) if process.name() == ENGINE]
    assert len(before) == 1
    served.submit(*({"id": path.name, "url": path.as_uri()} for path in files))
    os.kill(before[0].pid, signal.SIGKILL)
    done = captions(served, CLIPS + len(files))
    assert {path.name for path in files} <= done.keys()
