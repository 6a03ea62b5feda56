"""A stop that outlives the replica which decided it.

Serve replaces a replica that says it is unhealthy, and the new one would read on. So the reason is kept in
Ray's own store, under the *start* of the application: an id that is made when the application is built, by
``serve run`` and by a ``serve deploy`` of changed settings. Replacements have the same one, the next start
has not.
"""

from __future__ import annotations

import logging

from ray.exceptions import RayError
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put

log = logging.getLogger(__name__)

NAMESPACE = "capstream"
ADVICE = "to read on, deploy it with another consumer.breaker.resume, or start it anew"


class Halt:
    """Why this start of the application has stopped reading, if it has; the same for all its replicas."""

    def __init__(self, start: str) -> None:
        self._key = f"halt:{start}"

    @property
    def reason(self) -> str | None:
        """Why, or ``None`` while it reads, and where the store does not answer."""
        try:
            found = _internal_kv_get(self._key, namespace=NAMESPACE)
        except RayError as error:
            log.warning("nobody knows whether reading has stopped: %s", error)
            return None
        return found.decode() if found else None

    def note(self, reason: str) -> None:
        """Stop all replicas, those that come after this one as well; the first reason is kept."""
        try:
            _internal_kv_put(self._key, reason, overwrite=False, namespace=NAMESPACE)
        except RayError as error:
            log.warning("a replica that replaces this one will read on: %s", error)
