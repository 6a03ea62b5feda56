"""The windows of one attempt at a record: published as they finish, and at the latest with the caption.

Nobody waits for the broker in between. What it has not acknowledged by the end, or what was not told because
the caption was kept from an earlier request, goes into the caption's own transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from consumers.records import OutputRecord
from serve_app.schema import Caption

Make = Callable[[Caption], OutputRecord]


class Publish(Protocol):
    """Sends a record to its topic without waiting, outside of any transaction."""

    def __call__(self, output: OutputRecord, acknowledged: Callable[[], None]) -> None:
        """Send it; ``acknowledged`` is called later, on any thread, if the broker has it."""


class Told:
    """Takes the windows of one attempt. Without ``publish`` nobody asked for them."""

    def __init__(self, publish: Publish | None, make: Make) -> None:
        self._publish, self._make = publish, make
        self._acknowledged: set[int] = set()

    def __call__(self, caption: Caption) -> None:
        """Publish a window that is finished."""
        if self._publish is not None:
            number = caption.clip_index
            self._publish(self._make(caption), lambda: self._acknowledged.add(number))

    def left(self, captions: Sequence[Caption]) -> tuple[OutputRecord, ...]:
        """What is still to be published of the captions of a video that is finished."""
        if self._publish is None:
            return ()
        windows = (caption for caption in captions if caption.pts_seconds is not None)
        return tuple(self._make(one) for one in windows if one.clip_index not in self._acknowledged)
