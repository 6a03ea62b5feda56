"""The text beside a committed offset: what is written is read, and nothing else is believed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.bitmap import WINDOW, BitmapError, pack, read_varints, unpack, varints
from consumers.progress import MAX_CHARS, MAX_RUNS, MetadataError, Progress, Run, decode, encode, runs_of


def patterns() -> dict[str, bytes]:
    noise = random.Random(7)
    return {
        "alternating": bytes(i % 2 for i in range(WINDOW)),
        "noise": bytes(noise.randrange(2) for _ in range(WINDOW - 1)) + b"\1",
        "all but the first": b"\0" + b"\1" * (WINDOW - 1),
        "one at the end": bytes(WINDOW - 1) + b"\1",
        "sparse": bytes(noise.random() < 0.05 for _ in range(WINDOW - 1)) + b"\1",
    }


def worst_runs(base: int) -> tuple[Run, ...]:
    return tuple(Run(base + 700 * i, base + 700 * i + 300, 127) for i in range(MAX_RUNS))


@pytest.mark.parametrize("name", patterns())
def test_every_pattern_of_a_full_window_fits(name: str) -> None:
    """With the most suspects beside it, no pattern exceeds what a broker takes, and all are read back."""
    base = 2**40
    full = Progress(base, patterns()[name], base + WINDOW, base + WINDOW - 1, worst_runs(base))
    text = encode(full)
    assert len(text) <= MAX_CHARS
    assert decode(base, text) == full


def test_nothing_to_say_is_no_text() -> None:
    """An offset that says it all stands alone."""
    assert encode(Progress(7)) == ""
    assert decode(7, "") == decode(7, None) == Progress(7)


def test_the_shortest_form_is_taken() -> None:
    """A long run takes a few bytes, noise no more than its bits and one."""
    assert len(pack(b"\0" + b"\1" * 20_000)) < 8
    assert len(pack(patterns()["noise"])) == WINDOW // 8 + 1


def test_more_than_the_window_is_refused() -> None:
    """What would not fit is an error of whoever let it grow, not a text that a broker refuses."""
    with pytest.raises(BitmapError, match="24001"):
        pack(b"\1" * (WINDOW + 1))


@given(st.binary(max_size=3000).map(lambda raw: bytes(byte & 1 for byte in raw)))
def test_bitmaps_are_read_back(flags: bytes) -> None:
    """Any set of offsets survives, without the absent ones at its end."""
    assert unpack(pack(flags)) == flags.rstrip(b"\0")


@given(st.lists(st.integers(0, 2**40)))
def test_numbers_are_read_back(numbers: list[int]) -> None:
    """Any numbers survive."""
    assert read_varints(varints(numbers)) == numbers


@st.composite
def progresses(draw: st.DrawFn) -> Progress:
    base = draw(st.integers(0, 2**62))
    flags = bytes(byte & 1 for byte in draw(st.binary(max_size=200))).rstrip(b"\0")
    place = st.none() | st.integers(base, base + WINDOW)
    bounds = draw(st.lists(st.integers(base, base + 500), unique=True, max_size=20).map(sorted))
    runs = tuple(
        Run(start, stop, draw(st.integers(0, 127)))
        for start, stop in zip(bounds[::2], bounds[1::2], strict=False)
    )
    return Progress(base, flags, draw(place), draw(place), runs)


@given(progresses())
def test_progress_is_read_back(progress: Progress) -> None:
    """All that a process leaves behind is what the next one knows."""
    assert decode(progress.base, encode(progress)) == progress


@given(progresses(), st.integers(1, 1000))
def test_a_text_of_another_offset_is_refused(progress: Progress, moved: int) -> None:
    """Somebody who moves the group's offset and keeps the text makes us skip nothing."""
    text = encode(progress)
    if text:
        with pytest.raises(MetadataError):
            decode(progress.base + moved, text)


@settings(max_examples=300)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: "c1:" + raw.decode("latin-1")))
@example("c1:")
@example("c1:0")
@example("c2:abcdefgh")
@example('{"other": "tool"}')
@example("c1:~~~~~~~~~~~")
def test_garbage_is_refused_or_empty(text: str) -> None:
    """No foreign text is read as finished offsets, and none raises anything unexpected."""
    with suppress(MetadataError):
        assert decode(5, text) == Progress(5)


@given(progresses(), st.data())
def test_a_changed_character_is_noticed(progress: Progress, data: st.DataObject) -> None:
    """One wrong character makes the whole text unreadable, never another set of offsets."""
    text = encode(progress)
    if not text:
        return
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
    with pytest.raises(MetadataError):
        decode(progress.base, changed)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x07abc", "form 7"),
        (b"\x00" + b"\xff" * 3001, "3001 bytes"),
        (b"\x01not zlib", "cannot be read"),
        (b"\x02" + varints([0, WINDOW + 1]), "beyond the window"),
        (b"\x02\x80", "no end"),
    ],
)
def test_bad_bitmaps_say_what_is_wrong(data: bytes, what: str) -> None:
    """Bytes that were not written here are refused by name."""
    with pytest.raises(BitmapError, match=what):
        unpack(data)


def test_a_bitmap_that_inflates_to_much_is_refused() -> None:
    """A few bytes cannot make a process use much memory."""
    with pytest.raises(BitmapError, match="more than the window"):
        unpack(b"\x01" + zlib.compress(bytes(10**8)))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, Progress(10, b"\0\1\0\1")),
        (0, 12, Progress(10, b"\0\1")),
        (0, 10, Progress(10)),
        (0, 9, Progress(0)),
        (13, 100, Progress(13, b"\1")),
        (50, 100, Progress(50)),
    ],
)
def test_progress_is_clamped_to_the_log(low: int, high: int, expected: Progress) -> None:
    """Retention that passed the offset moves it up; a log that ends before it began again."""
    assert Progress(10, b"\0\1\0\1").clamped(low, high) == expected


def test_everything_in_flight_is_suspect_but_not_condemned() -> None:
    """A process that died counts up what it had begun and not finished, to below the limit."""
    left = Progress(10, b"\0\1", seen=13, suspects=(Run(10, 11, 2), Run(20, 21, 1)))
    assert left.crash_counts(3) == {10: 2, 12: 1, 20: 1}


def test_who_was_alone_is_counted_alone() -> None:
    """The record that ran by itself reaches the limit; the others stay as they were."""
    left = Progress(10, seen=13, alone=10, suspects=(Run(10, 13, 2),))
    assert left.crash_counts(3) == {10: 3, 11: 2, 12: 2}


def test_good_order_makes_no_suspects() -> None:
    """A revocation keeps the counts that there are and adds none."""
    assert Progress(10, suspects=(Run(10, 12, 1),)).crash_counts(3) == {10: 1, 11: 1}


def test_with_a_limit_of_one_nobody_is_condemned_in_company() -> None:
    """Even then the records are suspects first, to be worked on alone."""
    assert Progress(10, seen=12).crash_counts(1) == {10: 0, 11: 0}


@given(st.dictionaries(st.integers(100, 140), st.integers(0, 5)), st.binary(max_size=41))
def test_runs_say_the_same_as_counts(counts: dict[int, int], noise: bytes) -> None:
    """Counts of undone offsets survive as runs."""
    flags = bytes(0 if 100 + i in counts else byte & 1 for i, byte in enumerate(noise)).rstrip(b"\0")
    runs = runs_of(counts, flags, 100)
    read: Callable[[int], dict[int, int]] = Progress(100, flags, suspects=runs).crash_counts
    found = read(9)
    if len(runs) < MAX_RUNS:
        assert found == counts
    assert found.items() <= counts.items()
