"""The Serve YAML that ``serve run`` was started with, seen from the task that builds the application.

That task is given ``args`` alone, after Ray has dropped every key that it does not know. The driver's
process id stands in Ray's job table; where the driver is on this machine, its command line names the file.
Elsewhere (KubeRay, ``serve deploy``) there is no such file to see, and ``capstream config check`` is the way.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import ray
from ray._raylet import GcsClient

from serve_app.errors import SettingsError
from serve_app.serve_yaml import check_file

log = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class Driver:
    """Where ``serve run`` runs, and the file that it was given."""

    folder: Path
    config: Path


def find_driver() -> Driver | None:
    """The ``serve run FILE`` that this task belongs to, if it can be seen from here."""
    if not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    jobs = GcsClient(address=context.gcs_address).get_all_job_info()
    own = [job for job_id, job in jobs.items() if job_id.hex() == context.get_job_id()]
    if not own or own[0].driver_ip_address != ray.util.get_node_ip_address():
        return None
    try:
        process = psutil.Process(own[0].driver_pid)
        return driver_of(process.cmdline(), Path(process.cwd()))
    except psutil.Error:
        return None


def driver_of(command: list[str], folder: Path) -> Driver | None:
    """Read a command line: the first file after ``serve run``."""
    for index, word in enumerate(command[:-1]):
        if Path(word).name == "serve" and command[index + 1] == "run":
            files = [folder / later for later in command[index + 2 :] if (folder / later).is_file()]
            return Driver(folder, files[0]) if files else None
    return None


def refuse_bad_config(driver: Driver | None, env: Mapping[str, str]) -> None:
    """Raise ``SettingsError`` with every violation in the driver's file."""
    if driver is None:
        log.info(
            "the Serve YAML itself is out of sight here; `capstream config check FILE` checks all its keys"
        )
        return
    found = check_file(driver.config, env)
    if found:
        raise SettingsError("\n".join([f"{driver.config} is refused:", *found]))


def folder_of(driver: Driver | None) -> Path:
    """What relative paths in the settings are relative to: where ``serve run`` was called."""
    return driver.folder if driver is not None else Path(os.getcwd())  # noqa: PTH109  the worker's own
