"""One sandbox for each part of the corpus, and what must stay untouched next to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.hostile.outcome import sandbox
from tests.hostile.seeds import Seeds
from tests.hostile.walls import Walls
from tests.unit.sources.servers import trap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """Good clips, made as they are asked for."""
    return Seeds(tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder that URLs may read, with traps of its own."""
    folder = tmp_path_factory.mktemp("roots")
    (folder / "outwards").symlink_to("/etc/passwd")
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    with (folder / "terabyte").open("wb") as file:
        file.truncate(1 << 40)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walls(tmp_path_factory: pytest.TempPathFactory, seeds: Seeds) -> AsyncIterator[Walls]:
    """Two children, a good clip that both decode, and a socket that nobody may connect to."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "clip.mp4").write_bytes(seeds["pyramid.mp4"])
    box = sandbox(children=2)
    await box.start()
    try:
        with trap() as caught:
            yield Walls(box, folder, folder / "clip.mp4", caught)
    finally:
        await box.close()
