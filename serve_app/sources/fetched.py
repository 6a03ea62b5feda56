"""A video's bytes as a local file, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve_app.schema import SourceFacts


@dataclass(frozen=True, slots=True)
class Fetched:
    """``path`` is readable only while the fetch is open; ``facts`` stay true."""

    path: Path
    facts: SourceFacts
