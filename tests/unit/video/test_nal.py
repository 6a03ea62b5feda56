"""Header fields read from bytes."""

from __future__ import annotations

import pytest

from serve_app.video.nal import is_referenced, promised_bytes, temporal_id

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
    ("codec", "unit", "answer"),
    [
        ("h264", [0x61, 0x9A], True),  # a slice of a P frame
        ("h264", [0x01, 0x9A], False),  # the same of a B frame
        ("h264", [0x65, 0x88], True),  # IDR
        ("h264", [0x06, 0x05], True),  # no slice at all
        ("h264", [0x00, 0x00], True),
        ("hevc", [0x02, 0x01], True),  # TRAIL_R
        ("hevc", [0x00, 0x01], False),  # TRAIL_N
        ("hevc", [0x10, 0x01], False),  # RASL_N
        ("hevc", [0x28, 0x01], True),  # IDR_N_LP: even, and referred to
        ("hevc", [0x4E, 0x01], True),  # no slice at all
        ("vp9", [0x01, 0x01], True),
    ],
)
def test_slices_say_whether_others_refer_to_them(codec: str, unit: list[int], *, answer: bool) -> None:
    """Behind lengths and behind start codes; what says nothing is taken for referred to."""
    records = {"h264": bytes([1, 100, 0, 30, 0xFF]), "hevc": HVCC, "vp9": None}
    head = bytes([9, 0xF0]) if codec == "h264" else bytes([70, 1])  # an access unit delimiter
    in_lengths = b"\x00\x00\x00\x02" + head + b"\x00\x00\x00\x02" + bytes(unit)
    assert is_referenced(in_lengths, records[codec], codec) is answer
    behind_codes = b"\x00\x00\x01" + head + b"\x00\x00\x01" + bytes([*unit, 1])
    assert is_referenced(behind_codes, None, codec) is answer


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
