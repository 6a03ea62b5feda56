"""Settings of the sources: how much is fetched, for how long, and from where."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from serve_app.schema import Closed
from serve_app.schema.numbers import Number, Whole
from serve_app.schema.violations import refusal

# A last part that is a number would make it an address.
HOST = re.compile(r"\.?(?:[a-z0-9_-]+\.)*(?![0-9]+$|0x[0-9a-f]*$)[a-z0-9_-]+")
NETWORKS = "allowed: networks such as 10.0.0.0/8 or fd00::/8, in text separated by commas"
HOSTS = (
    "allowed: host names such as media.internal, or .internal for all below, in text separated by commas; "
    "addresses belong into allow_networks"
)
ROOTS = "allowed: roots such as s3://bucket or gs://bucket/folder, in text separated by commas"
ROOT = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[^/?#\\]+)*/?")
FOLDERS = "allowed: folders, no URLs and no ~, in text separated by colons"


def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _host(text: str) -> str:
    name = text.lower().rstrip(".")
    if HOST.fullmatch(name) is None:
        raise ValueError(text)
    return name


def _folder(text: str) -> Path:
    # What a shell or a client would make of these, nobody does here: it would be a folder of that name.
    if not text or "\0" in text or text.startswith("~") or "://" in text:
        raise ValueError(text)
    return Path(text)


def _object_root(text: str) -> str:
    if ROOT.fullmatch(text) is None:
        raise ValueError(text)
    return text.rstrip("/")


def _listed(parse: Callable[[str], object], separator: str, told: str) -> BeforeValidator:
    """A list of YAML, or a text with separators, as an environment variable has it; empty parts are none."""

    def parsed(given: object) -> object:
        parts: list[tuple[tuple[int, ...], object]]
        if isinstance(given, str):
            # At the list's own place: what came from the environment is then never told.
            parts = [((), part.strip()) for part in given.split(separator) if part.strip()]
        elif isinstance(given, list | tuple):
            parts = [((index,), part) for index, part in enumerate(given)]
        else:
            raise refusal((), given, told)
        return tuple(_one(parse, part, place, told) for place, part in parts)

    return BeforeValidator(parsed)


def _one(parse: Callable[[str], object], part: object, place: tuple[int, ...], told: str) -> object:
    try:
        # As text also what was parsed before, so that settings can be validated again.
        return parse(str(part) if isinstance(part, IPv4Network | IPv6Network | Path) else _text(part))
    except ValueError as error:
        raise refusal(place, part, told) from error


def _text(part: object) -> str:
    if not isinstance(part, str):
        raise ValueError(part)  # noqa: TRY004  a bad value like any other
    return part


class SourceSettings(Closed):
    """How videos are fetched, and from where.

    Only public addresses are asked unless a list says more, and no proxy of the environment is used; see
    security.md.
    """

    schemes: tuple[Literal["http", "https", "file", "data", "s3", "gs", "az"], ...] = Field(
        default=("http", "https", "file", "data"),
        min_length=1,
        description="Allowed URL schemes; s3, gs and az each need the extra of that name.",
    )
    allow_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], _listed(_network, ",", NETWORKS)] = (
        Field(
            default=(),
            description="Networks that may be asked although they are private, local or reserved. A cloud's "
            "metadata address needs a network of its own (/32, /128). Text: separated by commas.",
        )
    )
    allow_hosts: Annotated[tuple[str, ...], _listed(_host, ",", HOSTS)] = Field(
        default=(),
        description="Host names that may be asked whatever their addresses are, but for metadata; .internal "
        "means all below. Other public hosts stay allowed. Text: separated by commas.",
    )
    file_roots: Annotated[tuple[Path, ...], _listed(_folder, os.pathsep, FOLDERS)] = Field(
        default=(),
        description="Folders whose files may be read by file URLs, links resolved. None: no file may. "
        "Text: separated by colons.",
    )
    object_roots: Annotated[tuple[str, ...], _listed(_object_root, ",", ROOTS)] = Field(
        default=(),
        description="What of object stores may be read by s3, gs and az URLs, with the credentials that this "
        "process has. None: nothing may. Text: separated by commas.",
    )
    max_mib: Number = Field(
        default=2048,
        gt=0,
        le=1_048_576,
        description="Largest video in MiB, or all images of a list together.",
    )
    max_image_mib: Number = Field(
        default=64, gt=0, le=1024, description="Largest image of a list in MiB; `max_mib` holds as well."
    )
    parts_from_mib: Number = Field(
        default=32,
        ge=0,
        description="Of larger http(s) files and objects only the parts that the chosen frames need are "
        "fetched, where the server sends parts. From `max_mib` on: never.",
    )
    connect_timeout_s: Number = Field(default=10, gt=0, le=300, description="To open a connection.")
    idle_timeout_s: Number = Field(default=20, gt=0, le=300, description="Between two pieces of the body.")
    total_timeout_s: Number = Field(default=300, gt=0, le=86_400, description="For one whole fetch.")
    max_redirects: Whole = Field(default=5, ge=0, le=20, description="Redirects followed.")
