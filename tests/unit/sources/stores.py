"""Object stores on this machine: S3 in this process, the others where their emulators are installed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote
from urllib.request import Request, urlopen

import boto3  # type: ignore[import-untyped]  # there are no types for it
import psutil
from moto.server import ThreadedMotoServer

BUCKETS = ("videos", "shared")
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's
)


@dataclass(frozen=True)
class Store:
    """A server with the buckets ``videos`` and ``shared``.

    ``put(bucket, key, body)`` writes an object; ``environment(base)`` are the variables with which an
    operator names the server at that URL.
    """

    scheme: str
    base: str
    put: Callable[[str, str, bytes], object]
    environment: Callable[[str], dict[str, str]]


@contextmanager
def s3() -> Iterator[Store]:
    """Moto, in a thread."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    base = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    keys = {"aws_access_key_id": "operator", "aws_secret_access_key": "hush", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=base, **keys)
    for bucket in BUCKETS:
        client.create_bucket(Bucket=bucket)
    yield Store(
        "s3",
        base,
        lambda bucket, key, body: client.put_object(Bucket=bucket, Key=key, Body=body),
        lambda base: (
            {"AWS_ENDPOINT_URL": base, **{name.upper(): value for name, value in keys.items()}}
            | {"AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}
        ),
    )
    client.close()
    server.stop()


@contextmanager
def gs() -> Iterator[Store]:
    """fake-gcs-server."""
    base = f"http://127.0.0.1:{_free_port()}"
    where = [
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        base.rpartition(":")[2],
        "-public-host",
        base[7:],
    ]

    def post(path: str, body: bytes) -> None:
        with urlopen(Request(base + path, body, {"content-type": "application/json"})) as answer:  # noqa: S310
            answer.read()

    with _running(["fake-gcs-server", *where, "-backend", "memory"], "server started"):
        for bucket in BUCKETS:
            post("/storage/v1/b", json.dumps({"name": bucket}).encode())
        yield Store(
            "gs",
            base,
            lambda bucket, key, body: post(
                f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key)}", body
            ),
            lambda base: {"STORAGE_EMULATOR_HOST": base},
        )


@contextmanager
def az() -> Iterator[Store]:
    """Azurite."""
    base = f"http://127.0.0.1:{_free_port()}"
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    where = ["--blobHost", "127.0.0.1", "--blobPort", base.rpartition(":")[2], *options]

    def said(base: str) -> str:
        account = f"AccountName=devstoreaccount1;AccountKey={AZURE_KEY}"
        return f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={base}/devstoreaccount1;"

    with _running(["azurite-blob", *where], "successfully listens"):
        package = importlib.import_module("azure.storage.blob")
        with package.BlobServiceClient.from_connection_string(said(base)) as client:
            for bucket in BUCKETS:
                client.create_container(bucket)
            yield Store(
                "az",
                base,
                lambda bucket, key, body: client.get_blob_client(bucket, key).upload_blob(
                    body, overwrite=True
                ),
                lambda base: {"AZURE_STORAGE_CONNECTION_STRING": said(base)},
            )


# Google's and Azure's emulators are no Python packages: they take part where somebody has installed them.
EMULATED = {"gs": (gs, "gcsfs", "fake-gcs-server"), "az": (az, "adlfs", "azurite-blob")}
STORES = {"s3": s3} | {
    name: store
    for name, (store, package, program) in EMULATED.items()
    if importlib.util.find_spec(package) and shutil.which(program)
}


@contextmanager
def _running(command: list[str], sign: str) -> Iterator[None]:
    """A server that is up."""
    with subprocess.Popen(
        [shutil.which(command[0]) or command[0], *command[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            _wait_for(sign, server.stdout)
            yield
        finally:
            server.kill()


def _wait_for(sign: str, lines: IO[str] | None) -> None:
    said = []
    for line in lines or ():
        said.append(line)
        if sign in line:
            return
    raise OSError("".join(said))


def _free_port() -> int:
    taken = {one.laddr.port for one in psutil.net_connections() if one.laddr}
    return next(port for port in range(18_000, 28_000) if port not in taken)
