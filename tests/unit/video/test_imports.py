"""Which process loads what."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = "import sys, {module}; print(*[name for name in sys.modules if '.' not in name])"


@pytest.mark.parametrize(
    ("module", "without"),
    [
        (
            "serve_app.video.child",
            {"ray", "confluent_kafka", "vllm", "torch", "jsonschema", "regex", "openai"},
        ),
        ("serve_app.video.sandbox", {"av", "ray", "confluent_kafka", "vllm", "torch"}),
        ("serve_app.preparation", {"av", "PIL", "ray", "confluent_kafka", "vllm", "torch"}),
        ("serve_app.video.plan", {"av", "ray", "confluent_kafka"}),
        ("serve_app.video.sampling", {"av", "ray", "confluent_kafka"}),
    ],
)
def test_a_process_loads_only_what_it_needs(module: str, without: set[str]) -> None:
    """The child that reads hostile files knows no broker; its parent and the planners know no FFmpeg."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)], capture_output=True, text=True, check=True
    )
    assert not without & set(run.stdout.split())
