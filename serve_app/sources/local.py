"""``file`` and ``data``: videos that need no network."""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from serve_app.errors import (
    RecordError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from serve_app.schema import SourceFacts
from serve_app.settings import SourceSettings
from serve_app.sources.fetched import Fetched
from serve_app.sources.redaction import redact_url
from serve_app.sources.roots import require_below
from serve_app.sources.spool import MIB, OWN_FILES, Spool, path_of
from serve_app.sources.threads import in_thread

LOCAL_HOSTS = ("", "localhost")
SAID_CHARS = 100  # of a part of a URL that is wrong
UNQUOTED_CHARS = 65_536
BLANKS = b" \t\n\r\v\f"
PASSING = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT})


@asynccontextmanager
async def fetch_file(url: str, settings: SourceSettings) -> AsyncIterator[Fetched]:
    """Use a regular file where it lies, below an allowed root; it is read once here, for its hash."""
    shown = redact_url(url)
    path = _path(url, shown)
    opened, facts = await in_thread(
        lambda: _found(path, shown, settings.file_roots, int(settings.max_mib * MIB)),
        lambda found: os.close(found[0]),
    )
    try:
        # The very file that was checked, whatever its name leads to by now.
        yield Fetched(path_of(opened, path), facts)
    finally:
        os.close(opened)


def _path(url: str, shown: str) -> Path:
    try:
        parts = urlsplit(url)
        # As bytes: a file's name need not be UTF-8.
        path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    except ValueError as error:
        raise SourceRefusedError(f"{shown}: not a valid URL") from error
    if parts.netloc.lower() not in LOCAL_HOSTS:
        found = parts.netloc[:SAID_CHARS]
        raise SourceRefusedError(f"{shown}: a file URL names no host but localhost, found {found!r}")
    if not path.is_absolute():
        raise SourceRefusedError(
            f"the path {parts.path[:SAID_CHARS]!r} of a file URL must be absolute: file:///videos/a.mp4"
        )
    return path


def _found(path: Path, shown: str, roots: tuple[Path, ...], max_bytes: int) -> tuple[int, SourceFacts]:
    try:
        real = Path(os.path.realpath(path))
        # Before the file is touched: whether there is one outside is nobody's business.
        require_below(real, roots, shown)
        # Without NONBLOCK, opening a FIFO would wait for its writer.
        opened = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if OWN_FILES.is_dir():
                # A folder on the way may have become a link meanwhile.
                require_below((OWN_FILES / str(opened)).readlink(), roots, shown)
            return opened, _hashed(opened, shown, max_bytes)
        except BaseException:
            os.close(opened)
            raise
    except OSError as error:
        raise _unopened(error, shown) from error
    except ValueError as error:
        raise SourceRefusedError(f"{shown}: not a path") from error


def _hashed(opened: int, shown: str, max_bytes: int) -> SourceFacts:
    state = os.fstat(opened)
    if not stat.S_ISREG(state.st_mode):
        raise SourceRefusedError(f"{shown}: not a regular file")
    if not state.st_size:
        raise SourceEmptyError(f"{shown}: no bytes")
    if state.st_size > max_bytes:
        raise SourceTooLargeError(
            f"{shown}: {state.st_size / MIB:.1f} MiB, allowed are {max_bytes / MIB:g} MiB"
        )
    with open(opened, "rb", closefd=False) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFacts(url=shown, sha256=digest, bytes=state.st_size, bytes_fetched=state.st_size)


def _unopened(error: OSError, shown: str) -> RecordError:
    # What is wrong with this machine now says nothing about the file.
    kind = SourceUnavailableError if error.errno in PASSING else SourceNotFoundError
    return kind(f"{shown}: {error.strerror}")


@asynccontextmanager
async def fetch_bytes(data: bytes, settings: SourceSettings) -> AsyncIterator[Fetched]:
    """Use bytes that the caller has; there is no URL for them."""
    with Spool(int(settings.max_mib * MIB), f"{len(data)} bytes") as spool:
        await asyncio.to_thread(spool.write, data)
        yield spool.fetched()


@asynccontextmanager
async def fetch_data(url: str, settings: SourceSettings) -> AsyncIterator[Fetched]:
    """Decode a ``data:`` URI (RFC 2397) into a file."""
    shown = redact_url(url)
    head, comma, body = url.partition(",")
    if not comma:
        raise SourceRefusedError(f"{shown}: a data URI needs a comma before its data")
    encoded = head.rstrip().lower().endswith(";base64")
    with Spool(int(settings.max_mib * MIB), shown) as spool:
        await asyncio.to_thread(_decode, body, spool, shown, encoded=encoded)
        yield spool.fetched()


def _decode(body: str, spool: Spool, shown: str, *, encoded: bool) -> None:
    # Three characters of text are one byte at the least: what must be too large is not even unquoted.
    spool.require(len(body) // 3 if not encoded else 0)
    try:
        if not encoded:
            for piece in _unquoted(body):
                spool.write(piece)
            return
        packed = b"".join(piece.translate(None, BLANKS) for piece in _unquoted(body))
    except UnicodeError as error:
        raise SourceRefusedError(f"{shown}: not valid text") from error
    spool.require(len(packed) * 3 // 4 - 2)
    try:
        spool.write(base64.b64decode(packed, validate=True))
    except binascii.Error as error:
        raise SourceRefusedError(f"{shown}: not valid base64") from error


def _unquoted(body: str) -> Iterator[bytes]:
    """The bytes of a percent-encoded text, a piece at a time: at once they take 200 times as much memory."""
    at = 0
    while at < len(body):
        end = at + UNQUOTED_CHARS
        # A percent sign and its two digits stay together.
        split = body.rfind("%", end - 2, end)
        end = split if split > at and end < len(body) else end
        yield unquote_to_bytes(body[at:end])
        at = end
