"""The bytes of one HTTP request, collected until it is complete (RFC 9112). Opens no socket."""

import re

MAX_HEAD = 64 * 1024  # bytes
MAX_BODY = 1024 * 1024  # bytes; the app refuses a longer one
MAX_CHUNKED_BODY = 2 * MAX_BODY  # bytes with the framing of the chunks
MAX_DISCARDED = 64 * MAX_BODY  # bytes of a body that the app refuses

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?i)(\r\ncontent-length:[ \t]*)([0-9]{1,4000})(?=[ \t]*\r\n)")
_IS_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[^\r\n]*\bchunked[ \t]*\r\n")
_EXPECT = re.compile(rb"(?i)\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[^\r\n]*\r\n")


class RequestBuffer:
    """A request that is arriving.

    `is_complete` becomes True when nothing more is needed to answer it; gunicorn judges whether
    it is valid. `refused_with` is the status to refuse it with at once, or 0. `wants_continue`
    is True once the client waits for `100 Continue`.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self.refused_with = 0
        self.wants_continue = False
        self.received = 0  # bytes, with those that were discarded
        self._data = bytearray()
        self._body_at = 0
        self._end = -1  # of a body with a length, in bytes received
        self._chunk_at = 0  # of the next chunk, 0 without chunks

    def __len__(self) -> int:
        """Return the number of bytes that are kept."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        self.received += len(data)
        if not self._body_at:
            self._data += data
            while self._data.startswith(b"\r\n"):  # RFC 9112 section 2.2
                del self._data[:2]
                self.received -= 2
            self._find_head()
        elif self._chunk_at:
            self._data += data
        else:
            self._data += data[: max(0, self._kept_end() - len(self._data))]
        if self._body_at and not self.refused_with:
            self._find_end()

    def take(self) -> bytes:
        """Return the request; of a body that is too long, as much as shows that it is."""
        if self._end - self._body_at <= MAX_BODY:
            return bytes(self._data)
        head = bytes(self._data[: self._body_at])
        shortened = _LENGTH.sub(rb"\g<1>%d" % (MAX_BODY + 1), head, count=1)
        return shortened + bytes(self._data[self._body_at : self._body_at + MAX_BODY + 1])

    def _find_head(self) -> None:
        end = self._data.find(_HEAD_END)
        if end < 0 or end > MAX_HEAD:
            self.refused_with = 431 if len(self._data) > MAX_HEAD else 0
            return
        self._body_at = end + len(_HEAD_END)
        head = bytes(self._data[: self._body_at])
        lengths = _LENGTH.findall(head)
        is_chunked = bool(_IS_CHUNKED.search(head))
        if len(lengths) + is_chunked != 1:  # no body, or gunicorn refuses the request
            self._end = self._body_at
        elif is_chunked:
            self._chunk_at = self._body_at
        else:
            self._end = self._body_at + int(lengths[0][1])
            if self._end - self._body_at > MAX_DISCARDED:
                self.refused_with = 413
        if _EXPECT.search(head):
            self._answer_expectation(head)

    def _answer_expectation(self, head: bytes) -> None:
        """Remove the expectation, which gunicorn would answer once more."""
        without = _EXPECT.sub(b"", head)
        self._data[: self._body_at] = without
        removed = len(head) - len(without)
        self.received -= removed
        self._body_at -= removed
        self._end -= removed if self._end >= 0 else 0
        self._chunk_at -= removed if self._chunk_at else 0
        self.wants_continue = True

    def _kept_end(self) -> int:
        return min(self._end, self._body_at + MAX_BODY + 1)

    def _find_end(self) -> None:
        if self._chunk_at:
            self._follow_chunks()
        elif self.received >= self._end:
            self.is_complete = True
        self.wants_continue = self.wants_continue and not self.is_complete

    def _follow_chunks(self) -> None:
        """Move to the first chunk that has not arrived whole (RFC 9112 section 7.1)."""
        while True:
            match = _CHUNK_SIZE.match(self._data, self._chunk_at)
            if not match:
                self._judge_chunk_line()
                return
            size = int(match[1], 16)
            if size == 0:
                # After the last chunk come trailers, or an empty line at once.
                end = self._data.find(_HEAD_END, match.end() - 2)
                self.is_complete = end >= 0
                self._refuse_if_too_long(0)
                return
            if self._refuse_if_too_long(size):
                return
            following = match.end() + size + 2
            if following > len(self._data):
                return
            self._chunk_at = following

    def _judge_chunk_line(self) -> None:
        line = bytes(self._data[self._chunk_at : self._chunk_at + 1024])
        if b"\r\n" in line or len(line) == 1024:
            self.is_complete = True  # gunicorn refuses it
        else:
            self._refuse_if_too_long(0)

    def _refuse_if_too_long(self, chunk: int) -> bool:
        if max(len(self._data), self._chunk_at + chunk) - self._body_at > MAX_CHUNKED_BODY:
            self.refused_with = 413
        return bool(self.refused_with)
