"""Header fields that FFmpeg does not hand on: HEVC layers, what slices are referred to, promised sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

H264_SLICES = range(1, 6)  # NAL unit types that are coded slices (ITU-T H.264, table 7-1)
HEVC_SLICES = range(32)  # the same (ITU-T H.265, table 7-1)
HEVC_LEADING_PAIRS = 16  # below, even types are not referred to within their layer
START_CODE = b"\x00\x00\x01"
EBML_ID, SEGMENT_ID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def temporal_id(packet: bytes, extradata: bytes | None) -> int:
    """The temporal layer of an HEVC packet's first slice, 0 to 6; 0 where none is found."""
    for at in _units(packet, extradata, width_at=21):
        if packet[at] >> 1 & 0x3F in HEVC_SLICES:
            return max(0, (packet[at + 1] & 7) - 1)
    return 0


def is_referenced(packet: bytes, extradata: bytes | None, codec: str) -> bool:
    """Whether other frames may refer to an H.264 or HEVC packet's; so where no slice says that none does."""
    if codec == "h264":
        kinds = ((packet[at] & 0x1F, packet[at] >> 5 & 3) for at in _units(packet, extradata, width_at=4))
        return next((bool(order) for kind, order in kinds if kind in H264_SLICES), True)
    if codec == "hevc":
        types = (packet[at] >> 1 & 0x3F for at in _units(packet, extradata, width_at=21))
        return next((t >= HEVC_LEADING_PAIRS or t % 2 == 1 for t in types if t in HEVC_SLICES), True)
    return True


def _units(packet: bytes, extradata: bytes | None, width_at: int) -> Iterator[int]:
    """Where the NAL units begin, each with two bytes at least.

    ``extradata`` that starts with 1 is an ``avcC`` or ``hvcC`` record: units carry their length in front
    (ISO/IEC 14496-15), as wide as its byte ``width_at`` says. Otherwise start codes separate them.
    """
    if extradata is not None and len(extradata) > width_at and extradata[0] == 1:
        width, at = (extradata[width_at] & 3) + 1, 0
        while at + width + 2 <= len(packet):
            yield at + width
            at += width + int.from_bytes(packet[at : at + width], "big")
        return
    at = packet.find(START_CODE)
    while 0 <= at < len(packet) - 4:
        yield at + 3
        at = packet.find(START_CODE, at + 3)


def promised_bytes(head: bytes) -> int:
    """The file size that the first bytes of a Matroska or AVI file promise; 0 where none is promised."""
    if head[:4] == b"RIFF" and len(head) >= 8:
        return 8 + int.from_bytes(head[4:8], "little")
    at = head.find(SEGMENT_ID)
    if not head.startswith(EBML_ID) or at < 0 or at + 5 > len(head):
        return 0
    # An EBML size is one bit of marker for each of its bytes; all ones mean unknown.
    width = 9 - head[at + 4].bit_length()
    if width > 8 or at + 4 + width > len(head):
        return 0
    size = int.from_bytes(head[at + 4 : at + 4 + width], "big") & ((1 << 7 * width) - 1)
    return 0 if size == (1 << 7 * width) - 1 else at + 4 + width + size
