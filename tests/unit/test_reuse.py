"""The same bytes are neither decoded nor captioned twice, where the settings say so."""

from __future__ import annotations

import shutil
from pathlib import Path

from serve_app.cli.captions import _captioned
from serve_app.config import settings_from
from serve_app.order import Orders
from serve_app.preparation import asked_of
from serve_app.reuse import CaptionCache, Kept
from serve_app.schema import CaptionRequest, SourceFacts
from serve_app.settings import Settings
from tests.clips import write_clip


def settings_of(folder: Path, **cache: object) -> Settings:
    given = {"sources": {"file_roots": str(folder)}, "cache": {"folder": str(folder / "cache"), **cache}}
    return settings_from(given, {})


def request(url: str, **given: object) -> CaptionRequest:
    return CaptionRequest.model_validate({"id": Path(url).name, "url": url, **given})


def source(**given: object) -> SourceFacts:
    told = {"url": "http://h/a", "sha256": "00", "bytes": 9, "bytes_fetched": 9, **given}
    return SourceFacts.model_validate(told)


async def test_the_same_bytes_under_another_name_are_captioned_once(tmp_path: Path) -> None:
    """The second record says so and has its own identity; another prompt, range or day is another caption."""
    one = write_clip(tmp_path / "one.mp4", seconds=2, fps=10, width=64, height=48)
    other = Path(shutil.copy(one, tmp_path / "other.mp4"))
    settings = settings_of(tmp_path, captions_s=60)
    first = await _captioned(settings, request(one.as_uri(), metadata={"n": 1}))
    again = await _captioned(settings, request(other.as_uri(), metadata={"n": 2}))
    assert first.reused is None
    assert again.reused is not None
    assert again.caption == first.caption
    assert (again.frames, again.video, again.warnings) == (first.frames, first.video, first.warnings)
    assert (again.id, again.source.url) == ("other.mp4", other.as_uri())
    assert (again.timings.decode_s, again.timings.caption_s, again.usage) == (0, 0, None)
    for changed in ({"prompt": "What is it?"}, {"start_s": 0.5}, {"sampling": {"fps": 1}}):
        assert (await _captioned(settings, request(one.as_uri(), **changed))).reused is None


async def test_windows_are_kept_as_one_caption(tmp_path: Path) -> None:
    """With all of them; other windows, or none, are another caption."""
    clip = write_clip(tmp_path / "one.mp4", seconds=3, fps=10, width=64, height=48)
    settings = settings_of(tmp_path, captions_s=60)
    first = await _captioned(settings, request(clip.as_uri(), windows={"length_s": 2}))
    again = await _captioned(settings, request(clip.as_uri(), windows={"length_s": 2}))
    assert len(first.captions) == 2
    assert again.reused is not None
    assert again.captions == first.captions
    for changed in ({"windows": {"length_s": 1}}, {}):
        assert (await _captioned(settings, request(clip.as_uri(), **changed))).reused is None


async def test_nothing_is_kept_by_default(tmp_path: Path) -> None:
    """There is no folder, and each request is done."""
    clip = write_clip(tmp_path / "one.mp4", seconds=1, fps=10, width=64, height=48)
    for _ in range(2):
        assert (await _captioned(settings_of(tmp_path), request(clip.as_uri()))).reused is None
    assert not (tmp_path / "cache").exists()
    assert CaptionCache.of(settings_of(tmp_path)) is None


def key_of(settings: Settings, asked: CaptionRequest, source: SourceFacts) -> str | None:
    """The key as the decoder makes it."""
    shot = asked_of(asked).shot(settings.decoder, settings.profile)
    return CaptionCache(settings).key(Orders(settings).of(asked), shot, source)


def test_whatever_decides_what_is_said_is_part_of_the_key(tmp_path: Path) -> None:
    """Sampling that is written out and the same by default are one; all else makes another key."""
    settings = settings_of(tmp_path, captions_s=60)
    url = "http://h/a"
    plain = key_of(settings, request(url), source())
    assert key_of(settings, request("http://h/b", metadata={"n": 1}), source(url="http://h/b")) == plain
    default = {"strategy": "fps", "fps": 2.0, "max_frames": 64}
    assert key_of(settings, request(url, sampling=default), source()) == plain
    assert key_of(settings, request(url, task="describe"), source()) == plain
    requests = (
        {"prompt": "x"},
        {"task": "tags"},
        {"generation": {"seed": 1}},
        {"output": {"choices": ["yes", "no"]}},
        {"start_s": 1},
        {"end_s": 1},
        {"sampling": {"fps": 1}},
        {"max_sampled_frames": 4},
        {"on_damage": "partial"},
    )
    others = [key_of(settings, request(url, **asked), source()) for asked in requests]
    others.append(key_of(settings, request(url), source(sha256="01")))
    decoders = ({"geometry": {"factor": 32}}, {"max_sampled_frames": 8}, {"profile": "qwen2.5-vl"})
    for decoder in decoders:
        changed = settings_from({"decoder": decoder, "cache": {"captions_s": 60}}, {}, tmp_path)
        others.append(key_of(changed, request(url), source()))
    assert len({plain, *others}) == len(others) + 1


def test_without_a_hash_the_same_url_and_strong_tag_are_the_same_bytes(tmp_path: Path) -> None:
    """Parts of a file have no hash: a weak tag, or none, tells nothing."""
    settings = settings_of(tmp_path, captions_s=60)
    url = request("http://h/a")
    tagged = key_of(settings, url, source(sha256=None, etag='"a"'))
    assert tagged is not None
    assert key_of(settings, url, source(sha256=None, etag='"a"')) == tagged
    assert key_of(settings, url, source(sha256=None, etag='"b"')) != tagged
    assert key_of(settings, request("http://h/b"), source(sha256=None, etag='"a"')) != tagged
    assert key_of(settings, url, source(sha256=None, etag='W/"a"')) is None
    assert key_of(settings, url, source(sha256=None)) is None


def test_a_list_of_images_is_its_bytes_and_all_its_times(tmp_path: Path) -> None:
    """The same images under other names are one; at other times they are another, as is a file."""
    settings = settings_of(tmp_path, captions_s=60)

    def key(urls: list[str], **times: object) -> str | None:
        asked = CaptionRequest.model_validate({"frames": {"urls": urls, **times}})
        return key_of(settings, asked, source(images=len(urls)))

    first = key(["http://h/a", "http://h/b"], fps=2)
    assert first is not None
    assert key(["http://h/c", "http://h/d"], fps=2) == first
    others = [
        key(["http://h/a", "http://h/b"], fps=1),
        key(["http://h/a", "http://h/b", "http://h/c"], fps=2),
        key(["http://h/a", "http://h/b"], times_s=[0, 0.5]),
        key_of(settings, request("http://h/a"), source()),
    ]
    assert len({first, *others}) == len(others) + 1


async def test_a_caption_is_kept_for_its_time(tmp_path: Path) -> None:
    """Using it does not prolong it, and what cannot be read is as if it were not there."""
    clip = write_clip(tmp_path / "one.mp4", seconds=1, fps=10, width=64, height=48)
    settings, now = settings_of(tmp_path, captions_s=60), [1000.0]
    made = await _captioned(settings_of(tmp_path), request(clip.as_uri()))
    cache = CaptionCache(settings, lambda: now[0])
    await cache.keep("00key", made)
    for now_s, there in ((1000.0, True), (1060.0, True), (1061.0, False)):
        now[0] = now_s
        kept = await cache.find("00key", source(), 0.1)
        assert isinstance(kept, Kept) is there
        assert kept is None or kept.made_ms == 1_000_000
    await cache.keep("00key", made)
    (file,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    file.write_text("{}")
    assert await cache.find("00key", source(), 0.1) is None
