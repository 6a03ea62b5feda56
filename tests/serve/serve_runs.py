"""``serve run`` in a process of its own, on ports and in folders of its own, and the real command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import yaml
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from consumers.broker_node import free_ports
from serve_app.config import load
from serve_app.deployments.ingress import Status
from serve_app.settings import EmbeddedBroker, Settings

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
START_S = 240.0
STOP_S = 120.0
PARTITIONS = Settings().topics.partitions
FAILED = "Failed to update the deployments"  # Serve's line when it has given up
# An address of a Ray that runs already would be joined; the rest is what a newcomer's shell has.
LEFT_OUT = ("RAY_ADDRESS", "RAY_AUTH_MODE", "CAPSTREAM_CONFIG")


def _heeds_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(slots=True)
class ServeRun:
    """One place to run the application in, again and again; ``sent`` are the ids that must be captioned."""

    folder: Path
    kafka_port: int = field(default_factory=lambda: free_ports(1)[0])
    http_port: int = field(default_factory=lambda: free_ports(1)[0])
    sent: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The YAML that is run: ours, with another HTTP port."""
        return self.folder / "serve.yaml"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "serve.log"

    @property
    def environment(self) -> dict[str, str]:
        """Folders and ports that nobody else uses."""
        kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        return kept | {
            "CAPSTREAM_KAFKA_PORT": str(self.kafka_port),
            "CAPSTREAM_DATA_DIR": str(self.folder / "data"),
            "CAPSTREAM_FILE_ROOTS": str(self.folder),
            "RAY_TMPDIR": str(self.folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_LOG_TO_STDERR": "1",
            "PYTHONWARNINGS": "ignore",
        }

    @property
    def settings(self) -> Settings:
        """The settings that the application runs with."""
        return load(self.config, self.environment).settings

    @property
    def broker(self) -> EmbeddedBroker:
        """Where its broker is."""
        assert isinstance(self.settings.broker, EmbeddedBroker)
        return self.settings.broker

    @property
    def java(self) -> psutil.Process:
        """The broker's Java process."""
        return psutil.Process(int((self.broker.data_dir / "broker.lock").read_text().split()[1]))

    def write_config(self, deployment: dict[str, Any]) -> None:
        """Write the YAML, with these keys put into its second deployment."""
        document = yaml.safe_load((ROOT / "configs" / "serve.yaml").read_text())
        document["http_options"]["port"] = self.http_port
        document["applications"][0]["deployments"][1] |= deployment
        self.config.write_text(yaml.safe_dump(document))

    def start(self) -> None:
        """Start it as a terminal does: the leader of a process group."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [BIN / "serve", "run", self.config.name],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # What is started in the background, as CI may be, ignores Ctrl-C, and so would its children.
                preexec_fn=_heeds_ctrl_c,  # noqa: PLW1509  nothing but one system call
            )

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def family(self) -> list[psutil.Process]:
        """The process and all that it started, directly or not."""
        assert self._process is not None
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]

    def interrupt(self) -> int:
        """Press Ctrl-C, and wait for the end; the exit code."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(STOP_S)

    def kill(self, *processes: psutil.Process) -> None:
        """Kill -9 these, and the process itself."""
        assert self._process is not None
        for process in processes:
            process.kill()
        self._process.kill()
        self._process.wait(STOP_S)

    def capstream(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command line against it."""
        return subprocess.run(
            [BIN / "capstream", "--config", self.config, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    async def status(self) -> Status | None:
        """What the consumers are doing; ``None`` where nobody answers, or not yet."""
        url = f"http://127.0.0.1:{self.http_port}/v1/status"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return Status.model_validate(await response.json()) if response.status == 200 else None
        except aiohttp.ClientError:
            return None

    @retry(
        retry=retry_if_result(lambda status: status is None),
        stop=stop_after_delay(START_S),
        wait=wait_fixed(0.2),
    )
    async def await_running(self) -> Status | None:
        """Wait until it answers; fail at once with its output when it has ended."""
        assert self.running, self.log.read_text()
        assert FAILED not in self.log.read_text(), self.log.read_text()
        return await self.status()

    @retry(
        retry=retry_if_result(lambda text: text is None), stop=stop_after_delay(START_S), wait=wait_fixed(0.2)
    )
    async def await_text(self, text: str) -> str | None:
        """Wait until this stands in the output; all of it."""
        assert self.running, self.log.read_text()
        return found if text in (found := self.log.read_text()) else None

    @retry(
        retry=retry_if_result(
            lambda status: not status or status.undone != 0 or len(status.watermarks) < PARTITIONS
        ),
        stop=stop_after_delay(START_S),
        wait=wait_fixed(0.2),
    )
    async def await_settled(self) -> Status | None:
        """Wait until every partition is owned and every request is done."""
        return await self.status()


def await_gone(processes: list[psutil.Process]) -> None:
    """Fail, and clean up, when one of these does not end by itself."""
    _, left = psutil.wait_procs(processes, timeout=STOP_S)
    names = [" ".join(process.cmdline())[:200] for process in left if process.is_running()]
    for process in left:
        process.kill()
    assert not names
