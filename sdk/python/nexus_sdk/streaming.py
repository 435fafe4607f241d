# SPDX-License-Identifier: Apache-2.0
"""What stands for the bodies of botocore's answers."""

import io
from binascii import crc32

import nexus_sdk
from nexus_sdk.channel import HandOver, checksum_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class StreamingBody(io.IOBase):
    """What stands for `botocore.response.StreamingBody` while the real one is not loaded.

    Quirks are botocore's: it does not become `closed`, and `with` gives what is under it.
    """

    __module__ = "botocore.response"
    _DEFAULT_CHUNK_SIZE = 1024

    def __init__(
        self, raw_stream: "Any", content_length: "int | None", checksum: "int | None" = None, expected: str = ""
    ) -> None:
        self._raw_stream = raw_stream
        self._content_length = content_length
        self._amount_read = 0
        self._checksum = checksum
        self._expected = expected

    @property  # type: ignore[misc]
    def __class__(self) -> "Any":
        """The real class, for whoever asks by isinstance(): once it is loaded, since nobody holds it before."""
        return type(self) if nexus_sdk.active else self._real_class()

    def __del__(self) -> None:
        pass

    def readable(self) -> bool:
        """Always."""
        return self._raw_stream.readable()  # type: ignore[no-any-return]

    def read(self, amt: "int | None" = None) -> bytes:
        """Up to `amt` bytes, or all; checks the length at the end."""
        try:
            chunk: bytes = self._raw_stream.read(amt)
        except HandOver as error:
            raise self._broken(error) from None
        self._amount_read += len(chunk)
        if self._checksum is not None:
            self._checksum = crc32(chunk, self._checksum)
        if amt is None or (not chunk and amt > 0):
            self._verify()
        return chunk

    def readlines(self) -> "list[bytes]":  # type: ignore[override]
        """All lines that are left."""
        return self._raw_stream.readlines()  # type: ignore[no-any-return]

    def __iter__(self) -> "Iterator[bytes]":
        return self.iter_chunks(self._DEFAULT_CHUNK_SIZE)

    def __next__(self) -> bytes:
        if chunk := self.read(self._DEFAULT_CHUNK_SIZE):
            return chunk
        raise StopIteration

    next = __next__

    def __enter__(self) -> "Any":
        return self._raw_stream

    def __exit__(self, *_: object) -> None:
        self._raw_stream.close()

    def iter_lines(self, chunk_size: int = _DEFAULT_CHUNK_SIZE, keepends: bool = False) -> "Iterator[bytes]":
        """Lines, read in pieces of `chunk_size` bytes."""
        pending = b""
        for chunk in self.iter_chunks(chunk_size):
            lines = (pending + chunk).splitlines(True)
            for line in lines[:-1]:
                yield line.splitlines(keepends)[0]
            pending = lines[-1]
        if pending:
            yield pending.splitlines(keepends)[0]

    def iter_chunks(self, chunk_size: int = _DEFAULT_CHUNK_SIZE) -> "Iterator[bytes]":
        """Pieces of `chunk_size` bytes."""
        while chunk := self.read(chunk_size):
            yield chunk

    def set_socket_timeout(self, timeout: float) -> None:
        """There is no socket of the program's here; the gateway looks after the store."""

    def tell(self) -> int:
        """Bytes read so far."""
        return self._raw_stream.tell()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Gives up what was not read."""
        self._raw_stream.close()

    def _readinto(self, b: "bytearray | memoryview") -> int:
        """`readinto`, which not every release of botocore has."""
        try:
            count: int = self._raw_stream.readinto(b)
        except HandOver as error:
            raise self._broken(error) from None
        self._amount_read += count
        if self._checksum is not None:
            self._checksum = crc32(memoryview(b)[:count], self._checksum)
        if not count and len(b) > 0:
            self._verify()
        return count

    def _verify(self) -> None:
        if self._content_length is not None and self._amount_read != self._content_length:
            from botocore.exceptions import IncompleteReadError

            raise IncompleteReadError(actual_bytes=self._amount_read, expected_bytes=self._content_length)
        if self._checksum is None:
            return
        seen = checksum_text(self._checksum)
        if seen != self._expected:
            from botocore.exceptions import FlexibleChecksumError

            raise FlexibleChecksumError(
                error_msg=f"Expected checksum {self._expected} did not match calculated checksum: {seen}"
            )

    def _broken(self, error: "Exception") -> "Any":
        from botocore.exceptions import ResponseStreamingError

        return ResponseStreamingError(error=error)

    def _real_class(self) -> "Any":
        from botocore.response import StreamingBody

        return StreamingBody


class StreamingChecksumBody(StreamingBody):
    """A body whose CRC-32 is known beforehand."""

    __module__ = "botocore.httpchecksum"

    def _real_class(self) -> "Any":
        from botocore.httpchecksum import StreamingChecksumBody

        return StreamingChecksumBody


def fit_bodies(methods: "tuple[str, ...]") -> None:
    """Gives bodies those `methods` that not every release of botocore has."""
    if "readinto" in methods:
        StreamingBody.readinto = StreamingBody._readinto  # type: ignore[attr-defined]
