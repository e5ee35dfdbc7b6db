"""Write small PNG files: a palette of few colors instead of three bytes for each pixel."""

import struct
import zlib
from collections import Counter
from functools import cache

MAX_COLORS = 256
_STEP = 4  # colors this near to each other are one


def small_png(width: int, height: int, rgba: bytes) -> bytes:
    """Return the PNG of these pixels, with the most frequent colors only."""
    pixels = [color[0] for color in struct.iter_unpack(">I", rgba)]
    rounded = Counter(_round(color) for color in pixels)
    palette = [color for color, _count in rounded.most_common(MAX_COLORS)]

    @cache
    def nearest(color: int) -> int:
        parts = color.to_bytes(4)
        return min(range(len(palette)), key=lambda index: _distance(palette[index], parts))

    indexes = bytes(nearest(color) for color in pixels)
    lines = (indexes[start : start + width] for start in range(0, width * height, width))
    data = b"".join(b"\0" + line for line in lines)
    colors = b"".join(color.to_bytes(4)[:3] for color in palette)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [_chunk(b"IHDR", header), _chunk(b"PLTE", colors)]
    parts += [_chunk(b"IDAT", zlib.compress(data, 9)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@cache
def _round(color: int) -> int:
    parts = (min(part // _STEP * _STEP + _STEP - 1, 255) for part in color.to_bytes(4))
    return int.from_bytes(bytes(parts))


def _distance(color: int, parts: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(color.to_bytes(4), parts, strict=True))


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum
