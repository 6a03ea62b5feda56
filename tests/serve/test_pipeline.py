"""The whole way: requests on Kafka in, captions and dead letters on Kafka out."""

from __future__ import annotations

import http.server
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumers.reader import Until, records_of
from serve_app.schema import CaptionRecord, WindowRecord
from tests.albums import data_url, packed, shade
from tests.brokers import Kafka, unique
from tests.clips import write_audio, write_clip
from tests.serve.applications import Application, counted, deployed


def test_each_form_of_request_is_captioned(application: Application) -> None:
    """URL, object, messages, images in either, and windows end as captions with all facts, in one group."""
    clip = write_clip(application.folder / "clip.mp4", seconds=2, fps=10, width=320, height=240)
    url = clip.as_uri()
    images = [data_url(packed(shade(level))) for level in (0, 90, 180)]
    chat = [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": url}}]}]
    application.submit(
        url,
        {"id": "mine", "url": url, "sampling": {"num_frames": 3}, "metadata": {"a": 1}},
        chat,
        {"id": "images", "frames": {"urls": images, "times_s": [0, 1, 5]}},
        [{"role": "user", "content": [{"type": "video", "video": images, "fps": 4}]}],
        {"id": "parts", "url": url, "windows": {"length_s": 1}},
    )
    records = list(application.results(6))
    made = {m.id: m for r in records if (m := CaptionRecord.model_validate_json(r.value or b""))}
    assert len(made) == 6
    assert made["images"].frames.pts_seconds == [0, 1, 5]
    assert (made["images"].source.images, made["images"].video.codec) == (3, "png")
    parts = made["parts"].captions
    assert [(one.clip_index, one.start_s, one.end_s) for one in parts] == [(0, 0, 1), (1, 1, 2)]
    assert made["parts"].coverage.complete
    mine = made["mine"]
    assert (len(mine.frames.pts_seconds), mine.metadata, mine.attempts) == (3, {"a": 1}, 1)
    assert (mine.video.width, mine.video.height, mine.video.frame_count) == (320, 240, 20)
    assert mine.source.bytes == clip.stat().st_size
    assert mine.request is not None
    assert mine.request.topic == application.settings.topics.requests
    assert "not a model" in mine.caption
    assert {record.key for record in records} == {b"key"}


def test_windows_are_published_before_the_whole(http_url: str, kafka: Kafka, tmp_path: Path) -> None:
    """To a topic of their own, one record each; other requests and failures end as ever."""
    clip = write_clip(tmp_path / "clip.mp4", seconds=3, fps=10, width=64, height=48).as_uri()
    topic = unique("windows")
    with deployed(http_url, kafka, tmp_path, topics={"windows": topic}) as application:
        parts = {"id": "parts", "url": clip, "windows": {"length_s": 1}}
        application.submit(parts, {"id": "whole", "url": clip}, {"id": "gone", "url": f"{clip}.gone"})
        records = list(application.results(3))
        settings = application.settings
    windows = list(records_of(settings, [topic], from_beginning=True, until=Until(None, 5)))
    made = {m.id: m for r in windows if (m := WindowRecord.model_validate_json(r.value or b""))}
    assert sorted(made) == ["parts#0", "parts#1", "parts#2"]
    whole = next(r for r in records if dict(r.headers)["capstream.id"] == b"parts")
    captions = CaptionRecord.model_validate_json(whole.value or b"").captions
    assert [made[f"parts#{one.clip_index}"].text for one in captions] == [one.text for one in captions]
    first = min(record.timestamp_ms or 0 for record in windows)
    assert first <= (whole.timestamp_ms or 0)
    ended = {dict(record.headers)["capstream.id"]: record.topic for record in records}
    assert ended[b"gone"] == settings.topics.dead_letters
    assert ended[b"whole"] == settings.topics.captions


def test_what_cannot_be_captioned_is_a_dead_letter_and_the_partition_moves_on(
    http_url: str, kafka: Kafka, tmp_path: Path
) -> None:
    """Every kind of bad request ends in its class, and the good one behind them is captioned."""
    clip = write_clip(tmp_path / "clip.mp4", seconds=1, fps=10, width=64, height=48)
    patience = {"retry_delays_s": [0.2], "max_attempts": 2}
    with unkind() as server, deployed(http_url, kafka, tmp_path, consumer=patience) as application:
        bad = {**bad_values(clip), **bad_files(clip), **bad_servers(server)}
        application.submit(*[value for value, _ in bad.values()], {"id": "good", "url": clip.as_uri()})
        records = list(application.results(len(bad) + 1))
        topics = application.settings.topics
    classes = sorted(
        (dict(record.headers)["__connect.errors.exception.class.name"] or b"").decode()
        for record in records
        if record.topic == topics.dead_letters
    )
    assert classes == sorted(kind for _, kind in bad.values())
    captions = [json.loads(r.value or b"")["id"] for r in records if r.topic == topics.captions]
    assert captions == ["good"]


def bad_values(clip: Path) -> dict[str, tuple[object, str]]:
    """Values that are no request, and requests for the impossible, each with its class."""
    url = clip.as_uri()
    return {
        "tombstone": (None, "RequestInvalidError"),
        "empty": (b"", "RequestInvalidError"),
        "noise": (random.Random(1).randbytes(2**20), "RequestInvalidError"),
        "not json": (b'{"url": "http://host/a.mp4"', "RequestInvalidError"),
        "version": ({"schema": "capstream.request/v9", "url": url}, "RequestInvalidError"),
        "range": ({"url": url, "start_s": 2, "end_s": 1}, "RequestInvalidError"),
        "frames": ({"url": url, "sampling": {"num_frames": 0}}, "RequestInvalidError"),
        "task": ({"url": url, "task": "sing"}, "RequestInvalidError"),
        "scheme": ("gopher://host/x", "SourceRefusedError"),
        "metadata": ("http://169.254.169.254/latest/meta-data/", "SourceRefusedError"),
        "spelling": ("http://0x7f.1/a.mp4", "SourceRefusedError"),
        "outside": ("file:///etc/hostname", "SourceRefusedError"),
        "late": ({"url": url, "start_s": 50}, "NoFramesError"),
    }


def bad_files(clip: Path) -> dict[str, tuple[object, str]]:
    """Files that hold no whole video, written beside the clip."""
    folder, whole = clip.parent, clip.read_bytes()
    (folder / "short.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("no video")
    (folder / "empty.mp4").write_bytes(b"")
    write_audio(folder / "audio.mp4")
    return {
        name: ((folder / f"{name}.mp4").as_uri(), kind)
        for name, kind in {
            "missing": "SourceNotFoundError",
            "short": "VideoUnreadableError",
            "text": "VideoUnreadableError",
            "audio": "VideoUnreadableError",
            "empty": "SourceEmptyError",
        }.items()
    }


def bad_servers(url: str) -> dict[str, tuple[object, str]]:
    """What a server does that has no video for us."""
    return {
        "404": (f"{url}/404", "SourceNotFoundError"),
        "403": (f"{url}/403", "SourceDeniedError"),
        "503": (f"{url}/503", "SourceUnavailableError"),
        "dropped": (f"{url}/dropped", "SourceUnavailableError"),
    }


@contextmanager
def unkind() -> Iterator[str]:
    """A server that answers with the status in the path, or ends in the middle of a body; gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = self.path.removeprefix("/")
            self.send_response(int(status) if status.isdigit() else 200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"and no more")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_many_videos_end_once_each(application: Application) -> None:
    """Under load, with nothing failing, every request has exactly one caption."""
    clips = [
        write_clip(application.folder / f"{n}.mp4", seconds=1, fps=10, width=160, height=120)
        for n in range(4)
    ]
    application.submit(*[{"id": f"r{n}", "url": clips[n % 4].as_uri()} for n in range(60)])
    endings = application.endings(60)
    assert set(counted(endings).values()) == {1}
    assert all(ending.captioned for ending in endings)


def test_frames_of_a_large_video_go_by_reference(application: Application, tmp_path: Path) -> None:
    """Frames above the by-value limit reach the captioner through the object store."""
    clip = write_clip(tmp_path / "large.mp4", seconds=4, fps=10, width=640, height=480)
    application.submit({"url": clip.as_uri(), "sampling": {"fps": 10, "max_frames": 40}})
    (record,) = application.results(1)
    made = CaptionRecord.model_validate_json(record.value or b"")
    assert len(made.frames.pts_seconds) == 40
