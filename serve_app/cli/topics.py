"""``capstream topics``: what the cluster's topics should be."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from serve_app.cli.context import settings_of


@click.group()
def topics() -> None:
    """Create or check the topics."""


@topics.command()
@click.pass_obj
def create(config_path: Path | None) -> None:
    """Create the topics that are missing, as the settings ask; existing ones are never changed."""
    from consumers.clients import client_config  # noqa: PLC0415  Kafka is needed by few commands
    from consumers.plans import plans  # noqa: PLC0415
    from consumers.topics import check_topics, create_topics  # noqa: PLC0415

    settings = settings_of(config_path)
    made = create_topics(client_config(settings.broker), settings.topics, settings.retry_topics)
    for plan in plans(settings.topics, settings.retry_topics):
        click.echo(f"{plan.name}: {'created' if plan.name in made else 'exists'}")
    for line in check_topics(client_config(settings.broker), settings.topics, settings.retry_topics):
        click.echo(f"capstream: {line}", err=True)


@topics.command()
@click.pass_obj
def check(config_path: Path | None) -> None:
    """Say what is missing and what differs from the settings; exit code 1 if anything does."""
    from consumers.clients import client_config  # noqa: PLC0415  Kafka is needed by few commands
    from consumers.topics import check_topics  # noqa: PLC0415

    settings = settings_of(config_path)
    found = check_topics(client_config(settings.broker), settings.topics, settings.retry_topics)
    for line in found:
        click.echo(line)
    if not found:
        click.echo("all topics are as the settings ask")
    sys.exit(1 if found else 0)
