# SPDX-License-Identifier: Apache-2.0
"""A runtime API that says what it is told to, byte by byte, and writes down what it was asked."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from typing import IO, Sequence, Tuple, Union

# What becomes of a request: bytes are sent, a number is waited for in seconds, and None ends the connection.
Reply = Sequence[Union[bytes, float, None]]
# Number of the connection, first line and headers, body.
Request = Tuple[int, Tuple[str, ...], str]


class RuntimeApi:
    """Answers requests, on whatever connection they come, by one reply of the script after the other."""

    def __init__(self, script: Sequence[Reply]) -> None:
        self.requests: list[Request] = []
        self._script = list(script)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        # A thread that waits in accept() would keep a closed listener going.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()
            number += 1

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as stream:
            while True:
                try:
                    request = _read(stream)
                except OSError:
                    return
                if request is None:
                    return
                with self._lock:
                    self.requests.append((number, *request))
                    reply: Reply = self._script.pop(0) if self._script else [None]
                for part in reply:
                    if part is None:
                        return
                    if isinstance(part, float):
                        time.sleep(part)
                    else:
                        try:
                            connection.sendall(part)
                        except OSError:
                            return


def _read(stream: IO[bytes]) -> tuple[tuple[str, ...], str] | None:
    """The next request."""
    lines = []
    while True:
        line = stream.readline()
        if not line:
            return None
        if line == b"\r\n":
            break
        lines.append(line.decode("latin-1").rstrip("\r\n"))
    length = 0
    for text in lines:
        name, _, value = text.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    body = stream.read(length)
    # The order of headers says nothing.
    lines[1:] = sorted(text for text in lines[1:] if not text.startswith("Host:"))
    return tuple(lines), shown(body)


def shown(data: bytes) -> str:
    """Bytes as text, large ones by their digest."""
    return repr(data) if len(data) < 2000 else f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()}"


def answer(status: int = 200, body: bytes = b"", **fields: str | None) -> bytes:
    """An answer of the runtime API. Names have underscores in place of hyphens."""
    all_fields: dict[str, str | None] = {"content_length": str(len(body)), "content_type": "application/json", **fields}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in all_fields.items() if value is not None)
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


def event(body: bytes = b"{}", **fields: str | None) -> bytes:
    """An event with what the runtime API always says of it."""
    always = {
        "lambda_runtime_aws_request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "lambda_runtime_deadline_ms": "1700000003500",
        "lambda_runtime_invoked_function_arn": "arn:aws:lambda:eu-west-1:000000000000:function:f",
    }
    return answer(200, body, **{**always, **fields})
