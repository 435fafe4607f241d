# SPDX-License-Identifier: Apache-2.0
"""What stands for `botocore.response.StreamingBody` while the real one is not loaded."""

from __future__ import annotations

import binascii
import io
import sys

from nexus_sdk import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class _Raw:
    """What stands for urllib3's response: the body without checks."""

    __slots__ = ("_answer", "_position", "closed")

    def __init__(self, answer: channel.Answer) -> None:
        self._answer = answer
        self._position = 0
        self.closed = False

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Up to `amt` bytes, or all."""
        if self.closed:
            return b""
        data = self._answer.read(-1 if amt is None else amt)
        self._position += len(data)
        return data

    def readinto(self, b: bytearray | memoryview) -> int:
        """Fills `b` as far as there are bytes."""
        data = self.read(len(b))
        b[: len(data)] = data
        return len(data)

    @property
    def status(self) -> int:
        """The answer's status."""
        return self._answer.status

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        return self._answer.headers()

    def readable(self) -> bool:
        """Always."""
        return True

    def readlines(self) -> list[bytes]:
        """All lines that are left."""
        return io.BytesIO(self.read()).readlines()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readlines())

    def stream(self, amt: int = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        """Pieces of up to `amt` bytes."""
        while data := self.read(amt):
            yield data

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def close(self) -> None:
        """Gives up what was not read."""
        self.closed = True
        self._answer.close()


class StreamingBody(io.IOBase):
    """The body of an answer. Quirks are botocore's: it does not become `closed`, and `with` gives what is under it."""

    __module__ = "botocore.response"
    _DEFAULT_CHUNK_SIZE = 1024

    def __init__(self, answer: channel.Answer, checksum: Crc32 | None = None, expected: str | None = None) -> None:
        self._raw_stream = _Raw(answer)
        self._content_length = answer.length
        self._amount_read = 0
        self._checksum = checksum
        self._expected = expected

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The real class, for whoever asks by isinstance(): once it is loaded, since nobody holds it before."""
        if "botocore.httpchecksum" not in sys.modules:
            return type(self)
        return _real_class(self._checksum is not None)

    def __del__(self) -> None:
        pass

    def readable(self) -> bool:
        """Always."""
        return self._raw_stream.readable()

    def read(self, amt: int | None = None) -> bytes:
        """Up to `amt` bytes, or all; checks length and checksum at the end."""
        try:
            chunk = self._raw_stream.read(amt)
        except (channel.Broken, OSError) as error:
            raise self._broken(error) from None
        self._took(chunk)
        if amt is None or (not chunk and amt > 0):
            self._verify()
        return chunk

    def readlines(self) -> list[bytes]:  # type: ignore[override]
        """All lines that are left."""
        return self._raw_stream.readlines()

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_chunks(self._DEFAULT_CHUNK_SIZE)

    def __next__(self) -> bytes:
        if chunk := self.read(self._DEFAULT_CHUNK_SIZE):
            return chunk
        raise StopIteration

    next = __next__

    def __enter__(self) -> _Raw:  # type: ignore[override]
        return self._raw_stream

    def __exit__(self, *_: object) -> None:
        self._raw_stream.close()

    def iter_lines(self, chunk_size: int = _DEFAULT_CHUNK_SIZE, keepends: bool = False) -> Iterator[bytes]:
        """Lines, read in pieces of `chunk_size` bytes."""
        pending = b""
        for chunk in self.iter_chunks(chunk_size):
            lines = (pending + chunk).splitlines(True)
            for line in lines[:-1]:
                yield line.splitlines(keepends)[0]
            pending = lines[-1]
        if pending:
            yield pending.splitlines(keepends)[0]

    def iter_chunks(self, chunk_size: int = _DEFAULT_CHUNK_SIZE) -> Iterator[bytes]:
        """Pieces of `chunk_size` bytes."""
        while chunk := self.read(chunk_size):
            yield chunk

    def set_socket_timeout(self, timeout: float) -> None:
        """There is no socket of the program's here; the gateway looks after the store."""

    def tell(self) -> int:
        """Bytes read so far."""
        return self._raw_stream.tell()

    def close(self) -> None:
        """Gives up what was not read."""
        self._raw_stream.close()

    def _took(self, chunk: bytes | memoryview) -> None:
        self._amount_read += len(chunk)
        if self._checksum is not None:
            self._checksum.update(chunk)

    def _verify(self) -> None:
        if self._content_length is not None and self._amount_read != self._content_length:
            from botocore.exceptions import IncompleteReadError

            raise IncompleteReadError(actual_bytes=self._amount_read, expected_bytes=self._content_length)
        if self._checksum is not None and self._checksum.text() != self._expected:
            from botocore.exceptions import FlexibleChecksumError

            raise FlexibleChecksumError(
                error_msg=f"Expected checksum {self._expected} did not match calculated checksum: {self._checksum.text()}"
            )

    def _broken(self, error: Exception) -> Any:
        from botocore.exceptions import ResponseStreamingError

        return ResponseStreamingError(error=error)


class StreamingChecksumBody(StreamingBody):
    """A body whose checksum is known beforehand."""

    __module__ = "botocore.httpchecksum"


def make(
    methods: tuple[str, ...], answer: channel.Answer, checksum: Crc32 | None = None, expected: str | None = None
) -> StreamingBody:
    """The body of an answer, with those `methods` that not every release of botocore has."""
    if "readinto" in methods and not hasattr(StreamingBody, "readinto"):
        StreamingBody.readinto = _readinto  # type: ignore[attr-defined]
    if checksum is None:
        return StreamingBody(answer)
    return StreamingChecksumBody(answer, checksum, expected)


def _readinto(self: StreamingBody, b: bytearray | memoryview) -> int:
    """Fills `b` as far as there are bytes."""
    try:
        count = self._raw_stream.readinto(b)
    except (channel.Broken, OSError) as error:
        raise self._broken(error) from None
    self._took(memoryview(b)[:count])
    if count == 0 and len(b) > 0:
        self._verify()
    return count


def _real_class(checked: bool) -> Any:
    """Botocore's class."""
    import botocore.httpchecksum
    import botocore.response

    return botocore.httpchecksum.StreamingChecksumBody if checked else botocore.response.StreamingBody


class Crc32:
    """A running CRC-32, as S3 writes it: big-endian, in base64."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Takes in more."""
        self._value = binascii.crc32(data, self._value)

    def text(self) -> str:
        """What S3 calls it."""
        return binascii.b2a_base64(self._value.to_bytes(4, "big"), newline=False).decode()
