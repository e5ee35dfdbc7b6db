"""Write small PNG files: a palette of few colors instead of three bytes for each pixel."""

import base64
import struct
import zlib
from collections import Counter
from functools import cache
from typing import Any

MAX_COLORS = 256
_STEP = 4  # colors this near to each other are one
_READ_PIXELS = """\
async (shot) => {
  const response = await fetch("data:image/png;base64," + shot);
  const bitmap = await createImageBitmap(await response.blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  canvas.drawImage(bitmap, 0, 0);
  const reader = new FileReader();
  reader.readAsDataURL(new Blob([canvas.getImageData(0, 0, bitmap.width, bitmap.height).data]));
  await new Promise((done) => { reader.onload = done; });
  return [bitmap.width, bitmap.height, reader.result];
}
"""


def shrink(page: Any, screenshot: bytes) -> bytes:
    """Return a screenshot as a small PNG; its pixels are read by a page of Chromium."""
    encoded = base64.b64encode(screenshot).decode()
    width, height, pixels = page.evaluate(_READ_PIXELS, encoded)
    return small_png(width, height, base64.b64decode(pixels.partition(",")[2]))


def small_png(width: int, height: int, rgba: bytes) -> bytes:
    """Return the PNG of these pixels, with the most frequent colors only."""
    pixels = [color[0] for color in struct.iter_unpack(">I", rgba)]
    palette = _palette(Counter(pixels))

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


def _palette(counts: Counter[int]) -> list[int]:
    """Return the most frequent colors; of those that are near to each other, the most frequent."""
    near: dict[int, int] = {}
    rounded: Counter[int] = Counter()
    for color, count in counts.most_common():
        near.setdefault(_round(color), color)
        rounded[_round(color)] += count
    return [near[color] for color, _count in rounded.most_common(MAX_COLORS)]


@cache
def _round(color: int) -> int:
    parts = (min(part // _STEP * _STEP + _STEP - 1, 255) for part in color.to_bytes(4))
    return int.from_bytes(bytes(parts))


def _distance(color: int, parts: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(color.to_bytes(4), parts, strict=True))


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum
