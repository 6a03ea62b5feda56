"""What ``--since`` takes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from serve_app.cli.since import since_ms

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW_MS = 1_795_262_400_000


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [
        ("0s", 0),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1.5h", 5400),
        ("7d", 604_800),
        ("1w", 604_800),
        ("1d12h", 129_600),
        ("2026-11-21T11:00:00Z", 3600),
        ("2026-11-21T11:00", 3600),
        ("2026-11-21T12:00+01:00", 3600),
        ("2026-11-21", 43_200),
        ("20261121T110000", 3600),
    ],
)
def test_times_and_ages_are_read(text: str, ago_s: int) -> None:
    """An age counts back from now; a time without an offset is UTC."""
    assert since_ms(text, NOW) == NOW_MS - ago_s * 1000


@pytest.mark.parametrize(
    "text", ["", "2", "h", "-2h", "2 h", "2y", "yesterday", "2026-11-31", "2h2026-11-21", "99999999d", "1e9d"]
)
def test_anything_else_is_refused(text: str) -> None:
    """Neither a time nor an age, or one before the year 1."""
    with pytest.raises(ValueError, match=r"."):
        since_ms(text, NOW)


def test_the_future_is_refused() -> None:
    """Nothing can have happened since; what time it is now is told."""
    with pytest.raises(ValueError, match="is in the future: it is 2026-11-21T12:00:00Z now"):
        since_ms("2026-11-21T12:00:01Z", NOW)


def test_a_time_before_the_epoch_is_the_epoch() -> None:
    """Kafka's times begin in 1970."""
    assert since_ms("1969-01-01", NOW) == 0
