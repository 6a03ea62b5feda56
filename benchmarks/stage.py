"""Where the benchmarks of the whole application play: one Ray, one Serve, one real broker."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import serve

from consumers.aot import ensure_runtime
from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from consumers.clients import client_config
from consumers.topics import ensure_topics
from serve_app.app import Parts, compose
from serve_app.settings import ClusterBroker, ConsumerSettings, Settings, TopicSettings


@contextmanager
def stage() -> Iterator[BrokerProcess]:
    """Start everything, and stop it again."""
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False, namespace="serve")
    serve.start(proxy_location="Disabled")
    port, controller_port = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        node = BrokerNode(data_dir=Path(folder), port=port, controller_port=controller_port)
        with BrokerProcess(node, ensure_runtime()) as broker:
            yield broker
            serve.shutdown()
    ray.shutdown()


def settings_of(broker: BrokerProcess, concurrency: int) -> Settings:
    """Settings with topics and a group of their own; the topics are made."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    settings = Settings(
        broker=ClusterBroker(bootstrap_servers=broker.bootstrap_servers),
        topics=TopicSettings(requests=name, captions=f"{name}.captions", dead_letters=f"{name}.dlq"),
        consumer=ConsumerSettings(group_id=name, max_in_flight=concurrency),
    )
    ensure_topics(client_config(settings.broker), settings.topics, settings.retry_topics)
    return settings


def application(settings: Settings, parts: Parts) -> serve.Application:
    """The real deployments, each allowed to take what it can."""
    app = compose(settings, parts)
    _without_limits(app)
    return app


def _without_limits(app: Any) -> None:  # noqa: ANN401  Serve's graph of bound deployments
    bound = app._bound_deployment  # noqa: SLF001  no public way to override options of a bound graph
    bound._deployment_config.max_ongoing_requests = 1000  # noqa: SLF001
    bound._replica_config.update(  # noqa: SLF001
        ray_actor_options={"num_cpus": 0},
        placement_group_bundles=None,
        placement_group_strategy=None,
        max_replicas_per_node=None,
    )
    for argument in bound.init_args:
        if isinstance(argument, serve.Application):
            _without_limits(argument)
