"""Windows that are published before the caption: which, under which names, and what is made up for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from consumers.attempts import Attempts
from consumers.dispatch import Dispatcher, Outcome, Target, Tell
from consumers.records import InputRecord, Names, OutputRecord
from consumers.retries import Retries
from serve_app.errors import Failure, SourceUnavailableError
from serve_app.schema import Caption, CaptionRequest
from tests.unit.consumers.samples import CAPTIONED, MARKS, NAMES, record

if TYPE_CHECKING:
    from collections.abc import Callable

WITH_WINDOWS = Names(NAMES.captions, NAMES.dead_letters, "video.captions.windows")
QUICK = Attempts(limit=3, initial_s=0.001, max_s=0.002)


def window(number: int, text: str = "a dog") -> Caption:
    return Caption(clip_index=number, start_s=number, end_s=number + 1, pts_seconds=[number], text=text)


WHOLE = CAPTIONED.model_copy(update={"captions": [window(0), window(1), window(3)]})


class Topic:
    """Keeps what is published, and acknowledges as many as it is said."""

    def __init__(self, acknowledges: int) -> None:
        self.outputs: list[OutputRecord] = []
        self._left = acknowledges

    def __call__(self, output: OutputRecord, acknowledged: Callable[[], None]) -> None:
        self.outputs.append(output)
        if self._left > 0:
            self._left -= 1
            acknowledged()


class Tiers:
    """Tells windows at each attempt, of which the first so many fail after two windows."""

    def __init__(self, failures: int = 0, *, reused: bool = False) -> None:
        self._failures, self._reused = failures, reused

    async def __call__(self, _request: CaptionRequest, tell: Tell) -> Outcome:
        told = [] if self._reused else WHOLE.captions[:2] if self._failures else WHOLE.captions
        for caption in told:
            tell(caption)
        if self._failures:
            self._failures -= 1
            return Failure.of(SourceUnavailableError("HTTP 503"))
        return WHOLE


async def outputs_of(
    tiers: Tiers, topic: Topic, came: InputRecord | None = None, names: Names = WITH_WINDOWS
) -> tuple[OutputRecord, ...]:
    target = Target(names, MARKS, Retries(), topic)
    made = await Dispatcher(tiers, lambda *_: None, QUICK, target, lambda: 0).outputs_of(came or record(7))
    assert made is not None
    return made


def read(output: OutputRecord) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(output.value or b"")
    return value


async def test_windows_are_published_as_they_are_told() -> None:
    """Each under the request's key, with an id of its own that another attempt would give it, too."""
    topic = Topic(acknowledges=9)
    (caption,) = await outputs_of(Tiers(), topic)
    assert caption.topic == "video.captions"
    assert {(one.topic, one.key) for one in topic.outputs} == {("video.captions.windows", b"key")}
    values = [read(one) for one in topic.outputs]
    assert [value["id"] for value in values] == [f"video.requests-0-7#{number}" for number in (0, 1, 3)]
    assert {value["request_id"] for value in values} == {read(caption)["id"]}
    assert [(v["clip_index"], v["start_s"], v["text"], v["attempt"]) for v in values][2] == (3, 3, "a dog", 1)
    assert dict(topic.outputs[0].headers)["capstream.id"] == b"video.requests-0-7#0"


async def test_what_the_broker_has_not_acknowledged_goes_with_the_caption() -> None:
    """In the caption's own transaction, before it."""
    made = await outputs_of(Tiers(), Topic(acknowledges=1))
    assert [read(one)["id"] for one in made] == [
        "video.requests-0-7#1",
        "video.requests-0-7#3",
        "video.requests-0-7",
    ]


async def test_windows_of_a_kept_caption_go_with_it() -> None:
    """Nobody told them, and they are published all the same."""
    topic = Topic(acknowledges=9)
    assert len(await outputs_of(Tiers(reused=True), topic)) == 4
    assert topic.outputs == []


async def test_an_attempt_that_fails_leaves_its_windows_and_the_next_ones_replace_them() -> None:
    """The same ids come again, with the number of the attempt."""
    topic = Topic(acknowledges=2)
    made = await outputs_of(Tiers(failures=1), topic)
    told = [(read(one)["clip_index"], read(one)["attempt"]) for one in topic.outputs]
    assert told == [(0, 1), (1, 1), (0, 2), (1, 2), (3, 2)]
    assert [read(one).get("attempt") for one in made] == [2, 2, 2, None]


async def test_without_a_topic_nothing_is_told() -> None:
    """Nor is there more than the caption; a caption of the whole is no window."""
    topic = Topic(acknowledges=9)
    assert len(await outputs_of(Tiers(), topic, names=NAMES)) == 1
    assert topic.outputs == []


async def test_a_window_that_is_too_large_leaves_its_text_out() -> None:
    """It keeps its place and its times, and so do headers and key."""
    topic = Topic(acknowledges=9)
    value = b'{"url": "file:///a.mp4", "id": "mine", "metadata": {"a": 1}}'
    await outputs_of(Tiers(), topic, replace(record(7), value=value))
    whole = topic.outputs[1]
    assert read(whole)["metadata"] == {"a": 1}
    assert whole.if_too_large is not None
    bare = whole.if_too_large()
    assert (bare.key, bare.headers) == (whole.key, whole.headers)
    assert (read(bare)["id"], read(bare)["text"], read(bare)["metadata"]) == ("mine#1", "", {})
