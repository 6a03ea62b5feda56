"""Prepares the Java runtime of the embedded broker once per machine, so that each start is quick.

Java's ahead-of-time cache holds Kafka's classes loaded and linked. It is written by a broker that is
started and stopped once on an empty directory; that takes some 7 s and 62 MiB, and a start then takes
half as long. It is an optimisation only: where it cannot be written, brokers start without it.

``python -m consumers.aot`` does this ahead of time, for example while an image is built.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode, free_ports
from consumers.jars import default_cache_dir
from consumers.runtime import JavaRuntime, find_runtime
from serve_app.errors import BrokerError

logger = logging.getLogger(__name__)
WRITING_S = 120


def ensure_runtime(cache_dir: Path | None = None) -> JavaRuntime:
    """The runtime, fetched and prepared where the cache lacks it; ``BrokerError`` when it cannot be had.

    Blocks: 50 ms when prepared, up to a minute the first time. Safe to call from several processes.
    """
    runtime = find_runtime(cache_dir or default_cache_dir())
    if runtime.aot_cache.exists():
        return runtime
    from filelock import FileLock  # noqa: PLC0415 - only the extra 'embedded' brings it

    try:
        with FileLock(runtime.aot_cache.with_suffix(".lock")):
            if not runtime.aot_cache.exists():
                _write_cache(runtime)
    except (OSError, BrokerError) as error:
        logger.warning("no ahead-of-time cache for the embedded broker, it starts slower: %s", error)
    return runtime


def _write_cache(runtime: JavaRuntime) -> None:
    logger.info("preparing the embedded broker, once on this machine")
    with tempfile.TemporaryDirectory(prefix="train-", dir=runtime.aot_cache.parent) as scratch:
        written = Path(scratch) / "written.aot"
        port, controller_port = free_ports(2)
        node = BrokerNode(data_dir=Path(scratch), port=port, controller_port=controller_port)
        flags = (f"-XX:AOTCacheOutput={written}",)
        try:
            # Java writes the cache after the orderly stop, so that stop gets its time.
            with BrokerProcess(node, runtime, grace_s=WRITING_S, flags=flags):
                pass
        finally:
            # An empty file says that this was tried; the next start does not try again.
            written.touch()
            written.replace(runtime.aot_cache)


def main() -> None:
    """Fetch, verify and prepare everything that the embedded broker needs."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m consumers.aot", description=main.__doc__)
    parser.add_argument("--cache-dir", type=Path, default=default_cache_dir())
    runtime = ensure_runtime(parser.parse_args().cache_dir)
    print(f"{len(runtime.jars)} jars, ahead-of-time cache: {runtime.has_aot_cache()}")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
