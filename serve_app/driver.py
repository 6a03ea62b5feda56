"""The Serve YAML that ``serve run`` was started with, seen from the task that builds the application.

That task is given ``args`` alone, after Ray has dropped every key that it does not know. The process ids of
the drivers stand in Ray's job table; where a driver is on this machine, its command line names the file.
Elsewhere (KubeRay, ``serve deploy``) there is no such file to see, and ``capstream config check`` is the way.

The task runs under the job of the driver that started Serve's controller, and that one may be long gone or
have deployed another file. So all live drivers are looked at, and the right one has the same ``args``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import psutil
import ray
import yaml
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, without stubs
from ray.exceptions import RayError
from ray.serve.scripts import run as serve_run

from serve_app.checks import check_file
from serve_app.config import own_applications
from serve_app.errors import SettingsError

log = logging.getLogger("ray.serve")

QUERY_TIMEOUT_S = 5
STARTED_BY = ("serve", "ray.serve.scripts")


@dataclass(frozen=True, slots=True)
class Driver:
    """Where ``serve run`` runs, and the file that it was given."""

    folder: Path
    config: Path


def find_driver(args: Mapping[str, Any] | None = None) -> Driver | None:
    """The newest ``serve run FILE`` of a capstream application with these ``args``; any, for ``None``.

    ``None`` where none can be seen from here; never raises.
    """
    if not ray.is_initialized():
        return None
    return next((driver for driver in _drivers_here() if _deploys(driver, args)), None)


def _drivers_here() -> Iterator[Driver]:
    try:
        jobs = GcsClient(address=ray.get_runtime_context().gcs_address).get_all_job_info(
            timeout=QUERY_TIMEOUT_S, skip_submission_job_info_field=True, skip_is_running_tasks_field=True
        )
        here = ray.util.get_node_ip_address()
    except (RayError, RuntimeError, OSError) as error:
        log.info("Ray's job table cannot be read from here: %s", error)
        return
    live = [job for job in jobs.values() if not job.is_dead and job.driver_ip_address == here]
    for job in sorted(live, key=lambda job: job.start_time, reverse=True):
        try:
            process = psutil.Process(job.driver_pid)
            # A younger process has only inherited the number.
            if process.create_time() * 1000 <= job.start_time:
                driver = driver_of(process.cmdline(), Path(process.cwd()))
                if driver is not None:
                    yield driver
        except psutil.Error:
            continue


def _deploys(driver: Driver, args: Mapping[str, Any] | None) -> bool:
    try:
        # As Ray reads it: what is wrong with it is told later.
        document = yaml.safe_load(driver.config.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return any(args is None or (found.get("args") or {}) == args for found in own_applications(document))


def driver_of(command: list[str], folder: Path) -> Driver | None:
    """Read a command line as ``serve run`` itself does: the file that it deploys, or ``None``."""
    for index, (program, verb) in enumerate(pairwise(command)):
        if verb == "run" and Path(program).name in STARTED_BY:
            try:
                context = serve_run.make_context("run", command[index + 2 :], resilient_parsing=True)
            except click.ClickException:
                return None
            target = context.params.get("config_or_import_path")
            return Driver(folder, folder / target) if target and (folder / target).is_file() else None
    return None


def refuse_bad_config(driver: Driver | None, env: Mapping[str, str]) -> None:
    """Raise ``SettingsError`` with every violation in the driver's file."""
    if driver is None:
        log.info(
            "the Serve YAML itself is out of sight here; `capstream config check FILE` checks all its keys"
        )
        return
    found = check_file(driver.config, env, driver.folder)
    if found:
        raise SettingsError("\n".join([f"{driver.config} is refused:", *found]))


def folder_of(driver: Driver | None) -> Path:
    """What relative paths in the settings are relative to: where ``serve run`` was called."""
    return driver.folder if driver is not None else Path(os.getcwd())  # noqa: PTH109  the worker's own
