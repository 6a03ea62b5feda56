"""The corpus of files: each ends in its class, and nobody next to it notices.

A case has one second of processor time, 256 MiB and, on the clock, half a minute (``outcome.LIMITS``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile import giants, lies, others, pretenders, spoilt
from tests.hostile.case import Case, named

if TYPE_CHECKING:
    from tests.hostile.seeds import Seeds
    from tests.hostile.walls import Walls

pytestmark = pytest.mark.asyncio(loop_scope="module")
CASES = named([*spoilt.CASES, *lies.CASES, *giants.CASES, *others.CASES, *pretenders.CASES])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_hostile_file_ends_in_its_class(case: Case, walls: Walls, seeds: Seeds) -> None:
    """In its time, in a sentence fit for the output topic; the neighbours and the next decode as ever."""
    outcome = await walls.file(case, case.make(seeds))
    assert outcome.kind in case.ends, outcome
    assert case.saying in outcome.message


async def test_every_kind_of_box_is_flipped(seeds: Seeds) -> None:
    """The list of boxes holds all kinds that the generated clips have, and no other."""
    listed = {kind for kinds in spoilt.BOXES.values() for kind in kinds}
    assert listed == spoilt.kinds(seeds)


async def test_the_corpus_is_as_large_as_promised() -> None:
    """At least 200 files, of which each is made in code."""
    assert len(CASES) >= 200
