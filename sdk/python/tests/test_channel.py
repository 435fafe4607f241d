# SPDX-License-Identifier: Apache-2.0
"""Connections to the gateway: how long they are waited for, who uses them, and what a call takes."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway import Server
from nexus_sdk import channel, facade

FIXED = 16


class Gateway(Server):
    """Answers each call with the number of its connection; one with the head `silence` never."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.connections = 0
        # How many were closed by the other side.
        self.closed = threading.Semaphore(0)
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Until the other side ends it."""
        self.connections = number = next(self._numbers)
        with connection:
            while fixed := connection.recv(FIXED, socket.MSG_WAITALL):
                head = connection.recv(int.from_bytes(fixed[:4], "little"), socket.MSG_WAITALL)
                if head != b"silence":
                    body = str(number).encode()
                    connection.sendall((200 << 32 | len(body) << 64).to_bytes(FIXED, "little") + body)
        self.closed.release()


class ChannelTest(unittest.TestCase):
    """Calls to a gateway on this machine."""

    def setUp(self) -> None:
        """Has the shim find it."""
        self.gateway = Gateway()
        self.addCleanup(self.gateway.close)
        for name, value in (("_ADDRESS", self.gateway.address), ("_free", [])):
            patch = mock.patch.object(channel, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        # Before the patches are undone.
        self.addCleanup(channel._forget)

    def test_one_after_the_other(self) -> None:
        """A connection is kept."""
        self.assertEqual([channel.call(b"x", b"").read() for _ in range(3)], [b"1"] * 3)

    def test_patience(self) -> None:
        """An answer that takes too long is given up, and its connection with it. The next call waits as long as it takes."""
        self.assertEqual(channel.call(b"x", b"", 30).read(), b"1")
        self.assertIsNone(channel._free[0].gettimeout())
        with self.assertRaises(channel.HandOver):
            channel.call(b"silence", b"", 0.05)
        self.assertTrue(self.gateway.closed.acquire(timeout=30))
        # It was not tried again on another connection.
        self.assertEqual(self.gateway.connections, 1)
        self.assertEqual(channel.call(b"x", b"").read(), b"2")

    def test_who_waits_for_how_long(self) -> None:
        """What the gateway waits for longer than an SDK does, waits as its client does."""
        invoke, get = {"service": "lambda", "key": "lambda"}, {"service": "s3", "key": "s3"}
        self.assertIs(facade.patient(get, 60), get)
        usual, long = facade.patient(invoke, 60), facade.patient(invoke, 900)
        self.assertEqual((usual["patience"], long["patience"]), (60, 900))
        self.assertIsNone(facade.patient(invoke, None)["patience"])
        self.assertIs(facade.patient(invoke, 60), usual)
        # Operations and classes are kept by it.
        self.assertNotEqual(usual["key"], long["key"])

    def test_fork(self) -> None:
        """A child that inherits a connection makes its own, and its parent's stays as it was."""
        self.assertEqual(channel.call(b"x", b"").read(), b"1")
        child = os.fork()
        if child == 0:
            seen = b""
            try:
                seen = channel.call(b"x", b"").read() + channel.call(b"x", b"").read()
            finally:
                os._exit(0 if seen == b"22" else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(channel.call(b"x", b"").read(), b"1")

    def test_system_calls(self) -> None:
        """A small call is one that sends and one that receives."""
        made: list[str] = []

        class Counted:
            """A connection that writes down what is done with it."""

            def __init__(self, connection: Any) -> None:
                self._connection = connection

            def __getattr__(self, name: str) -> Any:
                made.append(name)
                return getattr(self._connection, name)

        channel.call(b"x", b"").close()
        channel._free[0] = Counted(channel._free[0])  # type: ignore[call-overload]
        self.assertEqual(channel.call(b"x", b"body").read(), b"1")
        self.assertEqual(made, ["sendall", "recv"])


if __name__ == "__main__":
    unittest.main()
