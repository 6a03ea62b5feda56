"""Header fields read from bytes."""

from __future__ import annotations

import pytest

from serve_app.video.nal import promised_bytes, temporal_id

HVCC = bytes([1]) + bytes(20) + bytes([0xFF])  # lengths of four bytes
PARAMETERS, SLICE_LAYER_2 = bytes([64, 1, 9]), bytes([2, 3, 9])


def test_temporal_layer_behind_lengths() -> None:
    """In MP4 the first slice's layer is found behind parameter sets."""
    packet = b"\x00\x00\x00\x03" + PARAMETERS + b"\x00\x00\x00\x03" + SLICE_LAYER_2
    assert temporal_id(packet, HVCC) == 2


def test_temporal_layer_behind_start_codes() -> None:
    """In a transport stream the first slice's layer is found behind start codes."""
    packet = b"\x00\x00\x01" + PARAMETERS + b"\x00\x00\x01" + SLICE_LAYER_2
    assert temporal_id(packet, None) == 2


@pytest.mark.parametrize("packet", [b"", b"\x00", b"\xff\xff\xff\xff\x02", b"\x00\x00\x01\x02"])
def test_broken_packets_have_layer_zero(packet: bytes) -> None:
    """Rubbish ends the search instead of raising."""
    assert temporal_id(packet, HVCC) == temporal_id(packet, None) == 0


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"RIFF\x00\x01\x00\x00AVI ", 264),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x84", 14),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\x00\x00\x00\x00\x00\x01\x00", 273),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff", 0),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67", 0),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x00", 0),
        (b"\x00\x00\x00\x18ftyp", 0),
        (b"", 0),
    ],
)
def test_promised_sizes(head: bytes, size: int) -> None:
    """AVI and Matroska say how long the file is; unknown sizes and other files promise nothing."""
    assert promised_bytes(head) == size
