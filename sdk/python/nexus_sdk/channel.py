# SPDX-License-Identifier: Apache-2.0
"""Connections to the gateway, one call after the other on each (`docs/sdk.md`), and answers that come over them.

A connection is used by one call at a time; a call that finds none free makes another. A process that was forked, or a VM that
was restored, makes its own.
"""

import _socket
import io
import os
from binascii import b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ADDRESS = ("169.254.170.2", 9002)
# What is asked for at once: small answers come in one piece, and larger ones go on from there.
_PIECE = 64 * 1024
_FIXED = 16
# A body of unknown length comes in chunks.
_IN_CHUNKS = 0xFFFF_FFFF_FFFF_FFFF
# A program may want to die of SIGPIPE, but not of one of the shim's connections.
_QUIETLY = _socket.MSG_NOSIGNAL
# Connections that are kept while nobody uses them.
_KEPT = 16

_free: "list[_socket.socket]" = []


class HandOver(Exception):
    """The image's own SDK has to go on: the gateway went away, or the call is not one for the shim."""


class Pieces:
    """A body of more than one piece, which nobody holds as a whole. It is gone through as often as it is needed."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> "Iterator[memoryview]":
        raise NotImplementedError


class Answer:
    """An answer, whose body is read as one reads urllib3's response: a `StreamingBody` has it in that one's place."""

    closed = False
    _position = 0

    def __init__(self, status: int, retries: int, head: str, length: "int | None", rest: bytes) -> None:
        self.status = status
        self.retries = retries
        self.names, _, values = head.partition("\0\0")
        self.values = values.split("\0")
        # None if it is not known beforehand.
        self.length = length
        # What has come and is not read yet.
        self._rest = rest

    @property
    def headers(self) -> "dict[str, str]":
        """Names and values."""
        names = self.names.split("\0")
        headers = dict(zip(names, self.values))
        if len(headers) < len(names):
            # What comes more than once is one header, as HTTP has it.
            headers = {}
            for name, value in zip(names, self.values):
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    def read(self, amt: "int | None" = None, decode_content: "bool | None" = None) -> bytes:
        """Up to `amt` bytes, or all that are left; nothing at the end. Raises `HandOver` if the gateway goes away."""
        rest = self._rest
        if amt is None or amt < 0:
            self._rest = b""
        else:
            rest, self._rest = rest[:amt], rest[amt:]
        self._position += len(rest)
        return rest

    def readinto(self, b: "bytearray | memoryview") -> int:
        """Fills `b` as far as there are bytes."""
        data = self.read(len(b))
        b[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """Always."""
        return True

    def readlines(self) -> "list[bytes]":
        """All lines that are left."""
        return io.BytesIO(self.read()).readlines()

    def __iter__(self) -> "Iterator[bytes]":
        return iter(self.readlines())

    def stream(self, amt: int = 2**16, decode_content: "bool | None" = None) -> "Iterator[bytes]":
        """Pieces of up to `amt` bytes."""
        while data := self.read(amt):
            yield data

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def close(self) -> None:
        """Gives up what was not read."""
        self.closed = True
        self._rest = b""


class Unfinished(Answer):
    """An answer whose body is still coming."""

    _socket: "Any" = None
    # What is left of a chunk, if the body comes in chunks.
    _chunk: "int | None" = None
    # What is still to come of any other.
    _left = 0

    def comes_over(self, connection: "_socket.socket") -> None:
        """Has the rest come from there."""
        self._socket = connection
        if self.length is None:
            self._chunk = 0
        else:
            self._left = self.length - len(self._rest)

    def read(self, amt: "int | None" = None, decode_content: "bool | None" = None) -> bytes:
        """As of any answer."""
        if self._socket is None:
            return super().read(amt)
        try:
            amount = -1 if amt is None else amt
            data = self._read_left(amount) if self._chunk is None else self._read_chunks(amount)
        except BaseException:
            # Nobody knows any more where in the body the connection is. It may be a signal's handler that raised.
            self.close()
            raise
        self._position += len(data)
        return data

    def readinto(self, b: "bytearray | memoryview") -> int:
        """As of any answer, without a copy in between."""
        if self._socket is None or self._chunk is not None:
            return super().readinto(b)
        try:
            count = self._fill(memoryview(b).cast("B"))
        except BaseException:
            self.close()
            raise
        self._position += count
        return count

    def close(self) -> None:
        """Gives up what was not read, and the connection with it."""
        super().close()
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def __del__(self) -> None:
        if self._socket is not None:
            self.close()

    def _read_left(self, amount: int) -> bytes:
        rest = self._rest
        missing = self._left if amount < 0 else min(amount - len(rest), self._left)
        if missing <= 0:
            self._rest = rest[amount:]
            return rest[:amount]
        if not rest:
            data = _receive(self._socket, missing, _socket.MSG_WAITALL)
            self._came(len(data))
            if len(data) == missing:
                return data
            # A signal came meanwhile.
            self._rest, missing = data, missing - len(data)
        # What the program gets is filled in place, so that there is one copy of it.
        whole = io.BytesIO(bytes(len(self._rest) + missing))
        with whole.getbuffer() as room:
            self._fill(room)
        return whole.getvalue()

    def _fill(self, room: memoryview) -> int:
        """Fills `room` as far as there are bytes, and returns how many."""
        at = min(len(self._rest), len(room))
        room[:at] = self._rest[:at]
        self._rest = self._rest[at:]
        end = min(len(room), at + self._left)
        while at < end:
            count = _receive_into(self._socket, room[at:end])
            at += count
            self._came(count)
        return end

    def _came(self, count: int) -> None:
        """So many bytes came over the connection."""
        self._left -= count
        if not self._left:
            self._finish()

    def _read_chunks(self, amount: int) -> bytes:
        pieces = []
        while amount:
            if not self._chunk:
                self._chunk = int.from_bytes(self._exactly(4), "little")
                if not self._chunk:
                    self._finish()
                    break
            size = self._chunk if amount < 0 else min(amount, self._chunk)
            pieces.append(self._exactly(size))
            self._chunk -= size
            if amount > 0:
                amount -= size
        return b"".join(pieces)

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._rest += _receive(self._socket, max(_PIECE, size - len(self._rest)))
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _finish(self) -> None:
        """Gives the connection back once its answer is in."""
        connection, self._socket = self._socket, None
        _keep(connection)


def checksum_text(value: int) -> str:
    """A CRC-32 as S3 writes it: big-endian, in base64."""
    return b2a_base64(value.to_bytes(4, "big"), newline=False).decode()


def call(head: bytes, body: "bytes | bytearray | Pieces", patience: "float | None" = None) -> Answer:
    """Makes a call, whose head is given without its fixed part, and returns the answer.

    Raises `HandOver` if there is no gateway, if it goes away before it answers, or if that takes over `patience` seconds.
    """
    fixed = (len(head) | len(body) << 64).to_bytes(_FIXED, "little")
    while True:
        reused = True
        try:
            connection = _free.pop()
        except IndexError:
            connection = _connect()
            reused = False
        try:
            if patience is not None:
                connection.settimeout(patience)
            if len(body) <= _PIECE:
                connection.sendall(fixed + head + body, _QUIETLY)  # type: ignore[operator]
            else:
                connection.sendall(fixed + head, _QUIETLY)
                for piece in body if isinstance(body, Pieces) else (body,):
                    connection.sendall(piece, _QUIETLY)
            data = connection.recv(_PIECE)
            if patience is not None:
                connection.settimeout(None)
        except _socket.timeout as error:
            connection.close()
            raise HandOver from error
        except OSError:
            data = b""
        except BaseException:
            connection.close()
            raise
        if data:
            return _answer(connection, data)
        connection.close()
        # One that had been waiting may have ended meanwhile: the VM was restored, nexusd started anew.
        if not reused:
            raise HandOver


def _answer(connection: "_socket.socket", data: bytes) -> Answer:
    """The answer that begins with `data`."""
    try:
        while len(data) < _FIXED:
            data += _receive(connection)
        fixed = int.from_bytes(data[:_FIXED], "little")
        end = _FIXED + (fixed & 0xFFFF_FFFF)
        while len(data) < end:
            data += _receive(connection)
    except BaseException:
        connection.close()
        raise
    status = fixed >> 32 & 0xFFFF
    retries = fixed >> 48 & 0xFFFF
    length = fixed >> 64
    head = data[_FIXED:end].decode("latin-1")
    rest = data[end:]
    if len(rest) == length:
        _keep(connection)
        return Answer(status, retries, head, length, rest)
    answer = Unfinished(status, retries, head, None if length == _IN_CHUNKS else length, rest)
    answer.comes_over(connection)
    return answer


def _connect() -> "_socket.socket":
    try:
        connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
    except OSError as error:
        raise HandOver from error
    try:
        # Whatever the program sets for its own sockets.
        connection.settimeout(None)
        connection.connect(_ADDRESS)
    except OSError as error:
        connection.close()
        raise HandOver from error
    except BaseException:
        connection.close()
        raise
    return connection


def _receive(connection: "Any", amount: int = _PIECE, flags: int = 0) -> bytes:
    try:
        data: bytes = connection.recv(amount, flags)
    except OSError as error:
        raise HandOver from error
    if not data:
        raise HandOver
    return data


def _receive_into(connection: "Any", room: memoryview) -> int:
    try:
        count: int = connection.recv_into(room, 0, _socket.MSG_WAITALL)
    except OSError as error:
        raise HandOver from error
    if not count:
        raise HandOver
    return count


def _keep(connection: "_socket.socket") -> None:
    if len(_free) < _KEPT:
        _free.append(connection)
    else:
        connection.close()


def _forget() -> None:
    """A child must not speak on its parent's connections."""
    for connection in _free:
        connection.close()
    _free.clear()


os.register_at_fork(after_in_child=_forget)
