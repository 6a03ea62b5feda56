"""Processes that an engine left behind: a replica that is killed cannot end its children, which hold a GPU.

Children inherit a mark that names the process that started them; whoever starts an engine on the node ends
those whose starter is gone.
"""

from __future__ import annotations

import logging
import os

import psutil

log = logging.getLogger("ray.serve")

MARK = "CAPSTREAM_ENGINE_STARTED_BY"
END_S = 10.0


def mark_children() -> None:
    """Have the children that are started from now on name this process."""
    os.environ[MARK] = _name(psutil.Process())
    os.environ["SPT_NOENV"] = "1"  # else the title that vLLM gives them is written over their environment


def end_orphans() -> list[int]:
    """End marked processes whose starter is gone, and wait until they are; returns their ids."""
    own = psutil.Process()
    alive = {_name(process) for process in psutil.process_iter()}
    orphans = [
        process
        for process in psutil.process_iter()
        if process.pid != own.pid and (mark := _mark_of(process)) is not None and mark not in alive
    ]
    for process in orphans:
        log.warning("process %d was left behind by an engine that is gone: it is ended", process.pid)
        process.kill()
    psutil.wait_procs(orphans, timeout=END_S)
    return [process.pid for process in orphans]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None  # another user's, or gone


def _name(process: psutil.Process) -> str:
    # A process id is given again; with its start it is not.
    try:
        return f"{process.pid}-{process.create_time():.2f}"
    except psutil.Error:
        return ""
