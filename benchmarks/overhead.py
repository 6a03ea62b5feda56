"""What the pipeline itself costs: requests/s with parts that do nothing, against bare Serve handles.

In one run on one Ray: first replica -> replica -> replica with the same payload and concurrency, then the
real consumer, decoder and captioner on a real broker. The ratio is the share of the bare rate that is left.

    python -m benchmarks.overhead [--requests 4000] [--concurrency 64] [--rounds 3] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import Any

import numpy as np
from ray import serve
from ray.serve.handle import DeploymentHandle

from benchmarks.idle_parts import FACTS, FRAMES, IdleEngine, IdlePreparation
from benchmarks.profiles import profile, table
from benchmarks.stage import application, settings_of, stage
from consumers.broker import BrokerProcess
from consumers.producer import Submission, submit_all
from consumers.reader import Until, records_of
from serve_app.app import Parts
from serve_app.ask import Ask
from serve_app.deployments.decoder import asked
from serve_app.engines.protocol import Generation
from serve_app.order import Orders
from serve_app.result import Place, Said, captioned
from serve_app.schema import CaptionRequest, EngineFacts
from serve_app.settings import Settings

NO_CPU = {"ray_actor_options": {"num_cpus": 0}, "max_ongoing_requests": 1000}
PROFILE_S = 8
URL = "https://example.org/videos/0123456789.mp4"


@serve.deployment(**NO_CPU)
class Last:
    """The captioner's place: takes frames, says a word."""

    async def call(self, frames: np.ndarray, ask: Ask) -> Said:
        """Answer at once."""
        assert len(frames) == len(ask.pts_seconds)  # noqa: S101  both have come through
        return Said(Generation("nothing", None, "stop"), EngineFacts(kind="idle", model=None), "here")


@serve.deployment(**NO_CPU)
class Middle:
    """The decoder's place: hands frames on and answers with the caption."""

    def __init__(self, last: DeploymentHandle[Any]) -> None:
        self._last = last
        self._order = Orders(Settings()).of(CaptionRequest(url=URL))

    async def call(self, request: CaptionRequest) -> object:
        """Pass on and answer."""
        assert request.source  # noqa: S101  the request has come through
        said = await self._last.call.remote(FRAMES, asked(FACTS, self._order, deadline_s=time.time() + 60))
        return captioned(FACTS, said, self._order, 0.0, Place("here", "here"))


@serve.deployment(**NO_CPU)
class First:
    """The consumer's place: keeps so many requests in flight."""

    def __init__(self, middle: DeploymentHandle[Any]) -> None:
        self._middle = middle

    async def run(self, requests: int, concurrency: int) -> float:
        """Requests per second."""
        left = iter(range(requests))

        async def worker() -> None:
            for _ in left:
                await self._middle.call.remote(CaptionRequest(url=URL))

        began = time.monotonic()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return requests / (time.monotonic() - began)


def bare_rate(requests: int, concurrency: int) -> float:
    """Requests per second over two bare handles."""
    handle = serve.run(First.bind(Middle.bind(Last.bind())), name="bare", route_prefix=None)
    try:
        handle.run.remote(concurrency * 2, concurrency).result()
        return float(handle.run.remote(requests, concurrency).result())
    finally:
        serve.delete("bare")


def pipeline_rate(broker: BrokerProcess, requests: int, concurrency: int) -> float:
    """Captions per second between the first tenth and the last, by the times of their records."""
    settings = settings_of(broker, concurrency)
    for _ in submit_all(settings, Submission((URL.encode(),) * requests)):
        pass
    serve.run(application(settings, Parts(IdlePreparation, IdleEngine)), name="pipeline", route_prefix=None)
    try:
        until = Until(requests, 300)
        times = [
            r.timestamp_ms or 0
            for r in records_of(settings, [settings.topics.captions], from_beginning=True, until=until)
        ]
    finally:
        serve.delete("pipeline")
    times.sort()
    low, high = requests // 10, requests * 9 // 10
    return (high - low) / ((times[high] - times[low]) / 1000)


def profiled(broker: BrokerProcess, requests: int, concurrency: int) -> str:
    """Where the replicas' time goes while the pipeline runs."""
    settings = settings_of(broker, concurrency)
    serve.run(application(settings, Parts(IdlePreparation, IdleEngine)), name="pipeline", route_prefix=None)
    try:
        for _ in submit_all(settings, Submission((URL.encode(),) * requests * 4)):
            pass
        return table(profile("pipeline", PROFILE_S))
    finally:
        serve.delete("pipeline")


def main() -> None:
    """Run both in turn and print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="Sample the replicas in one more round.")
    asked = parser.parse_args()
    ratios = []
    with stage() as broker:
        for number in range(asked.rounds):
            bare = bare_rate(asked.requests, asked.concurrency)
            whole = pipeline_rate(broker, asked.requests, asked.concurrency)
            ratios.append(whole / bare)
            print(f"round {number + 1}: bare {bare:6.0f}/s  pipeline {whole:6.0f}/s  ratio {ratios[-1]:.2f}")
        if asked.profile:
            print(profiled(broker, asked.requests, asked.concurrency))
    print(f"median ratio {statistics.median(ratios):.2f} (goal: at least 0.3)")


if __name__ == "__main__":
    main()
