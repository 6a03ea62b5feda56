"""The object stores: each one's package and client, what it raises, and what that means here.

The packages are extras and are loaded by their first use.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from serve_app.errors import (
    SettingsError,
    SourceDeniedError,
    SourceNotFoundError,
    SourceUnavailableError,
)

DENIED = (401, 403)


class FileSystem(Protocol):
    """What is used of fsspec's asynchronous file systems."""

    async def _info(self, path: str) -> dict[str, Any]: ...

    async def _cat_file(self, path: str, *, start: int, end: int) -> bytes: ...


class Closable(Protocol):
    """What a client holds open."""

    async def close(self) -> None:
        """Let go of it."""


async def _opened_s3(client: Any) -> list[Closable]:  # noqa: ANN401  the packages have no types
    return [await client.set_session()]


async def _opened_gs(client: Any) -> list[Closable]:  # noqa: ANN401  as above
    return [await client._set_session()]  # noqa: SLF001  otherwise its first use opens what nobody closes


async def _opened_az(client: Any) -> list[Closable]:  # noqa: ANN401  as above
    return [client.service_client, *([client.credential] if hasattr(client.credential, "close") else [])]


@dataclass(frozen=True, slots=True)
class Store:
    """A scheme's package, module and file system, what that holds open, and raises beside ``OSError``."""

    package: str
    module: str
    name: str
    opened: Callable[[Any], Awaitable[list[Closable]]]
    raises: tuple[tuple[str, str], ...]

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The classes of ``raises``."""
        found = (getattr(importlib.import_module(module), name) for module, name in self.raises)
        return (OSError, *found)


STORES = {
    "s3": Store("s3fs", "s3fs", "S3FileSystem", _opened_s3, (("botocore.exceptions", "BotoCoreError"),)),
    # The package's first choice asks for each bucket's kind over gRPC before, by a permission of its own.
    "gs": Store(
        "gcsfs",
        "gcsfs.core",
        "GCSFileSystem",
        _opened_gs,
        (
            ("gcsfs.retry", "HttpError"),
            ("google.auth.exceptions", "GoogleAuthError"),
            ("aiohttp", "ClientError"),
            ("builtins", "ValueError"),  # a request that the store finds invalid
        ),
    ),
    "az": Store(
        "adlfs",
        "adlfs",
        "AzureBlobFileSystem",
        _opened_az,
        (
            ("azure.core.exceptions", "AzureError"),
            ("builtins", "ValueError"),  # no account is named
        ),
    ),
}


def require_packages(schemes: Iterable[str]) -> None:
    """``SettingsError`` where a scheme is allowed whose package is not installed."""
    for scheme in schemes:
        store = STORES.get(scheme)
        if store is not None and importlib.util.find_spec(store.package) is None:
            raise SettingsError(
                f"sources.schemes: {scheme!r} needs the package {store.package}, which is not installed; "
                f"install capstream[{scheme}]"
            )


def connected(scheme: str) -> FileSystem:
    """A client of the store that the environment names, as whom it says."""
    store = STORES[scheme]
    made: FileSystem = getattr(importlib.import_module(store.module), store.name)(
        asynchronous=True, skip_instance_cache=True, use_listings_cache=False
    )
    return made


@asynccontextmanager
async def within(seconds: float, scheme: str, shown: str) -> AsyncIterator[None]:
    """Translate what goes wrong in the block, and end it after its time; no client's message is passed on."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise SourceUnavailableError(f"{shown}: not complete within its time") from error
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"{shown}: there is no such object") from error
    except STORES[scheme].errors as error:
        if _denied(error):
            raise SourceDeniedError(f"{shown}: the store does not let us have it") from error
        raise SourceUnavailableError(f"{shown}: the store failed ({type(error).__name__})") from error


def _denied(error: Exception) -> bool:
    """Whether a client tells that the store refused, each in its own way."""
    code = getattr(error, "status_code", getattr(error, "code", None))
    return isinstance(error, PermissionError) or code in DENIED or str(error).startswith("Forbidden: ")
