"""Whether TorchCodec can be used here. In CI it must be, wherever it is installed."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from serve_app.video.torchcodec import load

INSTALLED = find_spec("torchcodec") is not None


def _missing() -> str:
    if INSTALLED and not os.environ.get("CI"):
        try:
            load()
        except ImportError as error:
            return str(error)
    return ""


MISSING = _missing()
usable = pytest.mark.skipif(bool(MISSING), reason=MISSING or "TorchCodec can be used")
