"""The share of the application's CPU that is decoding: clips in a bare loop against the whole application.

CPU seconds (user and system, children included) of decoding the same clips (10 s, 720p) in one bare process,
divided by those of consumer, decoder with its child, captioner and ingress for them, from the first caption
to the last. The broker is not counted, and the engine does nothing: it has a device of its own.

    python -m benchmarks.pipeline [--clips 40] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from ray import serve

from benchmarks.idle_parts import IdleEngine
from benchmarks.stage import application, settings_of, stage
from consumers.broker import BrokerProcess
from consumers.producer import Submission, submit_all
from consumers.reader import Until, records_of
from serve_app.app import Parts
from serve_app.settings import DecoderSettings, SourceSettings
from serve_app.video.clips import Coding, encode, square_on

TITLE = "ray::ServeReplica:pipeline:"
WARM_UP = 4


def write_clip(folder: Path) -> Path:
    """Ten seconds of 720p at 30 frames per second."""
    return encode(
        folder / "clip.mp4", square_on((60, 90, 40), (230, 220, 90)), 300, (1280, 720), Coding(fps=30)
    )


def bare_cpu_s(clip: Path, clips: int) -> float:
    """CPU seconds of decoding it so many times in a process of its own, start-up left out."""
    command = [sys.executable, "-m", "benchmarks.pipeline", "--bare", str(clip), "--clips", str(clips)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def decode_in_a_loop(clip: Path, clips: int) -> float:
    """CPU seconds of this process for so many decodes."""
    from serve_app.video.decoder import decode_file  # noqa: PLC0415  in the child only
    from serve_app.video.job import DecodeJob, Shot  # noqa: PLC0415

    settings = DecoderSettings()
    job = DecodeJob(clip, Shot(settings.sampling, None, None, settings.geometry))
    decode_file(job)
    before = sum(os.times()[:2])
    for _ in range(clips):
        decode_file(job)
    return sum(os.times()[:2]) - before


def application_cpu_s(broker: BrokerProcess, clip: Path, clips: int) -> float:
    """CPU seconds of all replicas and their children for so many captions."""
    readable = SourceSettings(file_roots=(clip.parent,))
    settings = settings_of(broker, 16).model_copy(update={"sources": readable})
    serve.run(application(settings, Parts(engine=IdleEngine)), name="pipeline", route_prefix=None)
    value = json.dumps({"url": clip.as_uri()}).encode()
    try:
        for round_clips in (WARM_UP, clips):
            before = cpu_s()
            list(submit_all(settings, Submission((value,) * round_clips)))
            count = WARM_UP if round_clips == WARM_UP else WARM_UP + clips
            found = list(
                records_of(settings, [settings.topics.captions], from_beginning=True, until=Until(count, 300))
            )
            if len(found) != count:
                raise RuntimeError(f"{len(found)} of {count} captions came")
        return cpu_s() - before
    finally:
        serve.delete("pipeline")


def cpu_s() -> float:
    """CPU seconds so far of the replicas and of their children."""
    total = 0.0
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or []).startswith(TITLE):
            for one in [process, *process.children(recursive=True)]:
                times = one.cpu_times()
                total += times.user + times.system
    return total


def main() -> None:
    """Run both in turn and print the seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        print(decode_in_a_loop(asked.bare, asked.clips))
        return
    ratios = []
    with tempfile.TemporaryDirectory() as folder, stage() as broker:
        clip = write_clip(Path(folder))
        for number in range(asked.rounds):
            bare = bare_cpu_s(clip, asked.clips)
            whole = application_cpu_s(broker, clip, asked.clips)
            ratios.append(bare / whole)
            print(
                f"round {number + 1}: bare {bare / asked.clips:.3f} s a clip, "
                f"application {whole / asked.clips:.3f} s, ratio {ratios[-1]:.2f}"
            )
    print(f"median ratio {statistics.median(ratios):.2f} (goal: at least 0.7)")


if __name__ == "__main__":
    main()
