"""What commands may read: files that are named, public hosts, and what the environment adds."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cli.commands import Run
from tests.unit.sources.servers import trap

TOLD = (
    "the host is not allowed: not a public address, nor one of sources.allow_networks or sources.allow_hosts"
)


def test_hosts_of_this_network_need_to_be_allowed(capstream: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word nothing is connected to; with the variable it is, and nobody answers there."""
    with trap() as watched:
        url = f"http://127.0.0.2:{watched.port}/a.mp4"
        for command in (["caption", url], ["frames", url, "--out", "out"]):
            ran = capstream(*command)
            assert (ran.code, ran.told) == (1, f"capstream: {url}: {TOLD}")
        assert not watched.touched
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setenv("CAPSTREAM_ALLOW_NETWORKS", "127.0.0.0/8")
    for command in (["caption"], ["frames", "--out", "out"]):
        ran = capstream(*command, f"http://127.0.0.1:{port}/a.mp4")
        assert (ran.code, ran.told) == (1, f"capstream: http://127.0.0.1:{port}/a.mp4: connection refused")


def test_a_bad_variable_is_named(capstream: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no file that speaks of it."""
    monkeypatch.setenv("CAPSTREAM_ALLOW_NETWORKS", "everything")
    ran = capstream("caption", clip)
    assert (ran.code, ran.out) == (1, "")
    assert "args.sources.allow_networks: ${CAPSTREAM_ALLOW_NETWORKS:-} was given a value" in ran.told


def test_submit_warns_of_files_that_would_be_refused(capstream: Run, config: Path, clip: Path) -> None:
    """One line says what to set, before the broker is asked; files of the topic's own URLs are not judged."""
    ran = capstream("--config", config, "submit", clip, clip, "file:///elsewhere.mp4", "https://example.org/")
    warning, rest = ran.err.split("\n", 1)
    assert warning == (
        f"capstream: no files may be read in {clip.parent}: start the application with "
        f"CAPSTREAM_FILE_ROOTS={clip.parent}, and set it for this command, too"
    )
    assert rest.count("\n") == 1
    assert "127.0.0.1:" in rest


def test_submit_does_not_warn_of_files_that_may_be_read(capstream: Run, config: Path, clip: Path) -> None:
    """Below a root of the settings all is well."""
    args = f'"sources": {{"file_roots": ["{clip.parent}"]}}, "consumer"'
    config.write_text(config.read_text().replace('"consumer"', args))
    ran = capstream("--config", config, "submit", clip)
    assert ran.err.count("\n") == 1
    assert "CAPSTREAM_FILE_ROOTS" not in ran.err
