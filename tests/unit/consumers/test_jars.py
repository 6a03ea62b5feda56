"""The lock of the embedded broker's jars, and the checks against it."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from consumers.jars import ENDPOINT, LOCK_FILE, LockedJar, ensure_jars, jars_dir, read_lock, verify
from serve_app.errors import BrokerError

ROOT = Path(__file__).parents[3]
CONTENT = {"a-1.jar": b"alpha", "b-2.jar": b"beta"}


def a_lock(directory: Path) -> Path:
    lines = [f"{hashlib.sha256(text).hexdigest()}  g:{name}:1  {name}" for name, text in CONTENT.items()]
    path = directory / "test.lock"
    path.write_text("# a comment\n" + "\n".join(lines) + "\n")
    return path


def a_cache(directory: Path) -> tuple[Path, Path, Path]:
    """A lock, a cache directory that holds its jars, and their folder."""
    lock, cache = a_lock(directory), directory / "cache"
    home = jars_dir(cache, lock_file=lock)
    home.mkdir(parents=True)
    for name, text in CONTENT.items():
        (home / name).write_bytes(text)
    return lock, cache, home


def test_the_lock_pins_every_jar_and_names_no_host() -> None:
    """Each line has a SHA-256, coordinates and a file name; there is no address in the file."""
    text = LOCK_FILE.read_text()
    jars = read_lock()
    assert "://" not in text
    assert len(jars) == len([line for line in text.splitlines() if not line.startswith("#")])
    assert len({jar.file_name for jar in jars}) == len(jars)
    for jar in jars:
        group, artifact, version = jar.coordinates.split(":")
        assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256)
        assert re.fullmatch(r"[\w.-]+", group)
        assert jar.file_name == f"{artifact}-{version}.jar"


def test_the_lock_belongs_to_the_endpoint() -> None:
    """The jars that are asked for are in the lock in the same version."""
    assert set(ENDPOINT.split("+")) <= {jar.coordinates for jar in read_lock()}


def test_cached_jars_come_in_the_locks_order(tmp_path: Path) -> None:
    """A cache that matches is taken as it is; the class path has always the same order."""
    lock, cache, home = a_cache(tmp_path)
    assert ensure_jars(cache, lock_file=lock) == [home / "a-1.jar", home / "b-2.jar"]


def test_a_tampered_jar_is_refused(tmp_path: Path) -> None:
    """One changed byte is enough, and the error says which file to delete."""
    lock, cache, home = a_cache(tmp_path)
    (home / "b-2.jar").write_bytes(b"beTa")
    with pytest.raises(BrokerError, match=rf"b-2\.jar differs from its SHA-256.*delete {home}"):
        ensure_jars(cache, lock_file=lock)


def test_an_unlisted_jar_is_refused(tmp_path: Path) -> None:
    """A jar that nobody locked is never run."""
    lock, cache, home = a_cache(tmp_path)
    (home / "c-3.jar").write_bytes(b"gamma")
    with pytest.raises(BrokerError, match=r"c-3\.jar is not in the lock"):
        ensure_jars(cache, lock_file=lock)


def test_a_missing_jar_is_refused(tmp_path: Path) -> None:
    """A registry that resolves to fewer jars is refused by name."""
    lock = read_lock(a_lock(tmp_path))
    path = tmp_path / "a-1.jar"
    path.write_bytes(CONTENT["a-1.jar"])
    with pytest.raises(BrokerError, match=r"b-2\.jar of the embedded broker is missing; ask"):
        verify([path], lock, advice="ask")


def test_another_lock_has_another_folder(tmp_path: Path) -> None:
    """Two versions of capstream share a cache directory without mixing their jars."""
    first = jars_dir(tmp_path, lock_file=a_lock(tmp_path))
    a_lock(tmp_path).write_text("")
    assert jars_dir(tmp_path, lock_file=tmp_path / "test.lock") != first


@pytest.mark.parametrize("line", ["abc", f"{'0' * 64}  g:a:1", f"{'0' * 64}  g:a:1  ../a.jar"])
def test_a_broken_lock_is_named(tmp_path: Path, line: str) -> None:
    """A line that is no entry is shown, and a file name cannot leave the folder."""
    path = tmp_path / "test.lock"
    path.write_text(line)
    with pytest.raises(BrokerError, match=re.escape(repr(line))):
        read_lock(path)


def test_a_lock_line_is_read_as_written(tmp_path: Path) -> None:
    """Digest, coordinates and file name stand in this order."""
    digest = hashlib.sha256(b"alpha").hexdigest()
    assert read_lock(a_lock(tmp_path))[0] == LockedJar(digest, "g:a-1.jar:1", "a-1.jar")


def test_a_cached_start_needs_no_resolver(tmp_path: Path) -> None:
    """Verified jars are returned without importing the resolver, which costs more than the check."""
    lock, cache, _ = a_cache(tmp_path)
    code = (
        "import sys; from pathlib import Path; from consumers.jars import ensure_jars;"
        f"ensure_jars(Path({str(cache)!r}), lock_file=Path({str(lock)!r}));"
        "assert 'jgo' not in sys.modules and 'filelock' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    """Without a network and without a cache the error says what to do."""
    pytest.importorskip("jgo")
    code = (
        "import sys; from pathlib import Path; from consumers.jars import ensure_jars;"
        "from serve_app.errors import BrokerError\n"
        f"try: ensure_jars(Path({str(tmp_path / 'cache')!r}))\n"
        "except BrokerError as error: print(error)"
    )
    (tmp_path / "home").mkdir()
    # A closed port as the proxy of an empty home: every download fails at once.
    nowhere = {
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HOME": str(tmp_path / "home"),
        "M2_REPO": str(tmp_path / "m2"),
    }
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, cwd=ROOT, env=nowhere, check=True, capture_output=True, text=True).stdout
    assert said.startswith("cannot fetch Apache Kafka")
    assert "broker.kind: cluster" in said
    assert said.count("\n") == 1
    assert list((tmp_path / "cache").glob("kafka-*")) == []
