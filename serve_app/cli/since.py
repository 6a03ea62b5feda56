"""``--since``: a point in time, given as one or as how long ago it was."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
SHAPE = re.compile(rf"(?:{PART.pattern})+")


def since_ms(text: str, now: datetime) -> int:
    """Milliseconds since the epoch of ``2026-11-21T03:00Z``, or of ``90s``, ``2h``, ``1d12h`` before ``now``.

    A time without an offset is UTC. Raises ``ValueError`` for anything else, and for a time after ``now``.
    """
    if SHAPE.fullmatch(text):
        try:
            at = now - sum(
                (timedelta(**{UNITS[unit]: float(count)}) for count, unit in PART.findall(text)), timedelta()
            )
        except OverflowError as error:
            raise ValueError(f"{text} ago is before the year 1") from error
    else:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at > now:
        raise ValueError(f"{text} is in the future: it is {now:%Y-%m-%dT%H:%M:%SZ} now")
    return max(0, int(at.timestamp() * 1000))


class Since(click.ParamType[int]):
    """The option's type; its value is in ms since the epoch."""

    name = "TIME"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the option."""
        if isinstance(value, int):
            return value
        try:
            return since_ms(value, datetime.now(UTC))
        except ValueError as error:
            self.fail(
                f"{error}; a time such as 2026-11-21T03:00Z (UTC without an offset) or an age such as "
                "30m, 2h, 7d is needed",
                param,
                ctx,
            )


since_option = click.option(
    "--since", "since_ms", type=Since(), help="From this time on: 2026-11-21T03:00Z, or an age: 30m, 2h, 7d."
)
