"""These tests decode by TorchCodec, which brings torch: ``make parity`` installs both and runs them."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torchcodec") else ["test_*.py"]
