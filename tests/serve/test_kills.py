"""kill -9 of each tier under load loses nothing; a drain repeats nothing."""

from __future__ import annotations

import pytest

from serve_app.schema import CaptionRecord
from tests.clips import write_clip
from tests.serve.applications import Application

COUNT = 60


def load(application: Application) -> set[str]:
    """Submit work for some seconds; returns the ids."""
    clip = write_clip(application.folder / "clip.mp4", seconds=6, fps=25, width=640, height=480)
    ids = [f"r{n}" for n in range(COUNT)]
    application.submit(*[{"id": one, "url": clip.as_uri()} for one in ids])
    return set(ids)


def all_ids(application: Application, ids: set[str]) -> dict[str, int]:
    """Read results until every id was seen, and count them."""
    seen: dict[str, int] = {}
    for record in application.results(10 * COUNT):
        made = CaptionRecord.model_validate_json(record.value or b"")
        seen[made.id] = seen.get(made.id, 0) + 1
        if seen.keys() == ids:
            break
    return seen


@pytest.mark.parametrize("victim", ["Consumer", "Decoder", "Captioner"])
def test_killed_replica_loses_nothing(application: Application, victim: str) -> None:
    """Every request ends as a caption although the tier that held it was killed in the middle."""
    ids = load(application)
    next(application.results(1))
    application.kill(victim)
    assert all_ids(application, ids).keys() == ids


def test_killed_decoding_child_costs_one_attempt(application: Application) -> None:
    """A child that is killed under a video is replaced, and the video is decoded again."""
    ids = load(application)
    next(application.results(1))
    (decoder,) = application.processes("Decoder")
    children = [
        p for p in decoder.children(recursive=True) if "serve_app.video.child" in " ".join(p.cmdline())
    ]
    assert children
    for child in children:
        child.kill()
    assert all_ids(application, ids).keys() == ids
