"""What the demo refuses before it starts, and what it says when the application did not start."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.demo.__main__ import require_free, require_no_ray
from serve_app.demo.application import DemoError, reason_in

LOG = """\
2026-11-21 11:26:39,802 SUCC scripts.py:546 -- \x1b[32mSubmitted deploy config successfully.\x1b[39m
\x1b[36m(ServeController pid=14961)\x1b[0m     raise BrokerError(
\x1b[36m(ServeController pid=14961)\x1b[0m serve_app.errors.BrokerError: port 1 is taken
\x1b[36m(ServeController pid=14961)\x1b[0m ERROR -- Failed to update the deployments ['Broker'].

"""


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))


def test_a_ray_that_would_be_joined_is_named(tmp_path: Path) -> None:
    """``ray start`` leaves its address in a file, which ``serve run`` would follow."""
    require_no_ray()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:6379\n")
    with pytest.raises(DemoError, match=r"Ray cluster at 127\.0\.0\.1:6379: stop it with `ray stop`"):
        require_no_ray()


def test_an_address_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would send the demo to a cluster."""
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(DemoError, match="RAY_ADDRESS is set"):
        require_no_ray()


def test_a_taken_port_is_named_with_what_to_do() -> None:
    """Port, who needs it and the way out stand in one sentence; a free one is none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(DemoError, match=f"port {port} is taken, which the proxy needs: move it"):
            require_free(port, "the proxy", "move it")
    require_free(port, "the proxy", "move it")


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (LOG, "serve_app.errors.BrokerError: port 1 is taken"),
        ("one\n\x1b[31mtwo\x1b[0m\n\n", "two"),
        ("", "it printed nothing"),
    ],
)
def test_the_reason_is_the_last_error_of_the_log(log: str, reason: str) -> None:
    """Without the colours and process names that Ray puts before each line."""
    assert reason_in(log) == reason


REFUSED = """\
\x1b[36m(app pid=7)\x1b[0m serve_app.errors.SettingsError: /a/configs/serve.yaml is refused:
\x1b[36m(app pid=7)\x1b[0m args.broker.port: 8000 is refused; allowed: one that leaves 8000 to Serve
args.topics.requests: '' is refused; allowed: text
2026-11-21 11:26:39,802 ERROR gave up
"""


def test_a_refusal_is_told_with_what_is_refused() -> None:
    """What stands below the sentence says what to do."""
    assert reason_in(REFUSED) == (
        "serve_app.errors.SettingsError: /a/configs/serve.yaml is refused: args.broker.port: 8000 is "
        "refused; allowed: one that leaves 8000 to Serve; args.topics.requests: '' is refused; allowed: text"
    )


STOPPED = """
import os, signal
from serve_app.demo.__main__ import end_in_good_order
end_in_good_order()
try:
    os.kill(os.getpid(), signal.{name})
finally:
    print("stopped")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_demo_stops_what_it_started_however_it_ends(name: str) -> None:
    """A closed terminal ends it in good order, also where a script started it, which ignores Ctrl-C."""
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", STOPPED.format(name=name)], capture_output=True, text=True, check=False
        )
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert (ran.returncode, ran.stdout) == (128 + signal.Signals[name], "stopped\n")
