"""Asks librdkafka what it thinks of the client properties; nothing is connected to."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaException, Producer

from consumers.clients import ClientConfig, consumer_config, producer_config
from serve_app.errors import SettingsError
from serve_app.settings import Settings, is_secret

log = logging.getLogger(__name__)

# For "did you mean" alone: librdkafka itself says which names there are.
KNOWN = (
    "allow.auto.create.topics",
    "api.version.request",
    "broker.address.family",
    "broker.address.ttl",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.type",
    "connections.max.idle.ms",
    "debug",
    "enable.ssl.certificate.verification",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "log_level",
    "metadata.max.age.ms",
    "queued.max.messages.kbytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "statistics.interval.ms",
)
NO_SUCH = "No such configuration property"
FAILED = "Failed to create "
BOUNDS = re.compile(r"outside allowed range (-?\d+)\.\.(-?\d+)")
QUIET: ClientConfig = {"log_level": 0}


def client_refusals(settings: Settings) -> list[str]:
    """One sentence for each property of ``broker.client`` that librdkafka refuses, without its value.

    Where each is fine by itself, one for what they are together: a mechanism without a user, a missing file.
    """
    found = list(_refused_alone(settings.broker.client))
    if found or not settings.broker.client:
        return found
    for client, config in ((Producer, producer_config(settings)), (Consumer, consumer_config(settings))):
        offline = {key: value for key, value in config.items() if key != "bootstrap.servers"}
        if (told := _told(client, offline)) is not None:
            return [f"client: {_masked(told.removeprefix(FAILED), settings.broker.client)}"]
    return []


def unknown_names(names: Iterable[str]) -> list[str]:
    """One sentence for each name that librdkafka has no property of."""
    return [_unknown(name) for name in names if (_told(Producer, {name: ""}) or "").startswith(NO_SUCH)]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, KNOWN, n=1)
    return f"client.{name}: librdkafka has no such property" + (f"; did you mean {near[0]}?" if near else "")


def refused(error: KafkaException, settings: Settings) -> SettingsError:
    """The refusal where a client could not be made of the settings."""
    found = client_refusals(settings)
    told = _masked(_text(error), settings.broker.client)
    return SettingsError("\n".join(f"broker.{line}" for line in found) or f"broker.client: {told}")


def _refused_alone(client: Mapping[str, str]) -> Iterator[str]:
    for key, value in client.items():
        told = _told(Producer, {key: value})
        if told is None or told.startswith(FAILED):
            continue  # what lacks another property is told of all together
        if told.startswith(NO_SUCH):
            yield _unknown(key)
        elif bounds := BOUNDS.search(told):
            yield f"client.{key}: the value is refused by librdkafka; allowed: {bounds[1]} to {bounds[2]}"
        else:
            yield f"client.{key}: the value is refused by librdkafka: {_masked(told, {key: value})}"


def _told(client: type[Producer | Consumer], config: ClientConfig) -> str | None:
    try:
        made = client({**QUIET, **config}, logger=log)
    except KafkaException as error:
        return _text(error)
    except (TypeError, AttributeError, ValueError):
        return "it takes a Python object, which a file cannot hold"
    if isinstance(made, Consumer):
        made.close()
    return None


def _text(error: KafkaException) -> str:
    return str(error.args[0].str()).strip()


def _masked(told: str, client: Mapping[str, str]) -> str:
    # librdkafka repeats values, and any of them may have come from the environment.
    for key, value in sorted(client.items(), key=lambda item: len(item[1]), reverse=True):
        told = told.replace(value if is_secret(key) else f'"{value}"', "***")
    return told
