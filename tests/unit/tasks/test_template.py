"""Prompt templates: every name is known and given before anything is fetched."""

from __future__ import annotations

import pytest

from serve_app.errors import RequestInvalidError
from serve_app.tasks import Template


@pytest.mark.parametrize("text", ["{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{a", "a}", "{a b}"])
def test_only_plain_names_stand_in_a_template(text: str) -> None:
    """A template can neither look into what it is given nor format it."""
    with pytest.raises(ValueError):  # noqa: PT011  Python's own words, or ours
        Template(text)


def test_a_template_is_filled_once() -> None:
    """Braces in what is put in stay as they are, and doubled ones in the template become one."""
    template = Template('{{"a": "{prompt}"}} {shop}')
    assert template.names == {"prompt", "shop"}
    assert template.filled({"prompt": "{shop} {{", "shop": "7"}) == '{"a": "{shop} {{"} 7'


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"shop": "7"}, "prompt: the task 'qa' needs it, and the request has none"),
        ({"prompt": "x"}, "variables.shop: the task 'qa' needs it, and the request has none"),
        (
            {"prompt": "x", "shop": "7", "shpo": "8"},
            "variables.shpo: the task 'qa' has no such variable; it has: shop",
        ),
    ],
)
def test_what_is_missing_or_too_much_is_told(given: dict[str, str], told: str) -> None:
    """Each is a request that is invalid, and named."""
    with pytest.raises(RequestInvalidError) as raised:
        Template("{prompt} {shop} {duration_s}").check(given, "qa")
    assert str(raised.value) == told
