"""Limits by error class, and the header that carries the counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.attempts import Attempts, from_text, to_text

ATTEMPTS = Attempts(limit=2, initial_s=1, max_s=1, limits={"Lost": 3})
names = st.text(st.characters(categories=["Lu", "Ll"]), min_size=1)


@pytest.mark.parametrize(
    ("failures", "last", "used_up"),
    [
        ({"Slow": 1}, "Slow", False),
        ({"Slow": 1, "Away": 1}, "Away", True),
        ({"Slow": 1, "Lost": 2}, "Slow", False),
        ({"Slow": 1, "Lost": 2}, "Lost", False),
        ({"Slow": 1, "Lost": 3}, "Lost", True),
    ],
)
def test_a_limit_holds_for_its_own_class(failures: dict[str, int], last: str, *, used_up: bool) -> None:
    """Classes without a limit of their own share one."""
    assert ATTEMPTS.are_used_up(failures, last) is used_up


@given(st.dictionaries(names, st.integers(1, 1000)))
def test_counts_survive_the_header(failures: dict[str, int]) -> None:
    """What was written is read."""
    assert from_text(to_text(failures)) == failures


@pytest.mark.parametrize("text", ["A", "A=", "A=x", "A=1=2", "A=-1", "=,="])
def test_other_texts_are_refused(text: str) -> None:
    """A header of somebody else's makes no count."""
    with pytest.raises(ValueError, match=r".+"):
        from_text(text)
