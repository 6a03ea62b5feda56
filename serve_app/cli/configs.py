"""``capstream config``: what the settings are, and what is wrong with them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import yaml

from serve_app.errors import SettingsError


@click.group()
def config() -> None:
    """Check or show Serve YAML files."""


@config.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
def check(paths: tuple[Path, ...]) -> None:
    """Check every key, Ray's own included; exit code 1 if one is unknown or impossible."""
    from serve_app.checks import check_file  # noqa: PLC0415  Ray is slow to import

    bad = False
    for path in paths:
        found = check_file(path, os.environ)
        bad = bad or bool(found)
        for line in found:
            click.echo(f"{path}: {line}")
        if not found:
            click.echo(f"{path}: ok")
    sys.exit(1 if bad else 0)


@config.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
def show(paths: tuple[Path, ...]) -> None:
    """Show the settings with all defaults, variables replaced, secrets hidden."""
    from serve_app.config import load  # noqa: PLC0415  needed here only

    bad = False
    for path in paths:
        try:
            settings = load(path, os.environ).settings
        except SettingsError as error:
            for line in str(error).splitlines():
                click.echo(f"{path}: {line.removeprefix(f'{path}: ')}", err=True)
            bad = True
            continue
        click.echo(f"# {path}, config hash {settings.config_hash()}")
        click.echo(yaml.safe_dump(settings.shown(), sort_keys=False), nl=False)
    sys.exit(1 if bad else 0)
