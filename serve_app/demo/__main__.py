"""Starts the application with folders of its own, submits five requests, shows what became of each.

Exit code 0 says that all five ended as they should and that everything is stopped again.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from consumers.clients import client_config
from consumers.producer import Submission, submit_all
from consumers.reader import Until, records_of
from consumers.report import Ending, ending_of
from consumers.topics import existing
from serve_app.config import load
from serve_app.demo.application import CONFIG, Application, DemoError, reason_in
from serve_app.demo.inputs import DemoRequest, requests_for, web_server
from serve_app.errors import CapstreamError
from serve_app.settings import EmbeddedBroker, Settings
from serve_app.video.clips import write_demo_clips

HTTP_PORT = 8000
START_TIMEOUT_S = 120.0
RESULT_TIMEOUT_S = 60.0


def require_no_ray() -> None:
    """Refuse to run where ``serve run`` would join a Ray that runs already."""
    if os.environ.get("RAY_ADDRESS"):
        raise DemoError("RAY_ADDRESS is set, so Serve would join that cluster: unset it for the demo")
    # Only what `ray start` left there is joined; a Ray that a program started for itself is not.
    named = ("RAY_TMPDIR", "TMPDIR") if sys.platform == "linux" else ("RAY_TMPDIR",)
    folder = next((os.environ[name] for name in named if name in os.environ), "/tmp")  # noqa: S108  as Ray does
    note = Path(folder) / "ray" / "ray_current_cluster"
    if note.exists():
        raise DemoError(
            f"Serve would join the Ray cluster at {note.read_text().strip()}: stop it with `ray stop`, then "
            f"try again (if it is gone already, remove {note})"
        )


def require_free(port: int, what: str, instead: str) -> None:
    """Refuse to run where a port is taken that the application needs."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(f"port {port} is taken, which {what} needs: {instead}") from error


def require_ports(settings: Settings) -> None:
    """Check HTTP's port and the broker's two."""
    require_free(HTTP_PORT, "Ray Serve's HTTP proxy", "end what listens there, then try again")
    if isinstance(settings.broker, EmbeddedBroker):
        for port in (settings.broker.port, settings.broker.port + 1):
            require_free(
                port, "the embedded broker", "choose another pair, such as CAPSTREAM_KAFKA_PORT=29092"
            )


def wait_for_topics(application: Application, settings: Settings) -> None:
    """Wait until the application has started its broker and made the topics."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while settings.topics.requests not in existing(client_config(settings.broker)):
        application.require_running()
        if time.monotonic() > deadline:
            last = reason_in(application.log_path.read_text(errors="replace"))
            raise DemoError(
                f"the application was not up after {START_TIMEOUT_S:g} s; it printed last: {last}"
            )
        time.sleep(0.2)


def results_of(console: Console, settings: Settings, requests: list[DemoRequest]) -> dict[str, Ending]:
    """Submit the requests and collect how each ended, telling it as it comes."""
    values = tuple(request.value for request in requests)
    for index, place in submit_all(settings, Submission(values)):
        console.print(f"  submitted {requests[index].id} as {place}", style="dim")
    endings: dict[str, Ending] = {}
    topics = [settings.topics.captions, settings.topics.dead_letters]
    until = Until(len(requests), RESULT_TIMEOUT_S)
    for record in records_of(settings, topics, from_beginning=True, until=until):
        ending = ending_of(record)
        endings[ending.id] = ending
        how = "caption" if ending.captioned else "dead letter"
        console.print(f"  {len(endings)}/{len(requests)} {ending.id}: {how}", style="dim")
    return endings


def table_of(requests: list[DemoRequest], endings: dict[str, Ending]) -> Table:
    """A row for each request."""
    table = Table(show_lines=True)
    for title in ("request", "result", "seconds", "where it ran"):
        table.add_column(title, overflow="fold")
    for request in requests:
        ending = endings.get(request.id)
        if ending is None:
            table.add_row(request.id, "[red]nothing came", "", "")
            continue
        kind = "[green]caption[/]" if ending.captioned else "[yellow]dead letter[/]"
        seconds = f"{ending.elapsed_s:.2f} in all\n{ending.stages}"
        table.add_row(request.id, f"{kind}\n{ending.text}", seconds, ending.where)
    return table


def run(console: Console, folder: Path) -> bool:
    """Run the demo in a folder of its own; whether every request ended as it should."""
    os.environ["CAPSTREAM_DATA_DIR"] = str(folder / "data")
    settings = load(CONFIG, os.environ).settings
    require_no_ray()
    require_ports(settings)
    began = time.monotonic()
    console.print("starting `serve run configs/serve.yaml` with Apache Kafka embedded …")
    application = Application(folder)
    try:
        clips = write_demo_clips(folder)
        with web_server(folder) as base_url:
            requests = requests_for(clips, base_url)
            wait_for_topics(application, settings)
            console.print(
                f"up after {time.monotonic() - began:.1f} s; five requests to {settings.topics.requests}:"
            )
            endings = results_of(console, settings, requests)
        console.print("stopping …")
    finally:
        left = application.stop()
    console.print(table_of(requests, endings))
    if left:
        raise DemoError(f"these processes did not end by themselves and were killed: {', '.join(left)}")
    console.print(
        f"done in {time.monotonic() - began:.1f} s; next: README.md, or serve run configs/serve.yaml"
    )
    return all(r.id in endings and endings[r.id].captioned == r.captioned for r in requests)


def end_in_good_order() -> None:
    """Let every way of being stopped end in an exception, so that the application is stopped as well."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # SIGINT too: a script's background commands ignore it, and so would the application that we start.
        signal.signal(number, leave)


def main() -> None:
    """Run the demo; what goes wrong is one sentence and exit code 1."""
    end_in_good_order()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="capstream-demo-") as folder:
        try:
            ended_well = run(console, Path(folder))
        except CapstreamError as error:
            console.print(f"the demo failed: {error}", style="red", soft_wrap=True, markup=False)
            sys.exit(1)
    sys.exit(0 if ended_well else 1)


if __name__ == "__main__":
    main()
