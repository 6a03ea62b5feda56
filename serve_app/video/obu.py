"""Which AV1 packets no frame refers to, read from their headers (AV1 specification, 5.3, 5.5 and 5.9.2).

dav1d decides once for a whole stream what it leaves out, so such packets are left out before it: a frame that
refreshes no reference slot changes nothing that is decoded after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE, FRAME_HEADER, FRAME, REDUNDANT_HEADER = 1, 3, 6, 7
KEY, INTRA_ONLY, SWITCH = 0, 2, 3
SELECT = 2  # each frame says for itself


class UnreadError(Exception):
    """What is not read here, or ends too early."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """What decides where a frame's header says which slots it refreshes."""

    id_bits: int
    screen_content: int
    integer_mv: int
    order_hint_bits: int


class ObuHeaders:
    """Knows the sequence header that was last seen, at first that of ``extradata``, an ``av1C`` record."""

    def __init__(self, extradata: bytes | None) -> None:
        self._sequence: Sequence | None = None
        self.is_referenced((extradata or b"")[4:])

    def is_referenced(self, packet: bytes) -> bool:
        """Whether other frames may refer to this packet's; packets come in decode order."""
        frames: list[bool] = []
        try:
            for kind, body in _units(packet):
                if kind == SEQUENCE:
                    self._sequence = None
                    self._sequence = _sequence(_Bits(body))
                elif kind in (FRAME_HEADER, FRAME, REDUNDANT_HEADER):
                    if self._sequence is None:
                        return True
                    frames.append(_refreshes(_Bits(body), self._sequence))
        except UnreadError:
            return True
        return any(frames) or not frames


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data[:64], 0

    def take(self, count: int) -> int:
        end = self._at + count
        if end > 8 * len(self._data):
            raise UnreadError
        whole = int.from_bytes(self._data, "big") >> (8 * len(self._data) - end)
        self._at = end
        return whole & ((1 << count) - 1)


def _units(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """Each unit's kind and what is in it."""
    at = 0
    while at < len(packet):
        head = packet[at]
        at += 2 if head & 4 else 1
        size = len(packet) - at
        if head & 2:
            size, at = _leb128(packet, at)
        yield head >> 3 & 15, packet[at : at + min(size, 64)]
        at += size


def _leb128(packet: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(packet[at : at + 8]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise UnreadError


def _sequence(bits: _Bits) -> Sequence:
    bits.take(4)  # profile, still picture
    if bits.take(2):  # a still picture's short header, or timing: rare, and not read here
        raise UnreadError
    delays = bits.take(1)
    for _ in range(bits.take(5) + 1):  # operating points
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delays and bits.take(1):
            bits.take(4)
    width, height = bits.take(4) + 1, bits.take(4) + 1
    bits.take(width)
    bits.take(height)
    id_bits = bits.take(4) + bits.take(3) + 3 if bits.take(1) else 0
    bits.take(7)  # block size, filters, prediction
    ordered = bits.take(1)
    bits.take(2 * ordered)
    screen_content = SELECT if bits.take(1) else bits.take(1)
    integer_mv = SELECT if not screen_content or bits.take(1) else bits.take(1)
    return Sequence(id_bits, screen_content, integer_mv, bits.take(3) + 1 if ordered else 0)


def _refreshes(bits: _Bits, sequence: Sequence) -> bool:
    """Whether a frame is kept in a slot, or one that is kept is shown."""
    if bits.take(1):
        return True
    kind, shown = bits.take(2), bits.take(1)
    if not shown:
        bits.take(1)
    if kind == SWITCH or (kind == KEY and shown):
        return True
    resilient = bits.take(1)
    bits.take(1)
    screen_content = bits.take(1) if sequence.screen_content == SELECT else sequence.screen_content
    if screen_content and sequence.integer_mv == SELECT:
        bits.take(1)
    bits.take(sequence.id_bits + 1 + sequence.order_hint_bits)
    if not (resilient or kind in (KEY, INTRA_ONLY)):
        bits.take(3)
    return bool(bits.take(8))
