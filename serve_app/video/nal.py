"""Two header fields that FFmpeg does not hand on: HEVC temporal layers and promised file sizes."""

from __future__ import annotations

HEVC_VCL_TYPES = 32  # NAL unit types below are coded slices (ITU-T H.265, table 7-1)
START_CODE = b"\x00\x00\x01"
EBML_ID, SEGMENT_ID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def temporal_id(packet: bytes, extradata: bytes | None) -> int:
    """The temporal layer of an HEVC packet's first slice, 0 to 6; 0 where none is found.

    ``extradata`` that starts with 1 is an ``hvcC`` record: units carry their length in front (ISO/IEC
    14496-15). Otherwise they are separated by start codes.
    """
    if extradata is not None and len(extradata) > 21 and extradata[0] == 1:
        return _in_lengths(packet, (extradata[21] & 3) + 1)
    at = packet.find(START_CODE)
    while 0 <= at < len(packet) - 4:
        if (layer := _layer(packet, at + 3)) is not None:
            return layer
        at = packet.find(START_CODE, at + 3)
    return 0


def _in_lengths(packet: bytes, width: int) -> int:
    at = 0
    while at + width + 2 <= len(packet):
        if (layer := _layer(packet, at + width)) is not None:
            return layer
        at += width + int.from_bytes(packet[at : at + width], "big")
    return 0


def _layer(packet: bytes, at: int) -> int | None:
    kind = packet[at] >> 1 & 0x3F
    return max(0, (packet[at + 1] & 7) - 1) if kind < HEVC_VCL_TYPES else None


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
