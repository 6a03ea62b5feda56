"""One Ray and one Serve for all tests here; each test deploys an application of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray import serve

from consumers.broker_node import free_ports
from tests.brokers import Kafka
from tests.serve.applications import Application, deployed

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture(scope="session")
def http_url() -> Iterator[str]:
    """Ray and Serve, with the HTTP proxy on a port of its own; gives the proxy's URL."""
    (port,) = free_ports(1)
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=200 * 1024**2,
        log_to_driver=False,
        namespace="serve",
    )
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


@pytest.fixture
def application(http_url: str, kafka: Kafka, tmp_path: Path) -> Iterator[Application]:
    """The whole application on a topic of its own, gone after the test."""
    with deployed(http_url, kafka, tmp_path) as one:
        yield one
