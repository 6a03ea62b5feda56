"""A broker that a test may kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from consumers.runtime import JavaRuntime


@pytest.fixture
def broker(java_runtime: JavaRuntime, tmp_path: Path) -> Iterator[BrokerProcess]:
    """One node of its own."""
    port, controller_port = free_ports(2)
    node = BrokerNode(data_dir=tmp_path, port=port, controller_port=controller_port)
    with BrokerProcess(node, java_runtime) as running:
        yield running
