# SPDX-License-Identifier: Apache-2.0
"""What stands for `runtime_client`, the extension by which awslambdaric speaks to the runtime API.

Its functions take, give and raise what the extension's do. It has no curl: a request is one system call, an answer one, or two
if it is large, and waiting for an event is a receive that nothing wakes.

What it does not cover the image's own extension does, in the same call: releases of awslambdaric that it does not know, texts
that curl has a word in, answers of unknown length.
"""

import _socket
import os
import sys
from _frozen_importlib import ModuleSpec
from _io import BytesIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The first release that it does not know.
_UNKNOWN = (4, 3)
# Since when they have these.
_TENANT = (3, 1)
_REASON_IN_LOG = (4,)
_INVOCATION_ID = (4, 0, 2)

_CONTROLS = bytes([*range(32), 127])
_RUNTIME = b"/2018-06-01/runtime/invocation/"
# What is asked for at once: small events come in one piece, and larger ones go on from there.
_PIECE = 64 * 1024
# The longest number that is read as the length of a body.
_DIGITS = 18
# As long as curl is told to try, in seconds.
_CONNECT_TIMEOUT = 1.0

# What `next` gives of an event's head, in the extension's order, and whether an empty value is None.
_FIELDS: "tuple[tuple[str, bool], ...]" = (
    ("Lambda-Runtime-Aws-Request-Id", False),
    ("Lambda-Runtime-Trace-Id", True),
    ("Lambda-Runtime-Invoked-Function-Arn", False),
    ("Lambda-Runtime-Deadline-Ms", False),
    ("Lambda-Runtime-Client-Context", True),
    ("Content-Type", True),
    ("Lambda-Runtime-Cognito-Identity", True),
    ("Lambda-Runtime-Aws-Tenant-Id", True),
    ("Lambda-Runtime-Invocation-Id", True),
)


class Broken(Exception):
    """What came is no answer, or not all of one."""


# The connection, unless it is in use. Threads that ask at once have one each.
_free: "list[_socket.socket]" = []


def spec(real: ModuleSpec) -> "ModuleSpec | None":
    """The spec of what stands for the extension; None if only the extension itself can reach the runtime API."""
    endpoint = os.environ.get("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    host, _, port = endpoint.partition(":")
    # Names are for curl to look up.
    if not (port.isdigit() and host.count(".") == 3 and host.replace(".", "").isdigit()):
        return None
    stand_in = ModuleSpec(real.name, Loader(real, endpoint), origin=real.origin)  # type: ignore[arg-type]
    stand_in.has_location = True
    return stand_in


class Loader:
    """Makes the module."""

    def __init__(self, real: ModuleSpec, endpoint: str) -> None:
        self._real = real
        self._endpoint = endpoint

    def create_module(self, spec: ModuleSpec) -> None:
        """As any other module is made."""

    def exec_module(self, module: "ModuleType") -> None:
        """Gives it the extension's functions."""
        client = Client(self._real, self._endpoint)
        for function in (client.initialize_client, client.next, client.post_invocation_result, client.post_error):
            setattr(module, function.__name__, function)


class Answer:
    """What the runtime API answered."""

    def __init__(self, status: int, head: "dict[bytes, bytes]", body: "bytes | None") -> None:
        self.status = status
        # By names in lower case.
        self.head = head
        # None if its length was not given.
        self.body = body

    @property
    def is_success(self) -> bool:
        """Whether the runtime API did what it was asked for."""
        return 200 <= self.status <= 299


class Client:
    """The extension's functions, and the connection that they use."""

    def __init__(self, real: ModuleSpec, endpoint: str) -> None:
        host, _, port = endpoint.partition(":")
        self._address = (host, int(port))
        self._host = endpoint.encode()
        self._real_spec = real
        self._real: Any = None
        # As long as it is None, nothing works.
        self._agent: str | None = None
        self._release: tuple[int, ...] = _UNKNOWN
        # Name, name in lower case, whether an empty value is None.
        self._fields: list[tuple[str, bytes, bool]] = []

    def initialize_client(self, *args: object) -> None:
        """Takes the user agent, which ends with awslambdaric's release."""
        if _encoded(args, 1) is None:
            raise RuntimeError("Wrong arguments")
        self._agent = agent = str(args[0])
        self._release = _release(agent)
        known = 9 if self._release >= _INVOCATION_ID else 8 if self._release >= _TENANT else 7
        self._fields = [(name, name.lower().encode(), none) for name, none in _FIELDS[:known]]
        if self._release >= _UNKNOWN:
            self._extension()

    def next(self) -> "tuple[bytes, dict[str, str | int | None]]":
        """Waits for an event, and returns its body and what is said of it."""
        if self._real is not None:
            return self._real.next()  # type: ignore[no-any-return]
        answer = self._exchange(b"GET " + _RUNTIME + b"next HTTP/1.1\r\n", b"Accept: */*\r\n", b"")
        if answer is None:
            _log("Failed to get next invocation. No Response from endpoint")
        elif not answer.is_success:
            _log(f"Failed to get next invocation. Http Response code: {answer.status}")
        elif answer.body is None:
            # Which gets the same event, since nobody has answered it.
            return self._extension().next()  # type: ignore[no-any-return]
        elif b"lambda-runtime-aws-request-id" not in answer.head:
            _log("Failed to find header lambda-runtime-aws-request-id in response")
        else:
            return answer.body, self._event_head(answer.head)
        raise RuntimeError("Failed to get next")

    def post_invocation_result(self, *args: "Any") -> None:
        """Answers an event with a result: its id, the result and the result's type, and in later releases one more id."""
        self._post("response", args, 1)

    def post_error(self, *args: "Any") -> None:
        """Answers an event with an error: its id, the error, its cause for X-Ray, and in later releases one more id."""
        self._post("error", args, None)

    def _post(self, kind: str, args: "tuple[Any, ...]", result_at: "int | None") -> None:
        """Answers an event. If there is a result, it is bytes, and the argument after it is its type."""
        if self._agent is None:
            raise RuntimeError("Client not yet initalized")
        texts = _encoded(args, 4 if self._release >= _INVOCATION_ID else 3, result_at)
        if texts is None:
            raise RuntimeError("Wrong arguments")
        if self._real is not None or not (_is_plain_id(texts[0]) and all(map(_is_plain, texts[2:]))):
            function = "post_invocation_result" if kind == "response" else "post_error"
            getattr(self._extension(), function)(*args)
            return
        request_id, body, third = texts[:3]
        name = b"lambda-runtime-function-xray-error-cause"
        content_type = b"application/json"
        if result_at is not None:
            content_type, third = third or b"text/html", b""
        fields = b"content-type: " + content_type + b"\r\n"
        if third:
            fields += name + b": " + third + b"\r\n"
        if len(texts) > 3 and texts[3]:
            fields += b"lambda-runtime-invocation-id: " + texts[3] + b"\r\n"
        fields += b"content-length: %d\r\n" % len(body)
        line = b"POST " + _RUNTIME + request_id + b"/" + kind.encode() + b" HTTP/1.1\r\n"
        answer = self._exchange(line, b"Accept: */*\r\n" + fields, body)
        if answer is not None:
            if answer.is_success:
                return
            reason = f" {(answer.body or b'').decode(errors='replace')}" if self._release >= _REASON_IN_LOG else ""
            _log(f"Failed to post handler success response. Http response code: {answer.status}.{reason}")
        raise RuntimeError(f"Failed to post invocation {kind}")

    def _event_head(self, head: "dict[bytes, bytes]") -> "dict[str, str | int | None]":
        event: dict[str, str | int | None] = {}
        for name, key, none_if_empty in self._fields:
            value = head.get(key, b"")
            if name == "Lambda-Runtime-Deadline-Ms":
                event[name] = _number(value)
            else:
                event[name] = value.decode() or (None if none_if_empty else "")
        return event

    def _exchange(self, line: bytes, fields: bytes, body: bytes) -> "Answer | None":
        """Sends a request and returns its answer; None if none came."""
        agent = b"User-Agent: " + (self._agent or "").encode() + b"\r\n"
        head = line + b"Host: " + self._host + b"\r\n" + fields + agent + b"\r\n"
        while True:
            reused = True
            try:
                try:
                    connection = _free.pop()
                except IndexError:
                    reused = False
                    connection = _connect(self._address)
            except OSError:
                return None
            try:
                data = _ask(connection, head, body)
                answer = self._answer(connection, data) if data else None
            except (Broken, MemoryError):
                _close(connection)
                return None
            except BaseException as error:
                # Nobody knows any more where it is. It may be a signal's handler that raised, whose errors have no number.
                _close(connection)
                if _is_systems(error):
                    return None
                raise
            # A proxy that had no patience with one that had been waiting says so before it closes it.
            if answer is not None and not (reused and answer.status == 408):
                return answer
            _close(connection)
            # One that had been waiting may have ended meanwhile: the VM was restored, nexusd started anew.
            if not reused:
                return None

    def _answer(self, connection: "_socket.socket", data: bytes) -> Answer:
        """The answer that begins with `data`."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > _PIECE:
                    raise Broken("a head without an end")
                data += _receive(connection)
                continue
            status, head = _parse(data[:end])
            data = data[end + 4 :]
            if status >= 200:
                break
        length = head.get(b"content-length", b"")
        if b"transfer-encoding" in head or not length.isdigit() or len(length) > _DIGITS:
            _close(connection)
            return Answer(status, head, None)
        body = _body(connection, data, int(length))
        if len(data) > len(body) or head.get(b"connection", b"").lower() == b"close" or _free:
            _close(connection)
        else:
            _free.append(connection)
        return Answer(status, head, body)

    def _extension(self) -> "Any":
        """The image's own, which does everything from now on."""
        if self._real is None:
            ours = sys.modules.get(self._real_spec.name)
            loader: Any = self._real_spec.loader
            real = loader.create_module(self._real_spec)
            loader.exec_module(real)
            # It has put itself there.
            if ours is not None:
                sys.modules[self._real_spec.name] = ours
            real.initialize_client(self._agent)
            self._real = real
            _forget()
        return self._real


def _release(agent: str) -> "tuple[int, ...]":
    """The release of awslambdaric that has this user agent."""
    numbers = agent.rpartition("-")[2].split(".")
    if agent.startswith("aws-lambda-python/") and all(number.isdigit() for number in numbers):
        return tuple(map(int, numbers))
    return _UNKNOWN


def _encoded(args: "tuple[Any, ...]", count: int, bytes_at: "int | None" = None) -> "list[bytes] | None":
    """The arguments in UTF-8; None if the extension would not take them. A fourth one may be None."""
    if len(args) != count:
        return None
    texts = []
    for index, value in enumerate(args):
        if index == 3 and value is None:
            value = ""
        if index == bytes_at:
            if not isinstance(value, bytes):
                return None
        elif isinstance(value, str) and "\0" not in value:
            try:
                value = value.encode()
            except UnicodeEncodeError:
                return None
        else:
            return None
        texts.append(value)
    return texts


def _is_plain_id(text: bytes) -> bool:
    """Whether curl would have it in a path as it is."""
    return text.replace(b"-", b"").isalnum()


def _is_plain(text: bytes) -> bool:
    """Whether curl would send it as it is, as the value of a header."""
    return text.strip() == text and text.translate(None, _CONTROLS) == text


def _number(text: bytes) -> int:
    """The number that a text begins with, or zero."""
    if text.isdigit():
        return int(text)
    digits = len(text) - len(text.lstrip(b"0123456789"))
    return int(text[:digits] or b"0")


def _log(text: str) -> None:
    """Says something as the extension does."""
    from time import time

    os.write(1, f"[ERROR] [{int(time() * 1000)}] LAMBDA_RUNTIME {text}\n".encode())


def _parse(head: bytes) -> "tuple[int, dict[bytes, bytes]]":
    """Status and headers, by names in lower case. Of those that come twice it takes the one that the extension does."""
    lines = head.split(b"\r\n")
    version, _, rest = lines[0].partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise Broken("no answer of HTTP/1")
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if colon and (name not in fields or name == b"content-type"):
            fields[name] = value.strip()
    if version == b"HTTP/1.0":
        fields.setdefault(b"connection", b"close")
    return int(rest[:3]), fields


def _connect(address: "tuple[str, int]") -> "_socket.socket":
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
    try:
        connection.settimeout(_CONNECT_TIMEOUT)
        connection.connect(address)
        connection.settimeout(None)
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def _ask(connection: "_socket.socket", head: bytes, body: bytes) -> bytes:
    """Sends a request and returns the beginning of its answer; nothing if the connection ended without one."""
    try:
        _send(connection, head, body)
    except OSError as error:
        # There may be an answer all the same, which came before all was sent.
        if not _is_systems(error):
            raise
    try:
        return connection.recv(_PIECE)
    except OSError as error:
        if not _is_systems(error):
            raise
        return b""


def _is_systems(error: BaseException) -> bool:
    """Whether it is the system that failed, and not a signal's handler that raised, as many do with TimeoutError."""
    return isinstance(error, OSError) and error.errno is not None


def _close(connection: "_socket.socket") -> None:
    try:
        connection.close()
    except OSError:
        # The program has closed it, with all that it found open.
        pass


def _send(connection: "_socket.socket", head: bytes, body: bytes) -> None:
    # As curl sends: a program may want to die of SIGPIPE, but not of this one's.
    quietly = _socket.MSG_NOSIGNAL
    sent = connection.sendmsg((head, body), (), quietly)
    if sent < len(head):
        connection.sendall(head[sent:], quietly)
        sent = len(head)
    if sent < len(head) + len(body):
        connection.sendall(memoryview(body)[sent - len(head) :], quietly)


def _receive(connection: "_socket.socket") -> bytes:
    data = connection.recv(_PIECE)
    if not data:
        raise Broken("the answer broke off")
    return data


def _body(connection: "_socket.socket", begun: bytes, length: int) -> bytes:
    """A body of this length, of which the beginning has come."""
    if len(begun) >= length:
        return begun[:length]
    # What a BytesIO was written into, it gives away as bytes without a copy.
    whole = BytesIO()
    whole.seek(length - 1)
    whole.write(b"\0")
    with whole.getbuffer() as room:
        room[: len(begun)] = begun
        _fill(connection, room, len(begun))
    return whole.getvalue()


def _fill(connection: "_socket.socket", room: memoryview, start: int) -> None:
    """Receives until there is no room left."""
    while start < len(room):
        with room[start:] as rest:
            # Less also if a signal came meanwhile.
            count = connection.recv_into(rest, 0, _socket.MSG_WAITALL)
        if not count:
            raise Broken("the answer broke off")
        start += count


def _forget() -> None:
    """Drops the connection: a child must not speak on its parent's."""
    while _free:
        _free.pop().close()


os.register_at_fork(after_in_child=_forget)
