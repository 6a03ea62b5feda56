"""Where replicas spend their time: py-spy samples, by the package of the innermost known frame."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

# First match wins; a frame is "name (file:line)".
PACKAGES = (
    ("capstream", ("consumers/", "serve_app/", "benchmarks/")),
    ("pydantic", ("pydantic/",)),
    ("Serve", ("ray/serve/",)),
    ("Ray core", ("ray/",)),
    ("asyncio", ("asyncio/", "uvloop")),
)
OTHER = "loops, threads, C++"


def replicas(application: str) -> dict[str, int]:
    """Process ids of an application's replicas, by deployment."""
    title = f"ray::ServeReplica:{application}:"
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if line.startswith(title):
            found[line.removeprefix(title).split()[0]] = process.pid
    return found


def profile(application: str, seconds: int) -> dict[str, Counter[str]]:
    """Samples by package for each deployment, taken at once from all replicas."""
    found = replicas(application)
    with ThreadPoolExecutor() as pool:
        taken = pool.map(lambda pid: _samples(pid, seconds), found.values())
        return dict(zip(found, taken, strict=True))


def _samples(pid: int, seconds: int) -> Counter[str]:
    tool = str(Path(sys.executable).with_name("py-spy"))
    command = [
        tool,
        "record",
        "-p",
        str(pid),
        "-d",
        str(seconds),
        "-r",
        "100",
        "-f",
        "raw",
        "-o",
        "/dev/stdout",
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counts: Counter[str] = Counter()
    for line in output.splitlines():
        stack, _, number = line.rpartition(" ")
        if number.isdigit():
            counts[_package(stack.split(";"))] += int(number)
    return counts


def _package(stack: list[str]) -> str:
    for frame in reversed(stack):
        for name, marks in PACKAGES:
            if any(mark in frame for mark in marks):
                return name
    return OTHER


def table(profiles: dict[str, Counter[str]]) -> str:
    """A row for each deployment: its samples, and the share of each package."""
    names = [name for name, _ in PACKAGES] + [OTHER]
    lines = [f"{'replica':<12}{'samples':>8}" + "".join(f"{name:>21}" for name in names)]
    for deployment, counts in sorted(profiles.items()):
        total = sum(counts.values()) or 1
        shares = "".join(f"{counts[name] / total:>21.0%}" for name in names)
        lines.append(f"{deployment:<12}{total:>8}{shares}")
    return "\n".join(lines)
