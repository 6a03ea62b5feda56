"""A temporary file that counts, hashes and bounds what is written to it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from serve_app.errors import SourceEmptyError, SourceTooLargeError, SourceUnavailableError
from serve_app.schema import SourceFacts
from serve_app.sources.fetched import Fetched
from serve_app.sources.validators import Validators

MIB = 1024 * 1024
NO_VALIDATORS = Validators()
OWN_FILES = Path("/proc/self/fd")


class Spool:
    """Takes at most ``max_bytes`` of ``shown_url``; the file is gone when the block is left.

    It is readable by this user alone.
    """

    def __init__(self, max_bytes: int, shown_url: str) -> None:
        self._max_bytes = max_bytes
        self._shown_url = shown_url
        self._sha256 = hashlib.sha256()
        self._file = unnamed_file()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, piece: bytes) -> None:
        """Append.

        Raises ``SourceTooLargeError`` beyond the bound, ``SourceUnavailableError`` where the disk is full.
        """
        self.size += len(piece)
        self.require(self.size)
        self._sha256.update(piece)
        try:
            # Unbuffered, so that closing has nothing left to write; such a file may take a part only.
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise SourceUnavailableError(
                f"{self._shown_url}: cannot be stored here: {error.strerror}"
            ) from error

    def require(self, size: int) -> None:
        """Refuse a size that is announced or reached and beyond the bound."""
        if size > self._max_bytes:
            raise SourceTooLargeError(
                f"{self._shown_url}: more than {self._max_bytes / MIB:g} MiB, the most that is allowed"
            )

    def fetched(self, validators: Validators = NO_VALIDATORS) -> Fetched:
        """The complete file; ``SourceEmptyError`` where nothing came."""
        if not self.size:
            raise SourceEmptyError(f"{self._shown_url}: no bytes")
        facts = SourceFacts(
            url=self._shown_url,
            sha256=self._sha256.hexdigest(),
            bytes=self.size,
            bytes_fetched=self.size,
            etag=validators.etag,
            last_modified=validators.last_modified,
        )
        return Fetched(path_of(self._file.fileno(), self._file.name), facts)


def unnamed_file() -> IO[bytes]:
    """A file of this user alone, gone when it is closed; writes go through at once."""
    # On Linux it has no name, so that not even a kill -9 leaves it behind.
    unnamed = tempfile.TemporaryFile if OWN_FILES.is_dir() else tempfile.NamedTemporaryFile
    return cast("IO[bytes]", unnamed(prefix="capstream-", buffering=0))


def path_of(opened: int, name: object = None) -> Path:
    """A path to read an open file by; its own name where the system has no other way."""
    return OWN_FILES / str(opened) if OWN_FILES.is_dir() else Path(str(name))
