"""Faults and requests from a seed."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.chaos.load import WAYS, Ask, Way, ask_at, asks
from tests.chaos.schedule import DEPLOYS, LONG, MEDIUM, SHORT, Form, Kind, schedule


@pytest.mark.parametrize("form", [SHORT, MEDIUM, LONG])
def test_every_fault_has_its_time(form: Form) -> None:
    """All faults of the form come, in the order of their shares, none before the load or after it."""
    faults = schedule(form.counts, random.Random(3))
    assert Counter(fault.kind for fault in faults) == Counter(form.counts)
    shares = [fault.share for fault in faults]
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] < 1


def test_the_long_form_kills_fifty_times() -> None:
    """Fifty SIGKILLs, an outage of a minute, and deploys between them."""
    faults = schedule(LONG.counts, random.Random(1))
    assert sum(fault.kills for fault in faults) == 50
    assert LONG.outage_s == 60
    assert all(0.4 < fault.share < 0.6 for fault in faults if fault.kind in DEPLOYS)


def test_a_seed_says_it_all() -> None:
    """The same seed gives the same run, another one another."""
    runs = [schedule(SHORT.counts, random.Random(seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_what_kills_nobody() -> None:
    """A member that leaves and a deploy kill nothing; an outage kills all brokers."""
    kills = {fault.kind: fault.kills for fault in schedule(dict.fromkeys(Kind, 1), random.Random(1))}
    assert {kind for kind, count in kills.items() if count == 0} == {Kind.MEMBER, *DEPLOYS}
    assert kills[Kind.OUTAGE] == 3


def test_requests_of_all_ways() -> None:
    """A short run has some of each way, each with a name of its own, and most are videos."""
    made = asks(SHORT.requests, random.Random(1))
    assert {ask.way for ask in made} == set(WAYS)
    assert len({ask.name for ask in made}) == SHORT.requests
    assert sum(ask.way.captioned for ask in made) > 0.8 * SHORT.requests


def test_a_path_names_its_request() -> None:
    """The source knows from the path alone how to answer."""
    ask = Ask("r00001", Way.FLAKY, "tiny.mp4", 40)
    assert ask_at(ask.path) == ask
    assert ask.value("http://127.0.0.1:1") == (
        b'{"id": "r00001", "url": "http://127.0.0.1:1/r00001/flaky/40/tiny.mp4"}'
    )


def test_a_malformed_request_is_none() -> None:
    """It holds neither JSON nor a URL."""
    assert Ask("r1", Way.MALFORMED, "tiny.mp4", 0).value("http://a") == b"r1 is no request"
