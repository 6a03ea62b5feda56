"""Which input a result record is about, as cheaply as can be told: no I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from consumers.ledger import Partition
from consumers.records import CONNECT, ORIGIN, OWN, Headers

REQUEST = re.compile(rb'"request":\{"topic":"([^"\\]+)","partition":(\d+),"offset":(\d+)')
HEAD_BYTES = 2048


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One offset of a partition; as text, topic-partition-offset."""

    partition: Partition
    offset: int

    def __str__(self) -> str:
        return f"{self.partition.topic}-{self.partition.number}-{self.offset}"


def origin_of(headers: Headers, value: bytes | None) -> Place | None:
    """The input of a caption, dead letter or retry record; ``None`` if it names none.

    One header names it on captions; three on retry records, and on dead letters that came by way of one;
    Connect's on any dead letter; and the value, on captions that lack the header.
    """
    found = dict(headers)
    if (text := found.get(ORIGIN)) is not None:
        return place_in(text.decode(errors="replace"))
    for prefix in (ORIGIN + ".", CONNECT):
        if prefix + "offset" in found:
            return place_from(*(found.get(prefix + name) for name in ("topic", "partition", "offset")))
    return _origin_in(value or b"")


def place_in(text: str) -> Place | None:
    """The place that a text such as ``video.requests-0-17`` names; ``None`` for other texts."""
    parts = text.rsplit("-", 2)
    return place_from(*(part.encode() for part in parts)) if len(parts) == 3 else None


def place_from(topic: bytes | None, partition: bytes | None, offset: bytes | None) -> Place | None:
    """The place of three header values; ``None`` if they are none."""
    number, at = _whole(partition), _whole(offset)
    if not topic or number is None or at is None:
        return None
    return Place(Partition(topic.decode(errors="replace"), number), at)


def attempt_of(headers: Headers) -> int | None:
    """The attempt that a retry record is for, ``None`` if it does not say."""
    found = dict(headers)
    return _whole(found.get(OWN + "attempt", found.get(OWN + "attempts")))


def retry_topics(names: frozenset[str], requests: str) -> list[str]:
    """The topics among the names that hold retry records of this input, such as ``<requests>.retry.5s``."""
    shape = re.compile(re.escape(requests) + r"\.retry\.\d+m?s")
    return sorted(name for name in names if shape.fullmatch(name))


def _whole(digits: bytes | None) -> int | None:
    return int(digits) if digits is not None and digits.isdigit() else None


def _origin_in(value: bytes) -> Place | None:
    # The envelope comes first in what we write; others may write the same JSON in another order.
    if (found := REQUEST.search(value, 0, HEAD_BYTES)) is not None:
        return place_from(*found.groups())
    try:
        request = json.loads(value)["request"]
        return Place(Partition(str(request["topic"]), int(request["partition"])), int(request["offset"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
