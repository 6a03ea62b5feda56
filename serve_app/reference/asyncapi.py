"""The topics and their records as an AsyncAPI 3.0 document."""

from __future__ import annotations

from typing import Any

from serve_app.schema import CAPTION_SCHEMA, REQUEST_SCHEMA, WINDOW_SCHEMA
from serve_app.settings import Settings

Node = dict[str, Any]
CAPTION_HEADERS = {
    "capstream.id": "The request's id, or topic-partition-offset of its record.",
    "capstream.schema": f"{CAPTION_SCHEMA}.",
    "capstream.consumer": "The consumer replica that settled the request.",
    "capstream.origin": "Where the request's record stands: topic-partition-offset.",
}
WINDOWS = "video.captions.windows"
WINDOW_HEADERS = CAPTION_HEADERS | {
    "capstream.id": "The request's id, #, and the window's number.",
    "capstream.schema": f"{WINDOW_SCHEMA}.",
    "capstream.consumer": "The consumer replica that published it.",
}
REPLAY_HEADERS = {
    "capstream.replayed_from": "Only on a replayed request: topic-partition-offset of its dead letter.",
    "capstream.replays": "How often the request was replayed so far, in digits.",
    "capstream.id": "The name that the request had before, and keeps.",
    "capstream.first_seen_ms": "The first request record's time in ms since the epoch; -1 if it has none.",
}
CONNECT = "__connect.errors."
DEAD_LETTER_HEADERS = {
    CONNECT + "topic": "The topic that the request came from.",
    CONNECT + "partition": "Its partition, in digits.",
    CONNECT + "offset": "Its offset, in digits.",
    CONNECT + "stage": "Where it failed: parse, dispatch, fetch, decode, caption or publish.",
    CONNECT + "class.name": "The part of capstream that failed.",
    CONNECT + "exception.class.name": "The error's class, such as SourceNotFoundError.",
    CONNECT + "exception.message": "What went wrong, without secrets.",
    CONNECT + "exception.stacktrace": "Class and message; there is no trace of the code.",
    "capstream.id": "The request's id, or topic-partition-offset of its record.",
    "capstream.family": "permanent: no attempt will help; transient: the attempts were used up.",
    "capstream.attempts": "Attempts that were made, in digits.",
    "capstream.config_hash": "Of the settings that decide what a caption says.",
    "capstream.consumer": "The consumer replica that settled the request.",
    "capstream.engine": "The engine's kind, and its model behind a slash where it has one.",
    "capstream.first_seen_ms": "The request record's time in ms since the epoch; -1 if it has none.",
}
OPTIONAL_HEADERS = {
    "capstream.value_omitted_bytes": "Only where the request is too large for this topic: its size. The "
    "record then has no value; the request stands where it came from.",
}
RETRY_HEADERS = {
    "capstream.attempt": "Attempts that were made so far, in digits.",
    "capstream.failures": "How often they failed, by error class: InternalError=1,WorkerLostError=2.",
    "capstream.due_ms": "Not before this time, in ms since the epoch, is it tried again.",
    "capstream.first_seen_ms": "The request record's time in ms since the epoch; -1 if it has none.",
    "capstream.origin.topic": "The topic that the request came from.",
    "capstream.origin.partition": "Its partition, in digits.",
    "capstream.origin.offset": "Its offset, in digits.",
    "capstream.origin.timestamp_ms": "The request record's time, as above.",
    "capstream.last_error.stage": "Where the last attempt failed.",
    "capstream.last_error.class": "The error's class, such as SourceUnavailableError.",
    "capstream.last_error.message": "What went wrong, without secrets.",
}
NOTE = (
    "Every record of the requests topic ends as one record of the captions topic or of the dead letter "
    "topic, with the request's key. Until then it may stand on a retry topic. The names are the defaults; "
    "the settings under topics change them. Consumers of results must read committed "
    "(isolation.level=read_committed): records of aborted transactions are on the topics too."
)


def asyncapi() -> Node:
    """The document."""
    settings = Settings()
    topics, retries = settings.topics, settings.retry_topics
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "capstream",
            "version": "1.0.0",
            "description": NOTE,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "requests": _channel(topics.requests, "Videos to caption.", "request"),
            "captions": _channel(topics.captions, "One record for each captioned video.", "caption"),
            "windows": _channel(
                WINDOWS,
                "Windows of long videos as they finish; only where topics.windows names it.",
                "window",
            ),
            "deadLetters": _channel(topics.dead_letters, "Requests that got no caption.", "deadLetter"),
            **{
                f"retry{index}": _channel(name, f"Requests to be tried again after {delay_s:g} s.", "retry")
                for index, (name, delay_s) in enumerate(retries.items(), start=1)
            },
        },
        "operations": {
            "takeRequest": _operation("receive", "requests", "Take a request."),
            "sendCaption": _operation("send", "captions", "Publish a caption."),
            "sendWindow": _operation("send", "windows", "Publish a window's caption, at least once."),
            "sendDeadLetter": _operation("send", "deadLetters", "Publish a request that failed."),
            **{
                f"{action}Retry{index}": _operation(action, f"retry{index}", summary)
                for index in range(1, len(retries) + 1)
                for action, summary in (
                    ("send", "Publish a request that may succeed later."),
                    ("receive", "Take a request that is due again."),
                )
            },
        },
        "components": {"messages": _messages()},
    }


def _channel(address: str, description: str, message: str) -> Node:
    return {
        "address": address,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
    }


def _operation(action: str, channel: str, summary: str) -> Node:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _messages() -> Node:
    return {
        "request": {
            "name": REQUEST_SCHEMA,
            "summary": "A JSON object, a bare URL, or a list of chat messages.",
            "contentType": "application/json",
            "headers": _headers({}, REPLAY_HEADERS),
            "payload": {"$ref": "./schemas/request.v1.json"},
            "bindings": _key("Free; requests with equal keys share a partition."),
        },
        "caption": {
            "name": CAPTION_SCHEMA,
            "summary": "What the video shows, and how that was found out.",
            "contentType": "application/json",
            "headers": _headers(CAPTION_HEADERS, {}),
            "payload": {"$ref": "./schemas/caption.v1.json"},
            "bindings": _key("The request's key, byte for byte."),
        },
        "window": {
            "name": WINDOW_SCHEMA,
            "summary": "What a window shows. It may come more than once, by the same id; the caption record "
            "is what counts.",
            "contentType": "application/json",
            "headers": _headers(WINDOW_HEADERS, {}),
            "payload": {"$ref": "./schemas/window.v1.json"},
            "bindings": _key("The request's key, byte for byte."),
        },
        "deadLetter": {
            "name": "capstream.dead_letter/v1",
            "summary": "The request's key, value and headers, and headers that say what happened.",
            "contentType": "application/octet-stream",
            "headers": _headers(DEAD_LETTER_HEADERS, OPTIONAL_HEADERS),
            "payload": {"description": "The request's value, byte for byte: it may be no JSON at all."},
            "bindings": _key("The request's key, byte for byte."),
        },
        "retry": {
            "name": "capstream.retry/v1",
            "summary": "The request's key, value and headers, and headers that say when it is due.",
            "contentType": "application/octet-stream",
            "headers": _headers(RETRY_HEADERS, {}),
            "payload": {"description": "The request's value, byte for byte."},
            "bindings": _key("The request's key, byte for byte."),
        },
    }


def _headers(always: dict[str, str], sometimes: dict[str, str]) -> Node:
    texts = always | sometimes
    described = {name: {"type": "string", "description": text} for name, text in texts.items()}
    required = {"required": list(always)} if always else {}
    return {"type": "object", **required, "properties": described}


def _key(description: str) -> Node:
    key = {"type": ["string", "null"], "description": description}
    return {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
