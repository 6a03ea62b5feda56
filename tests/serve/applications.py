"""The real application, deployed from configs/serve.yaml as ``serve run`` does, with its broker replaced."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from confluent_kafka import Producer
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from consumers.reader import Until, records_of
from consumers.records import InputRecord
from consumers.report import Ending, ending_of
from serve_app.config import settings_from
from serve_app.settings import Settings
from tests.brokers import KAFKA_LOG, Kafka, unique

ROOT = Path(__file__).resolve().parents[2]
GIVE_UP_S = 120.0
DEPLOYED_S = 420.0  # an engine with a model takes minutes on a busy machine
QUICK = {"health_check_period_s": 0.5, "health_check_timeout_s": 10, "graceful_shutdown_wait_loop_s": 0.05}


@dataclass(frozen=True, slots=True)
class Application:
    """A running application and its topics."""

    name: str
    url: str
    settings: Settings
    folder: Path

    def submit(self, *values: object) -> None:
        """Send requests: bytes and ``None`` as they are, text as a bare URL, anything else as JSON."""
        producer = Producer(
            {"bootstrap.servers": self.settings.broker.bootstrap_servers, "message.max.bytes": 2**22},
            logger=KAFKA_LOG,
        )
        for value in values:
            raw = value if isinstance(value, bytes | None) else _text(value).encode()
            producer.produce(self.settings.topics.requests, raw, b"key")
        assert producer.flush(30) == 0

    def results(self, count: int, timeout_s: float = GIVE_UP_S) -> Iterator[InputRecord]:
        """Captions and dead letters from the first, as they come, until there are so many."""
        topics = [self.settings.topics.captions, self.settings.topics.dead_letters]
        return records_of(self.settings, topics, from_beginning=True, until=Until(count, timeout_s))

    def endings(self, count: int) -> list[Ending]:
        """How the first so many requests ended."""
        found = [ending_of(record) for record in self.results(count)]
        assert len(found) == count, f"{len(found)} of {count} results: {found}"
        return found

    def processes(self, deployment: str) -> list[psutil.Process]:
        """The replicas' processes."""
        title = f"ray::ServeReplica:{self.name}:{deployment}"
        return [
            p for p in psutil.process_iter(["cmdline"]) if " ".join(p.info["cmdline"] or []).startswith(title)
        ]

    def kill(self, deployment: str) -> None:
        """Kill the replicas of a deployment with SIGKILL."""
        processes = self.processes(deployment)
        assert processes
        for process in processes:
            process.send_signal(signal.SIGKILL)

    def undeploy(self) -> None:
        """Delete it in good order."""
        serve.delete(self.name)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def counted(endings: Sequence[Ending]) -> Counter[str]:
    """How often each request ended."""
    return Counter(ending.id for ending in endings)


def config_for(kafka: Kafka, folder: Path, **overrides: dict[str, Any]) -> dict[str, Any]:
    """configs/serve.yaml with the test's broker and topics, and settings overridden by area."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "serve.yaml").read_text())
    (application,) = document["applications"]
    name = unique("video")
    application["name"] = name
    application["route_prefix"] = f"/{name}"
    application["args"] |= {
        "broker": {"kind": "cluster", "bootstrap_servers": kafka.bootstrap_servers},
        "topics": {
            "requests": f"{name}.requests",
            "captions": f"{name}.captions",
            "dead_letters": f"{name}.requests.dlq",
            "partitions": 3,
            "replication_factor": kafka.replicas,
            **overrides.pop("topics", {}),
        },
        "consumer": {
            "group_id": name,
            "session_timeout_s": 6,
            "retry_initial_s": 0.1,
            "retry_max_s": 0.5,
            **overrides.pop("consumer", {}),
        },
        "sources": {
            "idle_timeout_s": 5,
            "allow_networks": ["127.0.0.0/8"],
            "file_roots": [str(folder)],
            **overrides.pop("sources", {}),
        },
        **overrides,
    }
    application["deployments"] = [
        {**deployment, **QUICK} for deployment in application["deployments"] if deployment["name"] != "Broker"
    ]
    del document["http_options"], document["proxy_location"], document["logging_config"]
    assert folder.is_dir()
    return document


@contextmanager
def deployed(url: str, kafka: Kafka, folder: Path, **overrides: dict[str, Any]) -> Iterator[Application]:
    """Deploy the application and wait until it runs; delete it afterwards."""
    document = config_for(kafka, folder, **overrides)
    deploy(document)
    try:
        yield application_of(document, url, folder)
    finally:
        serve.delete(document["applications"][0]["name"])


def application_of(document: dict[str, Any], url: str, folder: Path) -> Application:
    """The application of a document as its tests see it."""
    (own,) = document["applications"]
    return Application(own["name"], f"{url}/{own['name']}", settings_from(own["args"], os.environ), folder)


def deploy(document: dict[str, Any]) -> None:
    """Deploy as ``serve run`` does, and wait until the application runs."""
    client = _get_global_client()
    assert client is not None
    client.deploy_apps(ServeDeploySchema.model_validate(document), _blocking=False)
    status = wait_until_settled(document["applications"][0]["name"])
    assert status.status == "RUNNING", status.message


@retry(
    retry=retry_if_result(lambda app: app.status in ("DEPLOYING", "NOT_STARTED")),
    stop=stop_after_delay(DEPLOYED_S),
    wait=wait_fixed(0.2),
)
def wait_until_settled(name: str) -> Any:  # noqa: ANN401  a status of Serve's
    """Wait until an application runs or has failed."""
    return serve.status().applications[name]
