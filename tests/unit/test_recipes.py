"""docs/recipes.md: its packages do what the page says, found by their entry points as any installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.clips import write_clip

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text()
MODULES = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL)
PROJECTS = re.findall(r"```toml\n# pyproject.toml\n(.*?)```", PAGE, re.DOTALL)
ENTRY_POINTS = {
    group: named
    for project in PROJECTS
    for group, named in tomllib.loads(project)["project"]["entry-points"].items()
}
ORDER = """
import json, sys
from serve_app.config import settings_from
from serve_app.order import Orders, Span
from serve_app.schema import CaptionRequest

request = CaptionRequest(url="file:///a", task="mood", variables={"audience": "cats"})
order = Orders(settings_from({}, {})).of(request)
said = order.read("calm")
print(json.dumps([order.text(Span(0, 2, 8)), said.text, said.fields]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's packages, as an installer would have left them."""
    folder = tmp_path_factory.mktemp("installed")
    for name, code in MODULES:
        (folder / f"{name}.py").write_text(code)
    lines = [
        line
        for group, named in ENTRY_POINTS.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in named.items()))
    ]
    about = folder / "recipes-1.0.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text("\n".join(lines))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: recipes\nVersion: 1.0\n")
    return folder


def run(folder: Path, *arguments: str) -> str:
    path = f"{ROOT}:{folder}"
    command = [sys.executable, *arguments]
    environment = {"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "CAPSTREAM_FILE_ROOTS": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_task_of_another_package_is_asked_for_by_its_name(installed: Path) -> None:
    """With its prompt, its variables, its form and its reading."""
    assert json.loads(run(installed, "-c", ORDER)) == [
        "What is the mood of this video of 2.00 s, for cats?",
        "It is calm.",
        {"mood": "calm"},
    ]


def test_an_engine_of_another_package_captions(installed: Path) -> None:
    """Named by the settings, with its options."""
    clip = write_clip(installed / "clip.mp4", seconds=1, fps=8, width=64, height=48)
    engine = {"kind": "external", "name": "count", "options": {"word": "pictures"}}
    args = {"captioner": {"engine": engine}, "decoder": {"sampling": {"num_frames": 3}}}
    document = {"applications": [{"name": "a", "import_path": "serve_app.app:build", "args": args}]}
    (installed / "serve.yaml").write_text(json.dumps(document))
    said = run(installed, "-m", "serve_app.cli", "--config", "serve.yaml", "caption", str(clip))
    assert said == "3 pictures\n"


def test_each_recipe_is_short() -> None:
    """Under 20 lines, as the page says, and each names its entry point."""
    assert [name for name, _ in MODULES] == ["capstream_mood", "capstream_count"]
    assert [*ENTRY_POINTS] == ["capstream.tasks", "capstream.engines"]
    assert all(code.strip().count("\n") < 20 for _, code in MODULES)
