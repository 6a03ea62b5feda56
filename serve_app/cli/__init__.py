"""The command line, ``capstream``. Each command imports only what it needs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from serve_app.cli.audits import audit
from serve_app.cli.captions import caption
from serve_app.cli.configs import config
from serve_app.cli.letters import dlq
from serve_app.cli.pictures import frames
from serve_app.cli.streams import submit, tail
from serve_app.cli.topics import topics
from serve_app.errors import CapstreamError

DEFAULT_CONFIG = Path("configs/serve.yaml")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="CAPSTREAM_CONFIG",
    help=f"The Serve YAML that the application runs with. Default: {DEFAULT_CONFIG} if it exists, else the "
    "built-in defaults.",
)
@click.version_option(package_name="capstream")
@click.pass_context
def cli(context: click.Context, config_path: Path | None) -> None:
    """Caption videos: URLs on Kafka in, captions on Kafka out."""
    context.obj = config_path or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)


for command in (submit, tail, caption, frames, dlq, audit, topics, config):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what capstream knows to go wrong is one sentence and exit code 1.

    ``arguments`` are the process's own unless given; ends with ``SystemExit``.
    """
    try:
        cli(arguments)
    except CapstreamError as error:
        click.echo(f"capstream: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (head, less) is gone; keep Python from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
