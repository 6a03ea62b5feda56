"""What a server says of versions and of keeping them."""

from __future__ import annotations

import pytest

from serve_app.sources.validators import Keeping, Validators, range_of, serves_ranges

OLD = "Mon, 05 Jan 2026 10:00:00 GMT"
LATER = "Mon, 05 Jan 2026 10:01:00 GMT"
SOON = "Mon, 05 Jan 2026 10:00:59 GMT"


@pytest.mark.parametrize(
    ("headers", "strong"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": '""'}, '""'),
        ({"ETag": 'W/"a"'}, None),
        ({"ETag": 'W/"a"', "Last-Modified": OLD, "Date": LATER}, OLD),
        ({"ETag": "a", "Last-Modified": OLD, "Date": LATER}, OLD),
        ({"ETag": '"a\x7f"'}, None),
        ({"ETag": '"' + "a" * 256 + '"'}, None),
        ({"Last-Modified": OLD, "Date": SOON}, None),
        ({"Last-Modified": OLD}, None),
        ({"Last-Modified": "yesterday", "Date": LATER}, None),
        ({"Last-Modified": "Mon, 05 Jan 2026 10:00:00 -0000", "Date": LATER}, None),
        ({}, None),
    ],
)
def test_a_version_is_strong_only_where_two_contents_cannot_share_it(
    headers: dict[str, str], strong: str | None
) -> None:
    """Weak and malformed tags are none; a date counts from a minute after it on."""
    assert Validators.of(headers).strong == strong


def test_conditions_name_what_is_known() -> None:
    """A weak tag is good enough to ask whether anything changed."""
    found = Validators.of({"ETag": 'W/"a"', "Last-Modified": OLD})
    assert found.conditions == {"If-None-Match": 'W/"a"', "If-Modified-Since": OLD}
    assert Validators().conditions == {}


def test_a_later_answer_may_say_less_and_never_something_else() -> None:
    """Servers leave headers out of partial answers."""
    first = Validators('"a"', OLD)
    assert first.agrees(Validators('"a"'))
    assert first.agrees(Validators())
    assert not first.agrees(Validators('"b"', OLD))
    assert not first.agrees(Validators('"a"', LATER))


@pytest.mark.parametrize(
    ("headers", "allowed", "ask_always"),
    [
        ({}, True, False),
        ({"Cache-Control": "max-age=60, private"}, True, False),
        ({"Cache-Control": "public, No-Store"}, False, False),
        ({"Cache-Control": "no-cache"}, True, True),
        ({"Cache-Control": "must-revalidate, max-age=9"}, True, True),
        ({"Vary": "*"}, False, False),
    ],
)
def test_the_server_decides_about_keeping(
    headers: dict[str, str], *, allowed: bool, ask_always: bool
) -> None:
    """``no-store`` and ``Vary: *`` forbid it, ``no-cache`` wants to be asked."""
    assert Keeping.of(headers) == Keeping(allowed, ask_always)


def test_ranges_are_read_strictly() -> None:
    """Anything that is not one whole range of a known size is none."""
    assert range_of({"Content-Range": "bytes 5-9/20"}) == (5, 10, 20)
    for odd in ("bytes 5-9/*", "bytes */20", "bytes 9-5/20", "bytes 5-20/20", "5-9/20", "bytes 5-9/20 ", ""):
        assert range_of({"Content-Range": odd}) is None
    assert range_of({}) is None
    assert serves_ranges({"Accept-Ranges": "Bytes, x"})
    assert not serves_ranges({"Accept-Ranges": "none"})
    assert not serves_ranges({})
