"""Reads containers with FFmpeg: with its choice of a stream, and the clip writer, all that knows PyAV.

A video is read through an open descriptor; of one that is not all here, the tables alone where they suffice.
Every packet's pts is its ordinal, so that a frame names its packet. FFmpeg's ENOMEM is no damage.
"""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from av import FFmpegError
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from serve_app.errors import PermanentError
from serve_app.settings import LimitSettings
from serve_app.video.index import UNSET, Packets, VideoIndex
from serve_app.video.input import Row, Table, index_of, open_input, row_of
from serve_app.video.limits import check_packets, check_picture
from serve_app.video.nal import promised_bytes, temporal_id
from serve_app.video.partial import spans_of
from serve_app.video.references import LEFT_OUT_BEFORE, PROGRESSIVE, SKIPPABLE, reader
from serve_app.video.stream import best_stream
from serve_app.video.transport import marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from serve_app.video.partial import PartialFile

__all__ = ["FFmpegError", "Interpolation", "VideoContainer", "VideoFrame", "VideoReformatter"]


class VideoContainer:
    """One open container and the video stream that was chosen in it; a context manager.

    ``partial`` reads a file that is not all here. ``refused`` are the ordinals of packets the decoder
    refused, ``unreferenced`` those it was once allowed to leave out, and whose own headers say that it may.
    """

    def __init__(self, fd: int, limits: LimitSettings, partial: PartialFile | None = None) -> None:
        self._fd, self._limits, self._partial = fd, limits, partial
        self._places: list[tuple[int, int]] = []
        self._ordinals: dict[tuple[int | None, int], int] = {}
        self._layers = {0}
        self.refused: list[int] = []
        self.unreferenced: set[int] = set()
        self._open()

    def _open(self) -> None:
        self._container: InputContainer = open_input(self._fd, self._partial)
        try:
            self._video = best_stream(self._container)
            context = self._video.codec_context
            check_picture(context.width, context.height, self._limits)
        except PermanentError:
            self._container.close()
            raise
        context.options = {"max_pixels": str(self._limits.picture_pixels)}
        context.thread_count = 1
        for stream in self._container.streams:
            stream.discard = Discard.default if stream.index == self._video.index else Discard.all
        self._demuxed: Iterator[Packet[VideoStream]] = self._container.demux(self._video)
        self._position = 0
        self._is_referenced = reader(self.codec, context.extradata)

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
        return self.one_packet_each and len(self._layers) == 1 and self.codec in SKIPPABLE

    @property
    def one_packet_each(self) -> bool:
        """Whether no picture comes in two fields with a packet each."""
        return self._video.codec_context.field_order in PROGRESSIVE

    @property
    def promised_frames(self) -> int:
        """How many frames the header or its tables name; 0 for none."""
        return max(self._video.frames, len(self._video.index_entries))

    @cached_property
    def bytes_missing(self) -> bool:
        """Whether the container promises bytes that the file does not have."""
        promised = max((e.pos + e.size for e in self._video.index_entries), default=0)
        return max(promised, promised_bytes(os.pread(self._fd, 256, 0))) > os.fstat(self._fd).st_size

    def read_index(self) -> VideoIndex:
        """Read all packets once and decode none; ``VideoUnreadableError``, ``VideoRefusedError``."""
        rows = self._rows_by_table(self._partial) if self._partial is not None else []
        if self._partial is not None and not rows:
            self._partial.expect([(0, self._partial.size)])
        index = index_of(rows or self._rows(), self._container, self._video)
        transport = self._container.format.name == "mpegts"
        return marked(index, self._fd, self._places) if transport else index

    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        while (packet := self._next()) is not None:
            self._note(packet, len(rows))
            rows.append(row_of(packet))
            check_packets(len(rows), self._limits)
        return rows

    def _rows_by_table(self, partial: PartialFile) -> list[Row]:
        """The same without a picture; nothing where the tables do not name every packet."""
        check_packets(len(self._video.index_entries), self._limits)
        table = Table(self._container, self._video, self._limits.packets)
        if not table.entries:
            return []
        with partial.veiled(table.pictures):
            rows = self._rows()
            self._container.close()
        complete = self._places == table.places
        # FFmpeg still holds zeros, and a parser that saw them knows no keyframe and no layer.
        self._open()
        if not complete:
            self._ordinals, self._places, self._layers = {}, [], {0}
            return []
        self._layers.add(-1)
        return [(*row[:4], entry[2], *row[5:]) for row, entry in zip(rows, table.entries, strict=True)]

    def _note(self, packet: Packet[VideoStream], ordinal: int) -> None:
        key = (packet.pts, packet.size)
        self._places.append((-1 if packet.pos is None else packet.pos, packet.size))
        self._ordinals[key] = -1 if key in self._ordinals else ordinal
        if self.codec == "hevc":
            self._layers.add(temporal_id(bytes(packet), self._video.codec_context.extradata))

    def expect(self, stretches: Iterable[tuple[int, int]]) -> None:
        """Fetch what these packets, from first to last, take, if it is not here."""
        if self._partial is not None:
            parts = (spans_of(self._places[first : last + 1]) for first, last in stretches)
            self._partial.expect((min(p)[0], max(end for _, end in p)) for p in parts if p)

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
            may_go = skip and ordinal not in wanted
            if skip and not self._is_referenced(bytes(packet)) and may_go:
                self.unreferenced.add(ordinal)
                if self.codec in LEFT_OUT_BEFORE:
                    continue
            context.skip_frame = "NONREF" if may_go and self.codec not in LEFT_OUT_BEFORE else "DEFAULT"
            packet.pts = ordinal
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Packet[VideoStream] | None) -> Iterator[tuple[int, VideoFrame]]:
        try:
            frames = self._video.codec_context.decode(packet)
        except MemoryError:
            raise
        except FFmpegError:
            self.refused.append(self._position - 1)
            return
        for frame in frames:
            yield (-1 if frame.pts is None else frame.pts), frame
