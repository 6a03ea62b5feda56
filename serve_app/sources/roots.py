"""The folders whose files may be read."""

from __future__ import annotations

import os
from pathlib import Path

from serve_app.errors import SourceRefusedError


def is_below(real: Path, roots: tuple[Path, ...]) -> bool:
    """Whether a path without links lies in one of these folders, or is one; links in theirs are resolved."""
    return any(real.is_relative_to(os.path.realpath(root)) for root in roots)


def require_below(real: Path, roots: tuple[Path, ...], shown: str) -> None:
    """``SourceRefusedError`` for a file elsewhere; the same whether there is such a file or not."""
    if not is_below(real, roots):
        raise SourceRefusedError(
            f"{shown}: no file may be read here; allowed: those below sources.file_roots"
        )
