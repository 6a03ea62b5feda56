"""The breaker under Serve, which replaces what is unhealthy."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from ray import serve
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from tests.brokers import Kafka
from tests.serve.applications import Application, application_of, config_for, deploy

IN_A_ROW, IN_FLIGHT, COUNT = 5, 4, 200


def letters(application: Application) -> int:
    """Dead letters so far."""
    return len(list(application.results(COUNT, timeout_s=3)))


@retry(retry=retry_if_result(lambda ids: len(ids) < 3), stop=stop_after_delay(120), wait=wait_fixed(0.05))
def lives(application: Application, seen: set[int]) -> set[int]:
    """The process ids of three consumers, one after the other."""
    seen |= {process.pid for process in application.processes("Consumer")}
    return seen


@retry(retry=retry_if_result(lambda said: said is None), stop=stop_after_delay(120), wait=wait_fixed(0.2))
def reason(application: Application) -> str | None:
    """What the status says of a replacement: it runs long enough to be asked."""
    with urllib.request.urlopen(f"{application.url}/v1/status") as answer:  # noqa: S310  our own application
        return next((one["stopped"] for one in json.load(answer)["consumers"]), None)


def test_a_stop_outlives_the_replica(http_url: str, kafka: Kafka, tmp_path: Path) -> None:
    """Replacements read nothing; a deploy with another text in ``resume`` reads on."""
    breaker = {"in_a_row": IN_A_ROW}
    document = config_for(kafka, tmp_path, consumer={"max_in_flight": IN_FLIGHT, "breaker": breaker})
    (own,) = document["applications"]
    deploy(document)
    application = application_of(document, http_url, tmp_path)
    try:
        application.submit(*[b"no request"] * COUNT)
        lives(application, set())
        assert reason(application) == f"{IN_A_ROW + 1} dead letters in a row"
        stopped_at = letters(application)
        assert IN_A_ROW < stopped_at <= IN_A_ROW + IN_FLIGHT
        own["args"]["consumer"]["breaker"] = {"in_a_row": 0, "share": 1, "resume": "the cause is gone"}
        deploy(document)
        assert len(list(application.results(COUNT))) == COUNT
    finally:
        serve.delete(own["name"])
