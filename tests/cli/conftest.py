"""Commands in an empty folder, a clip to give them, and a configuration without a broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consumers.broker_node import free_ports
from serve_app.cli import main
from tests.cli.commands import Ran, Run
from tests.clips import write_clip


@pytest.fixture
def capstream(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command in an empty folder, where no configuration is found."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "ALLOW_NETWORKS", "ALLOW_HOSTS", "FILE_ROOTS"):
        monkeypatch.delenv(f"CAPSTREAM_{name}", raising=False)

    def run(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return Ran(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 10 frames per second, 320 x 240."""
    path = tmp_path_factory.mktemp("clip") / "a clip.mp4"
    return write_clip(path, seconds=4, fps=10, width=320, height=240)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Serve YAML whose broker is a port where nobody listens."""
    (port,) = free_ports(1)
    monkeypatch.setenv("CAPSTREAM_TEST_PASSWORD", "hunter2")
    client = {"sasl.password": "${CAPSTREAM_TEST_PASSWORD}", "client.rack": "r1"}
    broker = {"kind": "cluster", "bootstrap_servers": f"127.0.0.1:{port}", "client": client}
    args = {"broker": broker, "consumer": {"settle_timeout_s": 0.5}}
    path = tmp_path / "serve.yaml"
    application = {"name": "a", "import_path": "serve_app.app:build", "args": args}
    path.write_text(json.dumps({"applications": [application]}))
    return path
