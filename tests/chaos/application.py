"""``serve run`` of the real application in a Ray of its own, and its processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
import yaml

from consumers.broker_node import free_ports
from serve_app.config import load
from serve_app.errors import CapstreamError
from serve_app.settings import Settings
from tests.chaos.load import MAX_ATTEMPTS
from tests.chaos.verdict import Delivery

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
NAME = "chaos"
PARTITIONS = 6
REPLICAS = {"Consumer": 3, "Decoder": 2, "Captioner": 2, "Ingress": 1}
CONTROLLER = "ray::ServeController"
CHILD = "serve_app.video.child"
START_S = 240.0
STOP_S = 90.0
DEPLOY_S = 120.0
ASK_S = 5.0
DASHBOARD = re.compile(r"dashboard at \S*?([0-9.]+:\d+)")
FAILED = "Failed to update the deployments"  # Serve's line when it has given up
# An address of a Ray that runs already would be joined.
LEFT_OUT = ("RAY_ADDRESS", "CAPSTREAM_CONFIG")


class ChaosError(CapstreamError):
    """Why the run cannot go on; no verdict about the application."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How the consumers deliver, and how their group is kept."""

    delivery: Delivery = "exactly_once"
    group_protocol: Literal["classic", "consumer"] = "classic"


def document_for(servers: str, http_port: int, mode: Mode) -> dict[str, Any]:
    """configs/serve.kafka.yaml for three brokers, with replicas and with times that suit a short run."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "serve.kafka.yaml").read_text())
    document["http_options"]["port"] = http_port
    (application,) = document["applications"]
    application["name"] = NAME
    args = application["args"]
    args["broker"] = {"kind": "cluster", "bootstrap_servers": servers}
    args["topics"] = {"partitions": PARTITIONS, "replication_factor": 3}
    args["consumer"] = {
        "delivery": mode.delivery,
        "group_protocol": mode.group_protocol,
        "max_attempts": MAX_ATTEMPTS,
        "max_in_flight": 16,
        "retry_delays_s": [1, 3],
        "session_timeout_s": 6,
    }
    args["sources"] = {"allow_networks": ["127.0.0.0/8"]}
    for deployment in application["deployments"]:
        deployment["num_replicas"] = REPLICAS[deployment["name"]]
        deployment["ray_actor_options"] = {"num_cpus": 0}
    return document


@dataclass(slots=True)
class Application:
    """One ``serve run``; its YAML is written anew for each deploy."""

    folder: Path
    document: dict[str, Any]
    http_port: int = field(default_factory=lambda: free_ports(1)[0])
    _process: subprocess.Popen[bytes] | None = None
    _dashboard: str = ""

    @property
    def config(self) -> Path:
        """The YAML."""
        return self.folder / "serve.yaml"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "serve.log"

    @property
    def environment(self) -> dict[str, str]:
        """Ray's files in our folder, its store small, nobody else's Ray."""
        kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        return kept | {
            "RAY_AUTH_MODE": "disabled",
            "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": str(400 * 1024**2),
            "RAY_TMPDIR": str(self.folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_LOG_TO_STDERR": "1",
            "PYTHONWARNINGS": "ignore",
        }

    @property
    def settings(self) -> Settings:
        """The settings that it runs with."""
        return load(self.config, self.environment).settings

    def write_config(self) -> None:
        """Write the YAML as the document is now."""
        self.config.write_text(yaml.safe_dump(self.document))

    def start(self) -> None:
        """Start it as a terminal does: the leader of a process group."""
        self.write_config()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [BIN / "serve", "run", self.config.name],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def await_whole(self, timeout_s: float = START_S) -> None:
        """Wait until all consumers answer and own every partition; ``ChaosError`` if they do not."""
        deadline = time.monotonic() + timeout_s
        while not self.whole():
            text = self.log.read_text(errors="replace")
            if self._process is None or self._process.poll() is not None or FAILED in text:
                raise ChaosError(f"the application failed to start: {text[-3000:]}")
            if time.monotonic() > deadline:
                raise ChaosError(f"the application was not whole after {timeout_s:g} s: {self.status()}")
            time.sleep(0.5)

    def whole(self) -> bool:
        """Whether all consumers answer and own every partition."""
        status = self.status() or {}
        requests = self.settings.topics.requests
        owned = [place for place in status.get("watermarks", {}) if place.startswith(f"{requests}-")]
        return len(status.get("consumers", ())) == REPLICAS["Consumer"] and len(owned) == PARTITIONS

    def status(self) -> dict[str, Any] | None:
        """What the consumers are doing; ``None`` where nobody answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.http_port}/v1/status", timeout=ASK_S
            ) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def deploy(self) -> None:
        """Run ``serve deploy`` with the document as it is now; ``ChaosError`` if it was not taken."""
        self.write_config()
        found = DASHBOARD.search(re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text(errors="replace")))
        if found is None:
            raise ChaosError(f"serve run did not tell its dashboard's address: {self.log.read_text()[:2000]}")
        try:
            ran = subprocess.run(
                [BIN / "serve", "deploy", self.config.name, "-a", f"http://{found.group(1)}"],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=DEPLOY_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ChaosError(f"serve deploy took longer than {DEPLOY_S:g} s") from error
        if ran.returncode or "success" not in (ran.stdout + ran.stderr).lower():
            raise ChaosError(f"serve deploy failed: {ran.stdout} {ran.stderr}")

    def family(self) -> list[psutil.Process]:
        """The process and all that it started: Ray's too, so nobody else's Ray is ever met."""
        if self._process is None or self._process.poll() is not None:
            return []
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas."""
        return _titled(self.family(), f"ray::ServeReplica:{NAME}:{deployment}")

    def controllers(self) -> list[psutil.Process]:
        """Serve's controller, if it lives."""
        return _titled(self.family(), CONTROLLER)

    def children(self) -> list[psutil.Process]:
        """The decoders' children."""
        return [one for one in self.family() if CHILD in _command(one)]

    def stop(self) -> list[str]:
        """Press Ctrl-C and wait; names what did not end by itself and had to be killed."""
        family = self.family()
        if self._process is None or not family:
            return []
        os.killpg(self._process.pid, signal.SIGINT)
        _, left = psutil.wait_procs(family, timeout=STOP_S)
        names = [f"{one.pid} {_command(one)[:100]}" for one in left if one.is_running()]
        for one in left:
            one.kill()
        self._process.wait(STOP_S)
        return names


def _titled(processes: list[psutil.Process], title: str) -> list[psutil.Process]:
    return sorted((one for one in processes if _command(one).startswith(title)), key=lambda one: one.pid)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""  # it has just ended
