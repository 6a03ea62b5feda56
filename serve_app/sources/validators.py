"""What a server says of a file's version (RFC 9110), and of keeping it. Pure: headers in, decisions out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

# Both stand in requests and results: nothing but what the standard allows.
ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,255}"')
DATE = re.compile(r"[A-Za-z0-9:, +-]{1,64}")
# A file that was changed within the clock's last tick before the answer may be changed again under its date.
SETTLED_S = 60
CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


@dataclass(frozen=True, slots=True)
class Validators:
    """``etag`` and ``last_modified`` as they were sent, ``None`` where they were not, or make no sense."""

    etag: str | None = None
    last_modified: str | None = None
    settled: bool = False
    """Whether the date alone tells versions apart."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validators:
        """Those of an answer."""
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        dates = _parsed(modified), _parsed(headers.get("Date", ""))
        return cls(
            etag if ETAG.fullmatch(etag) else None,
            modified if dates[0] else None,
            bool(dates[0] and dates[1] and (dates[1] - dates[0]).total_seconds() >= SETTLED_S),
        )

    @property
    def strong(self) -> str | None:
        """What tells two versions apart byte by byte, as ``If-Range`` wants it."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified if self.settled else None

    @property
    def conditions(self) -> dict[str, str]:
        """Headers that ask for the file only if it is another one by now."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in asked.items() if value is not None}

    def agrees(self, later: Validators) -> bool:
        """Whether a later answer's, as far as it names any, are the same."""
        return later.etag in (None, self.etag) and later.last_modified in (None, self.last_modified)


def _parsed(text: str) -> datetime | None:
    if not DATE.fullmatch(text):
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date without a zone cannot be compared.
    return found if found.tzinfo is not None else None


@dataclass(frozen=True, slots=True)
class Keeping:
    """Whether an answer may be kept, and whether the server wants to be asked each time."""

    allowed: bool
    ask_always: bool

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Keeping:
        """What ``Cache-Control`` and ``Vary`` say."""
        said = {
            part.partition("=")[0].strip().lower() for part in headers.get("Cache-Control", "").split(",")
        }
        allowed = "no-store" not in said and headers.get("Vary", "").strip() != "*"
        return cls(allowed, bool(said & {"no-cache", "must-revalidate"}))


def serves_ranges(headers: Mapping[str, str]) -> bool:
    """Whether an answer says that parts of the file may be asked for."""
    units = {part.strip().lower() for part in headers.get("Accept-Ranges", "").split(",")}
    return "bytes" in units


def range_of(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Start, end (not included) and size of the whole, as ``Content-Range`` says; ``None`` if odd."""
    found = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None:
        return None
    first, last, size = map(int, found.groups())
    return (first, last + 1, size) if first <= last < size else None
