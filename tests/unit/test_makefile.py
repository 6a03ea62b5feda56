"""The Makefile's lists, against what they are lists of."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_make_bench_runs_every_benchmark_of_the_document() -> None:
    """Each section of docs/benchmarks.md is run, and there is a script for all that is run."""
    listed = re.search(r"^bench:.*\n\t@for name in (.*); do", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed is not None
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/benchmarks.md").read_text(), re.MULTILINE)
    names = listed[1].split()
    assert set(sections) <= set(names)
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in names)
