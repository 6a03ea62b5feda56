"""What is read of a container before its pictures.

It is opened by FFmpeg's ``fd`` protocol and no other, or through a file of which parts are elsewhere, and
only by demuxers that never open a second file: no playlists, image sequences, pictures or text.
"""

from __future__ import annotations

import errno
import itertools
import os
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import av.subtitles.codeccontext  # PyAV imports both when a file has subtitles, too late for the child
import av.subtitles.stream
import numpy as np
from av import FFmpegError

from serve_app.errors import Lack, VideoUnreadableError
from serve_app.video.index import UNSET, Header, Packets, VideoIndex, build
from serve_app.video.partial import AFTER, spans_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from serve_app.video.partial import PartialFile

Row = tuple[int, int, int, int, bool, bool, bool]
FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,ogg,asf,gif,mxf,nut,dv,rm,wtv"
# These store dts; FFmpeg knows MPEG's order of frames from their types, but not that of later codecs.
WITHOUT_PTS, GUESSED = frozenset({"avi", "asf", "mxf"}), frozenset({"h264", "hevc", "vvc"})
# Here a packet ends when the next one begins, and the flag of damage in that is put on this one.
PARSED = frozenset({"mpegts", "mpeg"})

av.logging.set_libav_level(av.logging.PANIC)  # a hostile file must not flood the log


def open_input(fd: int, partial: PartialFile | None) -> InputContainer:
    """The container in ``fd``, from its start; ``VideoUnreadableError`` where there is none."""
    # A title in a broken encoding must not spoil a good video.
    plain = {"protocol_whitelist": "fd", "format_whitelist": FORMATS}
    try:
        if partial is not None:
            partial.seek(0)
            return av.open(partial, "r", options=plain, metadata_errors="replace", buffer_size=AFTER)
        os.lseek(fd, 0, os.SEEK_SET)
        return av.open("fd:", "r", options={"fd": str(fd), **plain}, metadata_errors="replace")
    except MemoryError:
        raise
    except FFmpegError as error:
        # With EINVAL a format is refused that is not on the list; no other FFmpeg may have it either.
        lacks = None if error.errno == errno.EINVAL else Lack("demuxer")
        raise VideoUnreadableError(f"not a video in a known container: {error.strerror}", lacks) from error


class Table:
    """What an MP4's own tables say before a picture is read: where each of the stream's packets lies.

    ``entries`` are offset, size and whether it is a keyframe, in decode order; empty for containers whose
    tables do not say. ``pictures`` are the spans of all streams' packets, ``most`` of each.
    """

    def __init__(self, container: InputContainer, video: VideoStream, most: int) -> None:
        told = container.format.name.startswith("mov,")
        self.entries = [(e.pos, e.size, e.is_keyframe) for e in video.index_entries] if told else []
        several = (itertools.islice(stream.index_entries, most) for stream in container.streams)
        self.pictures = spans_of((e.pos, e.size) for entries in several for e in entries)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Offset and size of each packet."""
        return [(at, size) for at, size, _ in self.entries]


def row_of(packet: Packet[VideoStream]) -> Row:
    """Pts, dts, duration, size, and whether it is a keyframe, cut away, damaged."""
    pts = UNSET if packet.pts is None else packet.pts
    dts = UNSET if packet.dts is None else packet.dts
    flags = packet.is_keyframe, packet.is_discard, packet.is_corrupt
    return pts, dts, packet.duration or 0, packet.size, *flags


def header_of(container: InputContainer, video: VideoStream) -> Header:
    """What the container claims of a stream."""
    duration = None
    if video.duration is not None and video.time_base is not None:
        duration = float(video.duration * video.time_base)
    elif container.duration is not None:
        duration = container.duration / 1_000_000
    fps, nominal = (float(rate) if rate else None for rate in (video.average_rate, video.guessed_rate))
    reorders = bool(video.codec_context.has_b_frames)
    guesses = container.format.name in WITHOUT_PTS and video.codec_context.codec.canonical_name in GUESSED
    return Header(video.frames or None, duration, fps, nominal, reorders, guesses)


def index_of(rows: list[Row], container: InputContainer, video: VideoStream) -> VideoIndex:
    """The index of these packets; ``VideoUnreadableError`` where none is shown."""
    if not rows:
        raise VideoUnreadableError("the video stream has no frames")
    times, flags = np.array([row[:4] for row in rows], np.int64).T, np.array([row[4:] for row in rows]).T
    if container.format.name in PARSED:
        flags[2, 1:] |= flags[2, :-1]
    try:
        return build(Packets(*times, *flags), video.time_base or Fraction(1), header_of(container, video))
    except ValueError as error:
        raise VideoUnreadableError(f"the video stream has no frames: {error}") from error
