"""One engine of a node starts at a time: they would race in the compiler's cache and for memory."""

from __future__ import annotations

import getpass
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import AsyncFileLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL_S = 0.2


@asynccontextmanager
async def node_turn(folder: Path | None = None) -> AsyncIterator[None]:
    """Wait for our turn among this user's engines on this node; a process that dies gives its up."""
    place = folder or Path(tempfile.gettempdir())
    async with AsyncFileLock(place / f"capstream-engine-{getpass.getuser()}.lock", poll_interval=POLL_S):
        yield
