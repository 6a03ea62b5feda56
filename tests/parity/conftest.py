"""These tests compare with the models' own code, which is several gigabytes: ``make parity`` installs it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("qwen_vl_utils") else ["test_*.py"]
