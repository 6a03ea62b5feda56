"""``python -m serve_app.reference --write`` makes the documents, ``--check`` compares them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from serve_app.reference.documents import documents

DOCS = Path(__file__).resolve().parents[2] / "docs"


@click.command()
@click.option("--write/--check", required=True, default=None, help="Write the files, or compare them.")
@click.option("--folder", type=click.Path(path_type=Path), default=DOCS, help="Default: docs/.")
def main(*, write: bool, folder: Path) -> None:
    """Make or check the documents; exit code 1 says that one differs."""
    stale = []
    for name, text in documents().items():
        path = folder / name
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            stale.append(path)
    for path in stale:
        click.echo(f"{path} differs from what the code says: run `make docs`", err=True)
    sys.exit(1 if stale else 0)


if __name__ == "__main__":
    main()
