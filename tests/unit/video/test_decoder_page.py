"""docs/decoder.md: its examples run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clips import X264, Coding, drifting, encode

PAGE = Path(__file__).parents[3] / "docs" / "decoder.md"
BLOCK = re.compile(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXAMPLES = BLOCK.findall(PAGE.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples' clip lies: four seconds whose tables stand in front."""
    made = tmp_path_factory.mktemp("page")
    coding = Coding(options={**X264, "g": "25", "bf": "2"}, container_options={"movflags": "+faststart"})
    encode(made / "clip.mp4", drifting, 100, (320, 240), coding)
    return made


@pytest.mark.parametrize("code", [code for _, code in EXAMPLES], ids=[title for title, _ in EXAMPLES])
def test_an_example_runs(folder: Path, code: str) -> None:
    """What a reader copies works, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr


def test_every_example_is_found() -> None:
    """No code block is left out because of how it is written."""
    assert len(EXAMPLES) == PAGE.read_text().count("```python") == 4
