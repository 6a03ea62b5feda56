"""``serve run configs/serve.yaml`` as a child process of the demo."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path

import psutil

from serve_app.errors import CapstreamError

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = ROOT / "configs" / "serve.yaml"
STOP_TIMEOUT_S = 40.0
GONE_TIMEOUT_S = 10.0
# What Serve prints when it has given up; it goes on running all the same.
GIVEN_UP = ("Failed to update the deployments", "Exception importing application")
REASON = re.compile(r"[A-Za-z_][\w.\[\]-]*: ")  # a key's path, and what is wrong with it
DECORATION = re.compile(r"\x1b\[[0-9;]*m|^\(.*? pid=\d+\) ")


class DemoError(CapstreamError):
    """Why the demo cannot go on, and what to do."""


class Application:
    """``serve run`` as a child process, with its output in a log file."""

    def __init__(self, folder: Path) -> None:
        self.log_path = folder / "serve.log"
        # Without compiled modules each of Ray's workers would compile every one anew: half a minute more.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = inherited | {
            "CAPSTREAM_DATA_DIR": str(folder / "data"),
            "CAPSTREAM_FILE_ROOTS": str(folder),
            "CAPSTREAM_ALLOW_NETWORKS": "127.0.0.0/8",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_LOG_TO_STDERR": "1",
            "PYTHONWARNINGS": "ignore",
        }
        command = [str(Path(sys.executable).with_name("serve")), "run", str(CONFIG)]
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own command line, no shell
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def require_running(self) -> None:
        """Raise when it has ended or could not deploy."""
        text = self.log_path.read_text(errors="replace")
        if self._process.poll() is not None or any(words in text for words in GIVEN_UP):
            raise DemoError(f"`serve run configs/serve.yaml` failed: {reason_in(text)}")

    def stop(self) -> list[str]:
        """Stop it as Ctrl-C does; returns what did not end by itself and was killed."""
        family = self._processes()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        names = []
        for process in _left_after(family, GONE_TIMEOUT_S):
            with contextlib.suppress(psutil.NoSuchProcess):
                names.append(f"{process.name()} ({process.pid})")
                process.kill()
        return names

    def _processes(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self._process.pid)
            return [*own.children(recursive=True), own]
        except psutil.NoSuchProcess:
            return []


def _left_after(family: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    # psutil.wait_procs would also wait until somebody reaps those that have ended.
    deadline = time.monotonic() + timeout_s
    left = [process for process in family if _runs(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if _runs(process)]
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def reason_in(log: str) -> str:
    """The last line that names an error, or the last one, without colours and process names.

    One that ends with a colon has its reasons on the lines below, which are taken along.
    """
    plain = [DECORATION.sub("", DECORATION.sub("", line)).strip() for line in log.splitlines()]
    lines = [line for line in plain if line]
    errors = [number for number, line in enumerate(lines) if "Error: " in line]
    if not errors:
        return lines[-1] if lines else "it printed nothing"
    last = errors[-1]
    if not lines[last].endswith(":"):
        return lines[last]
    below = takewhile(lambda line: REASON.match(line) is not None, lines[last + 1 :])
    return " ".join([lines[last], "; ".join(below)])
