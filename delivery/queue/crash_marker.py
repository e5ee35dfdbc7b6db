"""Crash marker: which message the worker is building, and which it may have sent.

A delivery that crashes the worker can be identified by it, and after a crash it is known which
messages may have arrived.
"""

import contextlib
import os
import struct
from collections.abc import Collection
from pathlib import Path

_BUILDING = struct.Struct(">Q")
_SENT = struct.Struct(">I")  # how many ids follow


class CrashMarker:
    """The id of the message that is being built, and those that are being sent, in a file.

    `crashed_on` is the one that an earlier process left behind, or 0; `sent` are those that it may
    have sent without storing the result.
    """

    def __init__(self, path: Path):
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        self.crashed_on = 0
        self.sent: tuple[int, ...] = ()
        with contextlib.suppress(struct.error):  # a new file, or one of an earlier version
            (self.crashed_on,) = _BUILDING.unpack_from(data)
            (count,) = _SENT.unpack_from(data, _BUILDING.size)
            self.sent = struct.unpack_from(f">{count}Q", data, _BUILDING.size + _SENT.size)

    def close(self) -> None:
        """Close the file, which stays for the next worker."""
        os.close(self._file)

    def record(self, message_id: int) -> None:
        """Write the id of the message that is built, or 0 for none.

        It outlives the process, not the machine.
        """
        with contextlib.suppress(OSError):
            os.pwrite(self._file, _BUILDING.pack(message_id), 0)

    def record_sent(self, message_ids: Collection[int]) -> None:
        """Write the ids of the messages that may have left, and whose results are not stored."""
        data = struct.pack(f">I{len(message_ids)}Q", len(message_ids), *message_ids)
        with contextlib.suppress(OSError):
            os.pwrite(self._file, data, _BUILDING.size)
