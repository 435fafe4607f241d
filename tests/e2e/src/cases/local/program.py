# SPDX-License-Identifier: Apache-2.0
"""Sockets in local mode, seen by a program that knows nothing of it; prints "ok" if all is as on any Linux."""

import asyncio
import errno
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

ORDERS = json.loads(sys.argv[1])
SERVER = ORDERS["server"]
STREAM = (SERVER, ORDERS["stream"])


def expect_error(expected: int, address: tuple[str, int], timeout: float | None = None) -> None:
    """Connecting to an address fails with this error."""
    with socket.socket() as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(address)
            found: int | None = 0
        except OSError as error:
            found = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno
        assert found == expected, (address, found)


def exchange(sock: socket.socket, message: bytes) -> None:
    """What is sent comes back."""
    sock.sendall(message)
    received = b""
    while len(received) < len(message):
        received += sock.recv(65536)
    assert received == message


def blocking() -> None:
    """A blocking connection, and what it says of itself."""
    with socket.socket() as sock:
        sock.connect(STREAM)
        assert sock.getpeername() == STREAM
        exchange(sock, b"x" * 100_000)
        try:
            sock.connect(STREAM)
        except OSError as error:
            assert error.errno == errno.EISCONN, error
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


def not_blocking() -> None:
    """Connections that are waited for, and their outcome."""
    with socket.socket() as sock:
        sock.setblocking(False)
        assert sock.connect_ex(STREAM) in (0, errno.EINPROGRESS)
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        assert poll.poll(60_000)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert not sock.getblocking() and not sock.get_inheritable()
    with socket.socket() as sock:
        sock.setblocking(False)
        refused = sock.connect_ex((SERVER, ORDERS["closed"]))
        if refused == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            [(_, events)] = poll.poll(60_000)
            assert events & select.POLLERR and events & select.POLLHUP, events
            refused = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert refused == errno.ECONNREFUSED, refused


def options() -> None:
    """What was set before the connection holds for it."""
    with socket.socket() as sock:
        wanted = [
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 33),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 4321),
            (socket.IPPROTO_IP, socket.IP_TTL, 17),
        ]
        for level, name, value in wanted:
            sock.setsockopt(level, name, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        sock.set_inheritable(True)
        sock.bind(("", 0))
        port = sock.getsockname()[1]
        sock.connect(STREAM)
        for level, name, value in wanted:
            assert sock.getsockopt(level, name) == value, (level, name)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 40_000
        assert sock.getsockname()[1] == port
        assert sock.get_inheritable()
        exchange(sock, b"with options")


def errors() -> None:
    """Each reason not to connect has its own error."""
    expect_error(errno.ECONNREFUSED, (SERVER, ORDERS["closed"]))
    expect_error(errno.EACCES, tuple(ORDERS["forbidden"]))
    expect_error(errno.EHOSTUNREACH, (ORDERS["unreachable"], 1))
    expect_error(errno.ENETUNREACH, (ORDERS["no_route"], 1))
    expect_error(errno.ETIMEDOUT, (ORDERS["silent"], 1), timeout=1)
    # The host's loopback, its link-local addresses, and what listens on any of its addresses.
    expect_error(errno.ECONNREFUSED, ("127.0.0.1", ORDERS["loopback"]))
    expect_error(errno.ECONNREFUSED, ("0.0.0.0", ORDERS["loopback"]))
    expect_error(errno.ECONNREFUSED, ("127.0.0.1", ORDERS["admin"]))
    expect_error(errno.ECONNREFUSED, ("169.254.169.254", 80))
    with socket.socket(socket.AF_INET6) as sock:
        mapped = sock.connect_ex((f"::ffff:{ORDERS['forbidden'][0]}", ORDERS["forbidden"][1]))
        assert mapped == errno.EACCES, mapped
    with socket.socket(socket.AF_INET6) as sock:
        sock.connect((f"::ffff:{SERVER}", STREAM[1]))
        exchange(sock, b"mapped")


def own_loopback() -> None:
    """A port of the host's loopback is free here."""
    with socket.create_server(("127.0.0.1", ORDERS["loopback"])) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        with socket.create_connection(server.getsockname()) as sock:
            assert sock.recv(1) == b""
        thread.join()


def datagrams() -> None:
    """Connected datagram sockets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.connect((SERVER, ORDERS["datagram"]))
        sock.send(b"datagram")
        assert sock.recv(100) == b"datagram"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert sock.connect_ex(tuple(ORDERS["forbidden"])) == errno.EACCES


def names() -> None:
    """Names come from nexusd, whoever's resolver asks."""
    found = socket.getaddrinfo(ORDERS["name"], STREAM[1], type=socket.SOCK_STREAM)
    assert (socket.AF_INET, STREAM) in [(entry[0], entry[4]) for entry in found], found
    with socket.create_connection((ORDERS["name"], STREAM[1])) as sock:
        exchange(sock, b"by name")
    # Without the library: libc's own resolver, and programs with one of their own, ask the same server.
    plain = dict(os.environ)
    del plain["LD_PRELOAD"]
    command = ["getent", "ahostsv4", "unknown.nexus.test"]
    assert subprocess.run(command, env=plain, check=False).returncode == 2
    assert "nameserver 169.254.170.2" in pathlib.Path("/etc/resolv.conf").read_text(encoding="ascii")


def children() -> None:
    """Other programs see the same."""
    script = f"import socket; socket.create_connection({STREAM!r}).sendall(b'child')"
    subprocess.run([sys.executable, "-c", script], check=True)


async def event_loop() -> None:
    """Many connections of an event loop."""

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(*STREAM)
        message = b"%d" % number * 1000
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one(number) for number in range(50)))


def gateway() -> None:
    """The function's variables, and its buckets without a key."""
    assert os.environ["GREETING"] == "hello"
    assert "AWS_LAMBDA_RUNTIME_API" not in os.environ
    assert "placeholder" in os.environ["AWS_SECRET_ACCESS_KEY"]
    scope = "Credential=PLACEHOLDER/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"

    def get(path: str) -> bytes:
        request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + path)
        request.add_header("Authorization", f"AWS4-HMAC-SHA256 {scope}")
        with urllib.request.urlopen(request, timeout=60) as response:
            body: bytes = response.read()
            return body

    assert get("/local-test/object") == b"the content"
    try:
        get("/other-bucket/object")
        code = 200
    except urllib.error.HTTPError as error:
        code = error.code
    assert code == 403, "a bucket that the policy does not name"


blocking()
not_blocking()
options()
errors()
own_loopback()
datagrams()
names()
children()
asyncio.run(event_loop())
gateway()
print("ok")
