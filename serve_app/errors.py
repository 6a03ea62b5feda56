"""Every failure capstream knows, in two families that decide what happens to a record.

::

    CapstreamError
    ├── SettingsError               refused at start; no record is involved
    ├── BrokerError                 Kafka cannot be started, reached or prepared; no record is involved
    ├── TransientError              the same work may succeed later: another attempt
    │   ├── SourceUnavailableError    fetch    connection lost, time-out, HTTP 408/425/429/5xx
    │   ├── DecoderDiedError          decode   the child process died under the video
    │   ├── DecodeTimeoutError        decode   the child overstayed and was killed
    │   ├── DecodeMemoryError         decode   the child reached its limit of memory
    │   ├── EngineUnavailableError    caption  the engine died, timed out or refused for load
    │   ├── WorkerLostError           dispatch a replica died or could not be reached
    │   ├── OverloadedError           dispatch every replica is full
    │   └── InternalError             any      a bug in a tier; its text is in the log alone
    └── PermanentError              no attempt will help: a dead letter
        ├── RequestInvalidError       parse    the record is no valid request
        ├── SourceRefusedError        fetch    scheme or address not allowed
        ├── SourceDeniedError         fetch    the source does not let us in: HTTP 401/403/407/451
        ├── SourceNotFoundError       fetch    missing file, any other HTTP 4xx
        ├── SourceEmptyError          fetch    there are no bytes: empty file or body, HTTP 204/205
        ├── SourceTooLargeError       fetch    more bytes than allowed
        ├── VideoUnreadableError      decode   not a video, no video stream, damaged
        ├── VideoRefusedError         decode   beyond a limit: pixels, packets, length, bytes, aspect ratio
        ├── NoFramesError             decode   nothing to show in the asked range
        ├── EngineRejectedError       caption  the engine will never take this input
        ├── OutputInvalidError        caption  the answer has not the form that was asked for
        ├── ProcessKilledError        dispatch consumer after consumer died while it worked on the record
        └── ResultTooLargeError       publish  the topic does not take a record of this size

Errors of other libraries are translated where they are raised. What is neither family is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Stage = Literal["parse", "dispatch", "fetch", "decode", "caption", "publish"]
Family = Literal["transient", "permanent"]


@dataclass(frozen=True, slots=True)
class Lack:
    """What FFmpeg has not got for a video: a demuxer for its container, or a decoder for its ``stream``."""

    what: Literal["demuxer", "decoder"]
    stream: int | None = None


class CapstreamError(Exception):
    """Root of all errors that capstream raises on purpose."""


class SettingsError(CapstreamError):
    """A setting is unknown or impossible; the message names key path, value and allowed range."""


class BrokerError(CapstreamError):
    """Kafka cannot be started, reached or prepared; the message says what to do."""


class RecordError(CapstreamError):
    """What goes wrong with one record. ``str(error)`` is fit for the output topic."""

    family: ClassVar[Family]
    stage: ClassVar[Stage]


class TransientError(RecordError):
    """The same work may succeed later."""

    family = "transient"


class PermanentError(RecordError):
    """No further attempt will help."""

    family = "permanent"


class SourceUnavailableError(TransientError):
    """The source did not answer, or not completely."""

    stage = "fetch"


class DecoderDiedError(TransientError):
    """The child process died while it decoded."""

    stage = "decode"


class DecodeTimeoutError(TransientError):
    """The child process overstayed its time and was killed."""

    stage = "decode"


class DecodeMemoryError(TransientError):
    """The child process reached its limit of memory; a fresh one may have more to spare."""

    stage = "decode"


class EngineUnavailableError(TransientError):
    """The engine died, timed out or refused for load."""

    stage = "caption"


class WorkerLostError(TransientError):
    """A replica died, or could not be reached, while it held the request."""

    stage = "dispatch"


class OverloadedError(TransientError):
    """Every replica is full."""

    stage = "dispatch"


class InternalError(TransientError):
    """A bug in a tier: neither family was raised. The message names its class and place, not its text."""

    stage = "dispatch"


class RequestInvalidError(PermanentError):
    """The record's value is not a valid request."""

    stage = "parse"


class SourceRefusedError(PermanentError):
    """The source's scheme or address is not allowed."""

    stage = "fetch"


class SourceDeniedError(PermanentError):
    """The source does not let us have it, with what the URL says about who we are."""

    stage = "fetch"


class SourceNotFoundError(PermanentError):
    """The source does not exist."""

    stage = "fetch"


class SourceEmptyError(PermanentError):
    """The source exists and has no bytes."""

    stage = "fetch"


class SourceTooLargeError(PermanentError):
    """The source has more bytes than allowed."""

    stage = "fetch"


class VideoUnreadableError(PermanentError):
    """The bytes are not a video that can be decoded.

    ``lacks`` is set where another FFmpeg may have what this one has not.
    """

    stage = "decode"

    def __init__(self, message: str, lacks: Lack | None = None) -> None:
        super().__init__(message)
        self.lacks = lacks


class VideoRefusedError(PermanentError):
    """The video, or what was asked of it, is beyond a limit; the message names both."""

    stage = "decode"


class NoFramesError(PermanentError):
    """The asked range holds no frame."""

    stage = "decode"


class EngineRejectedError(PermanentError):
    """The engine will never take this input."""

    stage = "caption"


class OutputInvalidError(PermanentError):
    """The engine's answer has not the form that was asked for."""

    stage = "caption"


class ProcessKilledError(PermanentError):
    """Consumer after consumer died while it worked on the record, the last one on it alone."""

    stage = "dispatch"


class ResultTooLargeError(PermanentError):
    """The topic does not take a record of this size."""

    stage = "publish"


@dataclass(frozen=True, slots=True)
class Failure:
    """A ``RecordError`` as a value, as it travels between processes.

    ``error_class`` is the class's name in this module, ``message`` is free of secrets.
    """

    family: Family
    stage: Stage
    error_class: str
    message: str

    @classmethod
    def of(cls, error: RecordError) -> Failure:
        """The value of an error that was raised."""
        return cls(error.family, error.stage, type(error).__name__, str(error))

    def raised(self) -> RecordError:
        """The error of this value; an unknown class becomes ``InternalError``."""
        kind = RECORD_ERRORS.get(self.error_class, InternalError)
        return kind(self.message)


def _leaves(kind: type[RecordError]) -> list[type[RecordError]]:
    below = kind.__subclasses__()
    return [leaf for sub in below for leaf in _leaves(sub)] if below else [kind]


RECORD_ERRORS: dict[str, type[RecordError]] = {kind.__name__: kind for kind in _leaves(RecordError)}
