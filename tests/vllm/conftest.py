"""These tests run real vLLM, which is several gigabytes: ``make test-vllm`` installs it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.tiny_model.served import ENVIRONMENT, loaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vllm import LLM

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]
# Ray's workers have it from here.
os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})


@pytest.fixture(scope="session")
def engine() -> Iterator[LLM]:
    """The tiny model in vLLM, in this process."""
    with loaded() as made:
        yield made
