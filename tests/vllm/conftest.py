"""These tests run real vLLM, which is several gigabytes: ``make test-vllm`` installs it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.tiny_model.served import ENVIRONMENT
from tests.vllm.engines import Running

if TYPE_CHECKING:
    from collections.abc import Iterator

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]
# Ray's workers have it from here.
os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """Capstream's engine with the tiny model: loading takes half a minute, so one is enough."""
    one = Running()
    yield one
    one.close()
