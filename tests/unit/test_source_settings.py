"""Where videos may come from: lists in YAML, text from the environment, and what is refused."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from serve_app.config import load, settings_from
from serve_app.errors import SettingsError
from serve_app.settings import CacheSettings, Settings, SourceSettings

ROOT = Path(__file__).parents[2]
NETWORKS = "allowed: networks such as 10.0.0.0/8 or fd00::/8, in text separated by commas"
FOLDERS = "allowed: folders, no URLs and no ~, in text separated by colons"
HOSTS = (
    "allowed: host names such as media.internal, or .internal for all below, in text separated by commas; "
    "addresses belong into allow_networks"
)


def sources(env: dict[str, str] | None = None, **given: object) -> SourceSettings:
    return settings_from({"sources": given}, env or {}).sources


def refused(env: dict[str, str] | None = None, **given: object) -> str:
    with pytest.raises(SettingsError) as caught:
        sources(env, **given)
    return str(caught.value)


def test_nothing_is_allowed_by_default() -> None:
    """No private network, no listed host, no folder."""
    assert (sources().allow_networks, sources().allow_hosts, sources().file_roots) == ((), (), ())


@pytest.mark.parametrize("name", ["serve.yaml", "serve.kafka.yaml"])
def test_our_own_files_take_the_lists_from_the_environment(name: str) -> None:
    """Unset and empty variables allow nothing; text is split."""
    path, broker = ROOT / "configs" / name, {"KAFKA_BOOTSTRAP_SERVERS": "h:9092"}
    assert load(path, broker).settings.sources == SourceSettings()
    env = {
        "CAPSTREAM_ALLOW_NETWORKS": "127.0.0.0/8, fd00::/8,,10.1.2.3",
        "CAPSTREAM_ALLOW_HOSTS": "Media.Internal.,.cluster.local",
        "CAPSTREAM_FILE_ROOTS": "/videos:more videos:",
    }
    found = load(path, broker | env).settings.sources
    assert found.allow_networks == tuple(
        ip_network(one) for one in ("127.0.0.0/8", "fd00::/8", "10.1.2.3/32")
    )
    assert found.allow_hosts == ("media.internal", ".cluster.local")
    assert found.file_roots == (Path("/videos"), Path("more videos"))


def test_lists_of_yaml_are_taken_as_they_are() -> None:
    """A folder's name may then hold a colon."""
    found = sources(allow_networks=["10.0.0.0/8"], allow_hosts=["a.b"], file_roots=["/a:b"])
    assert found.allow_networks == (ip_network("10.0.0.0/8"),)
    assert (found.allow_hosts, found.file_roots) == (("a.b",), (Path("/a:b"),))
    assert SourceSettings.model_validate(found.model_dump()) == found
    assert SourceSettings.model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"allow_networks": ["10.0.0.1/8"]}, f"allow_networks[0]: '10.0.0.1/8' is refused; {NETWORKS}"),
        ({"allow_networks": ["::/0", "a.b"]}, f"allow_networks[1]: 'a.b' is refused; {NETWORKS}"),
        ({"allow_networks": ["1.2.3.4/33"]}, f"allow_networks[0]: '1.2.3.4/33' is refused; {NETWORKS}"),
        ({"allow_networks": [10]}, f"allow_networks[0]: '10' is refused; {NETWORKS}"),
        ({"allow_networks": 10}, f"allow_networks: '10' is refused; {NETWORKS}"),
        ({"allow_networks": "10.0.0.0/8,x"}, f"allow_networks: 'x' is refused; {NETWORKS}"),
        ({"allow_hosts": ["10.0.0.1"]}, f"allow_hosts[0]: '10.0.0.1' is refused; {HOSTS}"),
        ({"allow_hosts": ["0x7f.0x1"]}, f"allow_hosts[0]: '0x7f.0x1' is refused; {HOSTS}"),
        ({"allow_hosts": ["::1"]}, f"allow_hosts[0]: '::1' is refused; {HOSTS}"),
        ({"allow_hosts": ["*.internal"]}, f"allow_hosts[0]: '*.internal' is refused; {HOSTS}"),
        ({"allow_hosts": ["http://a.b"]}, f"allow_hosts[0]: 'http://a.b' is refused; {HOSTS}"),
        ({"allow_hosts": ["a.b:80"]}, f"allow_hosts[0]: 'a.b:80' is refused; {HOSTS}"),
        ({"allow_hosts": ["."]}, f"allow_hosts[0]: '.' is refused; {HOSTS}"),
        ({"allow_hosts": [""]}, f"allow_hosts[0]: '' is refused; {HOSTS}"),
        ({"file_roots": [""]}, f"file_roots[0]: '' is refused; {FOLDERS}"),
        ({"file_roots": [1]}, f"file_roots[0]: '1' is refused; {FOLDERS}"),
        ({"file_roots": ["~/videos"]}, f"file_roots[0]: '~/videos' is refused; {FOLDERS}"),
        ({"file_roots": ["file:///a"]}, f"file_roots[0]: 'file:///a' is refused; {FOLDERS}"),
    ],
)
def test_what_is_none_of_them_is_told(given: dict[str, Any], told: str) -> None:
    """The place, the value, and what is allowed."""
    assert refused(**given) == f"args.sources.{told}"


@pytest.mark.parametrize(
    ("root", "told"),
    [
        ("videos", "'videos'"),
        ("s3://", "'s3://'"),
        ("https://videos", "'https://videos'"),
        ("s3://key:secret@videos", "'s3://key:secret@videos'"),
        ("s3://videos?x", "'s3://videos?x'"),
        ("s3://videos//x", "'s3://videos//x'"),
    ],
)
def test_object_roots_are_a_store_a_bucket_and_a_folder(root: str, told: str) -> None:
    """A slash at the end makes no difference; anything else is refused."""
    assert sources(object_roots="s3://videos/, gs://b/a b").object_roots == ("s3://videos", "gs://b/a b")
    allowed = "allowed: roots such as s3://bucket or gs://bucket/folder, in text separated by commas"
    assert refused(object_roots=[root]) == f"args.sources.object_roots[0]: {told} is refused; {allowed}"


def test_a_relative_cache_starts_where_the_application_was_started(tmp_path: Path) -> None:
    """So that all replicas on a node share it; an absolute one stays."""
    assert Settings().anchored(tmp_path).cache.folder == tmp_path / ".capstream/cache"
    absolute = Settings(cache=CacheSettings(folder=Path("/var/cache/capstream")))
    assert absolute.anchored(tmp_path).cache.folder == Path("/var/cache/capstream")


@pytest.mark.parametrize("key", ["allow_networks", "allow_hosts"])
def test_bad_values_of_variables_are_told_by_their_name(key: str) -> None:
    """They may be secrets in the wrong place."""
    told = refused({"S": "hunter2!"}, **{key: "a,${S}"})
    assert told.startswith(f"args.sources.{key}: a,${{S}} was given a value that is refused; allowed: ")
    assert "hunter2" not in told


def test_relative_roots_start_where_the_application_was_started(tmp_path: Path) -> None:
    """Replicas work in other folders."""
    settings = Settings(sources=SourceSettings(file_roots=(Path(), Path("a"), Path("/b"))))
    found = settings.anchored(tmp_path).sources.file_roots
    assert found == (tmp_path, tmp_path / "a", Path("/b"))
