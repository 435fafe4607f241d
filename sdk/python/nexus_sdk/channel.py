# SPDX-License-Identifier: Apache-2.0
"""Connections to the gateway, one call after the other on each (`docs/sdk.md`).

A connection is used by one call at a time; a call that finds none free makes another. A process that was forked, or a VM that
was restored, makes its own.
"""

from __future__ import annotations

import _socket
import os
from _struct import Struct

_ADDRESS = ("169.254.170.2", 9002)
# What is asked for at once: small answers come in one piece, and larger ones go on from there.
_PIECE = 64 * 1024
_FIXED = 16
_fixed_of = Struct("<IHHQ").unpack_from
# A body of unknown length comes in chunks.
_IN_CHUNKS = 0xFFFF_FFFF_FFFF_FFFF
_MSG_WAITALL = _socket.MSG_WAITALL
# Connections that are kept while nobody uses them.
_KEPT = 16

_free: list[_socket.socket] = []


class Broken(Exception):
    """The gateway went away."""


class Answer:
    """An answer whose body is to be read. `ends` says that the connection has been given back."""

    __slots__ = ("_chunk", "_left", "_rest", "_socket", "length", "names", "retries", "status", "values")

    length: int | None
    retries: int
    status: int
    _chunk: int | None
    _left: int

    def __init__(self, connection: _socket.socket, data: bytes) -> None:
        self._socket: _socket.socket | None = None
        while len(data) < _FIXED:
            data += _receive(connection)
        head, self.status, self.retries, length = _fixed_of(data)
        end = _FIXED + head
        while len(data) < end:
            data += _receive(connection)
        self.names, _, values = data[_FIXED:end].decode("latin-1").partition("\0\0")
        self.values = values.split("\0")
        self._rest = rest = data[end:]
        if length == _IN_CHUNKS:
            self._socket = connection
            self._chunk, self._left, self.length = 0, 1, None
            return
        self._chunk = None
        self._left = self.length = length
        if len(rest) < length:
            self._socket = connection
        elif len(_free) < _KEPT:
            _free.append(connection)
        else:
            connection.close()

    def headers(self) -> dict[str, str]:
        """Names and values."""
        return dict(zip(self.names.split("\0"), self.values))

    def _finish(self) -> None:
        """Gives the connection back once its answer is in."""
        connection, self._socket = self._socket, None
        if len(_free) < _KEPT:
            _free.append(connection)  # type: ignore[arg-type]
        else:
            connection.close()  # type: ignore[union-attr]

    def read(self, amount: int | None = -1) -> bytes:
        """Up to `amount` bytes, or all that are left; nothing at the end. Raises `Broken` if the gateway goes away."""
        if self._chunk is not None:
            return self._read_chunks(amount)
        rest, left = self._rest, self._left
        if amount is None or amount < 0 or amount > left:
            amount = left
        if len(rest) >= amount:
            # The usual case: all of it came with the head, and is wanted as a whole.
            data = rest if len(rest) == amount else rest[:amount]
            self._rest = rest[amount:]
            self._left = left - amount
            return data
        wanted = amount - len(rest)
        data = self._receive(wanted)
        if len(data) < wanted or rest:
            data = self._receive_more(rest + data, amount)
        self._rest = b""
        self._left = left - amount
        if self._left == 0:
            self._finish()
        return data

    def _receive(self, wanted: int) -> bytes:
        """Up to `wanted` bytes, and nothing at the end; less also if a signal came meanwhile."""
        data = self._socket.recv(wanted, _MSG_WAITALL) if self._socket is not None else b""
        if not data:
            self._left = 0
            self._rest = b""
            self.close()
            raise Broken
        return data

    def _receive_more(self, data: bytes, amount: int) -> bytes:
        """As many bytes as are missing."""
        pieces = [data]
        missing = amount - len(data)
        while missing > 0:
            piece = self._receive(missing)
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _read_chunks(self, amount: int | None) -> bytes:
        pieces = []
        wanted = amount if amount is not None and amount >= 0 else -1
        while wanted != 0 and self._left:
            if self._chunk == 0:
                self._chunk = int.from_bytes(self._exactly(4), "little")
                if self._chunk == 0:
                    self._left = 0
                    self._finish()
                    break
            size: int = self._chunk if wanted < 0 else min(wanted, self._chunk)  # type: ignore[assignment, type-var]
            pieces.append(self._exactly(size))
            self._chunk -= size  # type: ignore[operator]
            if wanted > 0:
                wanted -= size
        return b"".join(pieces)

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            more = self._socket.recv(max(_PIECE, size - len(self._rest))) if self._socket is not None else b""
            if not more:
                self._left = 0
                self.close()
                raise Broken
            self._rest += more
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """Gives up what was not read, and its connection with it."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def __del__(self) -> None:
        if self._socket is not None:
            self.close()


def call(head: bytes, body: bytes | bytearray) -> Answer:
    """Makes a call, whose head is given without its fixed part, and returns the answer.

    Raises `Broken` if there is no gateway, or if it goes away before it answers.
    """
    fixed = len(head).to_bytes(8, "little") + len(body).to_bytes(8, "little")
    while True:
        reused = bool(_free)
        try:
            connection = _free.pop() if reused else _connect()
        except IndexError:
            continue
        except OSError as error:
            raise Broken from error
        try:
            _send(connection, fixed + head, body)
            data = _receive(connection)
        except (Broken, OSError) as error:
            connection.close()
            # One that had been waiting may have ended meanwhile: the VM was restored, nexusd started anew.
            if reused:
                continue
            raise Broken from error
        try:
            return Answer(connection, data)
        except (Broken, OSError) as error:
            connection.close()
            raise Broken from error


def _connect() -> _socket.socket:
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
    # Whatever the program sets for its own sockets.
    connection.settimeout(None)
    try:
        connection.connect(_ADDRESS)
    except BaseException:
        connection.close()
        raise
    return connection


def _send(connection: _socket.socket, head: bytes, body: bytes | bytearray) -> None:
    if len(body) <= _PIECE:
        connection.sendall(head + body)
    else:
        connection.sendall(head)
        connection.sendall(body)


def _receive(connection: _socket.socket) -> bytes:
    data = connection.recv(_PIECE)
    if not data:
        raise Broken
    return data


def _forget() -> None:
    """A child must not speak on its parent's connections."""
    for connection in _free:
        connection.close()
    _free.clear()


os.register_at_fork(after_in_child=_forget)
