"""What may be shown of a URL."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.sources.redaction import redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://videos.example/a.mp4", "https://videos.example/a.mp4"),
        ("https://ann:pw@videos.example/a.mp4", "https://***@videos.example/a.mp4"),
        ("https://ann@videos.example/a.mp4", "https://***@videos.example/a.mp4"),
        ("https://ann:p@ss:w@videos.example:8443/a", "https://***@videos.example:8443/a"),
        ("https://h/a.mp4?v=7&token=abc#t=3", "https://h/a.mp4?v=7&token=***"),
        ("https://h/a?X-Amz-Signature=abc&X-Amz-Date=1", "https://h/a?X-Amz-Signature=***&X-Amz-Date=***"),
        ("https://h/a?sv=1&se=2&sp=r&sig=abc", "https://h/a?sv=***&se=***&sp=***&sig=***"),
        ("https://h/a?GoogleAccessId=g&Expires=1&v=2", "https://h/a?GoogleAccessId=***&Expires=***&v=2"),
        ("https://h/a?%74oken=abc", "https://h/a?%74oken=***"),
        ("https://h/a?v=1;token=abc;client_secret=s", "https://h/a?v=1;token=***;client_secret=***"),
        ("https://h/proxy/http://ann:pw@inner/a", "https://h/proxy/http://***@inner/a"),
        ("https://h/a?from=http://ann:pw@inner/a", "https://h/a?from=http://***@inner/a"),
        ("https://h/@channel/a.mp4", "https://h/@channel/a.mp4"),
        ("file:///videos/a@b.mp4", "file:///videos/a@b.mp4"),
        ("https:ann:pw@h/a", "https:***"),
        ("https://ann:p/w@h/a", "https:***"),
        ("https://[::1/a?token=abc", "https:***"),
        ("http://h:99999/a.mp4?token=abc", "http://h:99999/a.mp4?token=***"),
        ("http://h:80a/a.mp4", "http://h:***/a.mp4"),
        ("http://ann:pw%40h/a.mp4", "http:***"),
        ("data:video/mp4;base64,AAAA", "data:video/mp4;base64,…(4 characters)"),
        ("DATA:,abc", "DATA:,…(3 characters)"),
        ("", ""),
    ],
)
def test_only_what_identifies_is_shown(url: str, shown: str) -> None:
    """Users, passwords, signatures and fragments go; host, path and other query values stay."""
    assert redact_url(url) == shown


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    """Redaction is for error messages, so it never fails itself."""
    assert isinstance(redact_url(text), str)
    assert isinstance(redact_url(f"http://{text}"), str)


@given(
    scheme=st.sampled_from(["http", "https", "HTTP", "s3", "file"]),
    password=st.text(string.ascii_letters + string.digits + "!$%&'()*+,;=:@._~- ", min_size=1).map(
        lambda tail: f"PaSsWoRd{tail}"
    ),
    rest=st.text(string.printable),
)
def test_a_password_is_never_shown(scheme: str, password: str, rest: str) -> None:
    """Whatever follows the host, nothing of user and password remains."""
    assert "PaSsWoRd" not in redact_url(f"{scheme}://user:{password}@host/{rest}")


def test_a_long_url_is_cut() -> None:
    """A URL of a million characters does not stand in full in every message about it."""
    assert redact_url("https://u:p@h/" + "a" * 10**6) == "https:***…(1000014 characters)"
    assert redact_url("https://" + "p" * 10**6 + "@h/") == "https:***…(1000011 characters)"
    assert redact_url("https://h/" + "a" * 8000) == "https://h/" + "a" * 8000


def test_a_shown_url_is_one_line() -> None:
    """Line ends and what a terminal obeys are percent-encoded, also in what is no URL."""
    assert redact_url("http://h/a\x0b\u2028\x1b[2J") == "http://h/a%0B%E2%80%A8%1B[2J"
    assert redact_url("data:\x1b[2J;base64,AA") == "data:%1B[2J;base64,…(2 characters)"
    assert redact_url("http://h/\ud800") == "http://h/%3F"
