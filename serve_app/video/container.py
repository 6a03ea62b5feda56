"""Reads containers with FFmpeg: with its choice of a stream, and the clip writer, all that knows PyAV.

A video is read through a descriptor that the caller opened, by FFmpeg's ``fd`` protocol and no other,
and only by demuxers that never open a second file: no playlists, image sequences, pictures or text.
Every packet is given its ordinal as its pts, so that each decoded frame names the packet it came from.
FFmpeg's ENOMEM is a ``MemoryError`` and never taken for damage.
"""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Self

import av
import av.subtitles.codeccontext  # PyAV imports both when a file has subtitles, too late for the child
import av.subtitles.stream
import numpy as np
from av import FFmpegError
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from serve_app.errors import PermanentError, VideoUnreadableError
from serve_app.settings import LimitSettings
from serve_app.video.index import UNSET, Header, Packets, VideoIndex, build
from serve_app.video.limits import check_packets, check_picture
from serve_app.video.nal import promised_bytes, temporal_id
from serve_app.video.stream import best_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["FFmpegError", "Interpolation", "VideoContainer", "VideoFrame", "VideoReformatter"]

FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,ogg,asf,gif,mxf,nut,dv,rm,wtv"
PROGRESSIVE = (0, 1)  # unknown, progressive; otherwise two packets may make one frame
SKIPPABLE = frozenset({"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"})

av.logging.set_libav_level(av.logging.PANIC)  # a hostile file must not flood the log


class VideoContainer:
    """One open container and the video stream that was chosen in it; a context manager.

    ``stream`` is the chosen stream's number, ``errors`` counts the packets the decoder refused.
    """

    def __init__(self, fd: int, limits: LimitSettings) -> None:
        self._fd, self._limits = fd, limits
        self._ordinals: dict[tuple[int | None, int], int] = {}
        self._layers = {0}
        self.errors = 0
        self._open()

    def _open(self) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        options = {"fd": str(self._fd), "protocol_whitelist": "fd", "format_whitelist": FORMATS}
        try:
            # A title in a broken encoding must not spoil a good video.
            self._container: InputContainer = av.open("fd:", "r", options=options, metadata_errors="replace")
        except MemoryError:
            raise
        except FFmpegError as error:
            raise VideoUnreadableError(f"not a video in a known container: {error.strerror}") from error
        try:
            self._video = best_stream(self._container)
            self._limit_pictures()
        except PermanentError:
            self._container.close()
            raise
        for stream in self._container.streams:
            stream.discard = Discard.default if stream.index == self._video.index else Discard.all
        self._demuxed: Iterator[Packet[VideoStream]] = self._container.demux(self._video)
        self._position = 0

    def _limit_pictures(self) -> None:
        context = self._video.codec_context
        check_picture(context.width, context.height, self._limits)
        context.options = {"max_pixels": str(self._limits.picture_pixels)}
        context.thread_count = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def stream(self) -> int:
        """The chosen stream's number in the container."""
        return self._video.index

    @property
    def codec(self) -> str:
        """The codec's name, whichever decoder is used for it."""
        return str(self._video.codec_context.codec.canonical_name)

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """Width of a pixel over its height; ``None`` where the container does not say."""
        ratio = self._video.sample_aspect_ratio
        return ratio if ratio is not None and ratio > 0 else None

    @property
    def may_skip(self) -> bool:
        """Whether NONREF leaves out only what no other frame refers to; asked after the index is read.

        Not so for codecs whose skipped packets carry decoder state, for fields in packets of their own,
        and for HEVC with temporal layers, where "not referenced" holds for a frame's own layer only.
        """
        plain = self._video.codec_context.field_order in PROGRESSIVE and len(self._layers) == 1
        return plain and self.codec in SKIPPABLE

    @property
    def promised_frames(self) -> int:
        """How many frames the header or its tables name; 0 for none."""
        return max(self._video.frames, len(self._video.index_entries))

    @property
    def bytes_missing(self) -> bool:
        """Whether the container promises bytes that the file does not have."""
        promised = max((e.pos + e.size for e in self._video.index_entries), default=0)
        return max(promised, promised_bytes(os.pread(self._fd, 256, 0))) > os.fstat(self._fd).st_size

    def read_index(self) -> VideoIndex:
        """Read all packets once and decode none; ``VideoUnreadableError``, ``VideoRefusedError``."""
        rows: list[tuple[int, int, int, int, bool, bool, bool]] = []
        while (packet := self._next()) is not None:
            self._note(packet, len(rows))
            rows.append(_row(packet))
            check_packets(len(rows), self._limits)
        if not rows:
            raise VideoUnreadableError("the video stream has no frames")
        times, flags = np.array([r[:4] for r in rows], np.int64).T, np.array([r[4:] for r in rows]).T
        packets = Packets(*times, *flags)
        try:
            return build(packets, self._video.time_base or Fraction(1), self._header())
        except ValueError as error:
            raise VideoUnreadableError(f"the video stream has no frames: {error}") from error

    def _note(self, packet: Packet[VideoStream], ordinal: int) -> None:
        key = (packet.pts, packet.size)
        self._ordinals[key] = -1 if key in self._ordinals else ordinal
        if self.codec == "hevc":
            self._layers.add(temporal_id(bytes(packet), self._video.codec_context.extradata))

    def _header(self) -> Header:
        video, duration = self._video, None
        if video.duration is not None and video.time_base is not None:
            duration = float(video.duration * video.time_base)
        elif self._container.duration is not None:
            duration = self._container.duration / 1_000_000
        fps, nominal = (float(rate) if rate else None for rate in (video.average_rate, video.guessed_rate))
        reorders = bool(video.codec_context.has_b_frames)
        return Header(video.frames or None, duration, fps, nominal, reorders)

    def go_to(self, ordinal: int, packets: Packets, *, seek: bool) -> None:
        """Make ``ordinal`` the next packet that is read, and empty the decoder."""
        if (seek or self._position > ordinal) and not self._seek(ordinal, packets):
            self._container.close()
            self._open()
        self._video.codec_context.flush_buffers()
        while self._position < ordinal and self._next() is not None:
            pass

    def _seek(self, ordinal: int, packets: Packets) -> bool:
        # Matroska's cues hold pts, other containers are searched by dts; either may land too late.
        by_pts = "matroska" in self._container.format.name
        before = np.flatnonzero(packets.keyframe[:ordinal])
        for landing in (ordinal, *before[-1:].tolist()):
            pts, dts = int(packets.pts[landing]), int(packets.dts[landing])
            target = pts if by_pts or dts == UNSET else dts
            try:
                self._container.seek(target, stream=self._video)
            except MemoryError:
                raise
            except FFmpegError:
                return False
            self._demuxed = self._container.demux(self._video)
            if target != UNSET and self._arrived(ordinal):
                return True
        return False

    def _arrived(self, ordinal: int) -> bool:
        """Read on to ``ordinal``; false if the seek went past it."""
        self._position = at = -1
        while at < ordinal and (packet := self._next()) is not None:
            known = self._ordinals.get((packet.pts, packet.size), -1)
            at = known if known >= 0 else at + (at >= 0)
            if at == ordinal:
                self._demuxed, self._position = itertools.chain((packet,), self._demuxed), ordinal
                return True
        return False

    def _next(self) -> Packet[VideoStream] | None:
        try:
            # An empty packet would mean the end of the stream to a decoder; the last one does.
            packet = next((packet for packet in self._demuxed if packet.size), None)
        except MemoryError:
            raise
        except (FFmpegError, IndexError):  # PyAV raises the second at the end if a stream came up late
            return None
        self._position += packet is not None
        return packet

    def decode_up_to(
        self, last: int, wanted: frozenset[int], *, skip: bool
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Frames of the packets from here to ``last``, with their ordinals, as the decoder gives them.

        With ``skip`` the packets that are not wanted and that no frame refers to are left out.
        """
        context = self._video.codec_context
        while self._position <= last and (packet := self._next()) is not None:
            ordinal = self._position - 1
            left_out: Literal["NONREF", "DEFAULT"] = "NONREF" if skip and ordinal not in wanted else "DEFAULT"
            context.skip_frame = left_out
            packet.pts = ordinal
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Packet[VideoStream] | None) -> Iterator[tuple[int, VideoFrame]]:
        try:
            frames = self._video.codec_context.decode(packet)
        except MemoryError:
            raise
        except FFmpegError:
            self.errors += 1
            return
        for frame in frames:
            yield (-1 if frame.pts is None else frame.pts), frame


def _row(packet: Packet[VideoStream]) -> tuple[int, int, int, int, bool, bool, bool]:
    pts = UNSET if packet.pts is None else packet.pts
    dts = UNSET if packet.dts is None else packet.dts
    flags = packet.is_keyframe, packet.is_discard, packet.is_corrupt
    return pts, dts, packet.duration or 0, packet.size, *flags
