"""What is broken when, from a seed: no I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """A kind of fault; the value is how the table names it."""

    CONSUMER = "kill -9 of a consumer replica"
    DECODER = "kill -9 of a decoder replica"
    CAPTIONER = "kill -9 of a captioner replica"
    CHILD = "kill -9 of a decoder's child"
    CONTROLLER = "kill -9 of the Serve controller"
    BROKER = "kill -9 of one broker of three"
    OUTAGE = "kill -9 of all three brokers"
    MEMBER = "a foreign member joins the group and leaves"
    DEPLOY = "`serve deploy`, a changed limit"
    REDEPLOY = "`serve deploy`, changed settings: all replicas anew"


NODES = 3
DEPLOYS = (Kind.DEPLOY, Kind.REDEPLOY)
HARMLESS = (Kind.MEMBER, *DEPLOYS)


@dataclass(frozen=True, slots=True)
class Fault:
    """Due once this share of the requests has ended; ``pick`` in [0, 1) chooses among its victims."""

    kind: Kind
    share: float
    pick: float

    @property
    def kills(self) -> int:
        """Processes that it kills with SIGKILL."""
        if self.kind in HARMLESS:
            return 0
        return NODES if self.kind is Kind.OUTAGE else 1


@dataclass(frozen=True, slots=True)
class Form:
    """How large a run is; times in seconds.

    A broker is ``down_s`` away, in an outage all are for ``outage_s``, a foreign member stays ``member_s``.
    Between two faults there are ``gap_s`` at least, and without any ending for ``stall_s`` the run gives up.
    """

    requests: int
    per_second: float
    counts: Mapping[Kind, int]
    outage_s: float
    down_s: float = 5
    member_s: float = 4
    gap_s: float = 5
    stall_s: float = 240


SHORT = Form(
    requests=450,
    per_second=8,
    counts={
        Kind.CONSUMER: 2,
        Kind.DECODER: 1,
        Kind.CAPTIONER: 1,
        Kind.CHILD: 1,
        Kind.CONTROLLER: 1,
        Kind.BROKER: 1,
        Kind.OUTAGE: 1,
        Kind.MEMBER: 1,
        Kind.DEPLOY: 1,
    },
    outage_s=8,
    gap_s=4,
    stall_s=100,
)
MEDIUM = Form(
    requests=1000,
    per_second=6,
    counts={
        Kind.CONSUMER: 4,
        Kind.DECODER: 2,
        Kind.CAPTIONER: 2,
        Kind.CHILD: 2,
        Kind.CONTROLLER: 1,
        Kind.BROKER: 2,
        Kind.OUTAGE: 1,
        Kind.MEMBER: 2,
        Kind.DEPLOY: 1,
        Kind.REDEPLOY: 1,
    },
    outage_s=60,
)
LONG = Form(
    requests=5000,
    per_second=6,
    counts={
        Kind.CONSUMER: 12,
        Kind.DECODER: 9,
        Kind.CAPTIONER: 7,
        Kind.CHILD: 9,
        Kind.CONTROLLER: 3,
        Kind.BROKER: 7,
        Kind.OUTAGE: 1,
        Kind.MEMBER: 4,
        Kind.DEPLOY: 1,
        Kind.REDEPLOY: 1,
    },
    outage_s=60,
)


def schedule(counts: Mapping[Kind, int], noise: random.Random) -> tuple[Fault, ...]:
    """All faults in order, spread over the requests, with the deploys in the middle."""
    kinds = [kind for kind, count in counts.items() if kind not in DEPLOYS for _ in range(count)]
    noise.shuffle(kinds)
    middle = len(kinds) // 2
    kinds[middle:middle] = [kind for kind in DEPLOYS for _ in range(counts.get(kind, 0))]
    slot = 1 / (len(kinds) + 1)
    return tuple(
        Fault(kind, (number + noise.uniform(0.2, 0.8)) * slot, noise.random())
        for number, kind in enumerate(kinds)
    )
