# SPDX-License-Identifier: Apache-2.0
"""Uploads in parts, against a gateway that fails when it is told to."""

from __future__ import annotations

import io
import os
import pathlib
import signal
import sys
import tempfile
import threading
import tracemalloc
import unittest
from binascii import b2a_base64, crc32
from typing import Any, Iterator
from unittest import mock

import gateway

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from nexus_sdk import channel, facade, parts

MIB = 1024 * 1024
PART = 8 * MIB
TARGET = {"Bucket": "bucket", "Key": "key"}


class RealError(Exception):
    """What the image's own SDK raises."""


class RealClient:
    """A client of the image's own SDK, as far as uploads go."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append((name, arguments))
            if self.fails:
                raise RealError(name)
            return {"ETag": '"real"', "ChecksumCRC32": "real"}

        return call


class PartsTest(unittest.TestCase):
    """Uploads."""

    maxDiff = None

    def setUp(self) -> None:
        """Starts a gateway, and has a client that is not real yet."""
        self.gateway = gateway.Gateway()
        self.addCleanup(self.gateway.close)
        self.real = RealClient()
        self._replace(channel, "_ADDRESS", self.gateway.address)
        self._replace(facade, "release", lambda _: "0.19.3")
        self._replace(parts, "become_real", lambda _: self.real)
        self.addCleanup(channel._forget)

    def _replace(self, module: Any, name: str, value: Any) -> None:
        patch = mock.patch.object(module, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def upload(self, source: Any, extra: dict[str, Any] | None = None, with_checksums: bool = True) -> None:
        """Uploads what is in `source`."""
        client = mock.Mock()
        client.__dict__["_nexus"] = (gateway.service(with_checksums), "eu-north-1", None)
        parts.upload(client, source, dict(TARGET), extra or {})

    def upload_bytes(self, data: bytes, **more: Any) -> None:
        """Uploads what is in memory."""
        self.upload(parts.source(io.BytesIO(data), 0, len(data)), **more)

    def of_part(self, call: gateway.Call) -> int:
        """The number of the part that goes up."""
        return int(call.path.rpartition("partNumber=")[2])

    def refuse(self, status: int | None, operation: str, part: int | None = None) -> None:
        """Has calls of an operation fail, or those of one part."""

        def answer(call: gateway.Call) -> int | None:
            is_it = call.operation == operation and (part is None or self.of_part(call) == part)
            return status if is_it else 200

        self.gateway.answer = answer

    def operations(self) -> list[str]:
        """What was asked of the gateway, apart from parts."""
        return [call.operation for call in self.gateway.calls if call.operation != "UploadPart"]

    def sent(self) -> dict[int, bytes]:
        """The parts that went to the gateway."""
        return {self.of_part(call): call.body for call in self.gateway.named("UploadPart")}

    def test_sizes_of_parts(self) -> None:
        """Never more than ten thousand parts, of no more than 5 GiB."""
        sizes = (PART, 10_000 * PART, 10_000 * PART + 1, 5 << 40, 20_000 * PART + 1, 60 << 40)
        expected = (PART, PART, 2 * PART, 128 * PART, 4 * PART, 5 << 30)
        self.assertEqual(tuple(parts.size_of_parts(size) for size in sizes), expected)

    def test_upload(self) -> None:
        """All parts, with their checksums, in the order that they have in the file."""
        data = os.urandom(MIB) * 17 + b"the end"
        self.upload_bytes(data, extra={"ContentType": "text/plain"})
        self.assertEqual(self.operations(), ["CreateMultipartUpload", "CompleteMultipartUpload"])
        created, completed = (call for call in self.gateway.calls if call.operation != "UploadPart")
        self.assertEqual(created.headers, {"Content-Type": "text/plain", "x-amz-checksum-algorithm": "CRC32"})
        pieces = [data[at : at + PART] for at in range(0, len(data), PART)]
        self.assertEqual(self.sent(), dict(enumerate(pieces, 1)))
        sums = [b2a_base64(crc32(piece).to_bytes(4, "big"), newline=False).decode() for piece in pieces]
        for call in self.gateway.named("UploadPart"):
            self.assertEqual(call.headers["x-amz-checksum-crc32"], sums[self.of_part(call) - 1])
        listed = "".join(
            f'<Part><ETag>"{len(piece)}"</ETag><PartNumber>{number}</PartNumber><ChecksumCRC32>{total}</ChecksumCRC32></Part>'
            for number, (piece, total) in enumerate(zip(pieces, sums), 1)
        )
        self.assertIn(listed, completed.body.decode())

    def test_start(self) -> None:
        """From where the file is, and from there on all."""
        data = os.urandom(PART) + b"the end"
        with tempfile.TemporaryFile("w+b") as both, open(both.fileno(), "rb", closefd=False) as file:
            both.write(data)
            both.flush()
            for given in (io.BytesIO(data), file):
                self.gateway.calls.clear()
                self.upload(parts.source(given, 5, len(data) - 5))
                self.assertEqual(self.sent(), {1: data[5 : PART + 5], 2: b"nd"})

    def test_owner(self) -> None:
        """Whose the bucket has to be is said each time, but not when the upload goes."""
        self.real.fails = True
        self.refuse(500, "CompleteMultipartUpload")
        with self.assertRaises(RealError):
            self.upload_bytes(bytes(PART), extra={"ExpectedBucketOwner": "me", "ContentType": "x"})
        said = [(call.operation, "x-amz-expected-bucket-owner" in call.headers) for call in self.gateway.calls]
        told = [("CreateMultipartUpload", True), ("UploadPart", True), ("CompleteMultipartUpload", True)]
        self.assertEqual(said, [*told, ("AbortMultipartUpload", False)])
        self.assertEqual([call.headers.get("Content-Type") for call in self.gateway.calls], ["x", None, None, None])
        (complete,) = self.real.calls
        self.assertEqual(complete[1]["ExpectedBucketOwner"], "me")

    def test_older_releases(self) -> None:
        """They make no checksums."""
        self._replace(facade, "release", lambda _: "0.10.4")
        self.upload_bytes(bytes(PART), with_checksums=False)
        self.assertEqual([call.headers for call in self.gateway.calls], [{}] * 3)
        self.assertNotIn(b"Checksum", self.gateway.calls[-1].body)

    def test_releases_that_do_not_fit(self) -> None:
        """Nobody knows what they would do."""
        for release, with_checksums in (("0.10.4", True), ("0.19.3", False), ("1.0.0", True), ("", True), (None, True)):
            self._replace(facade, "release", lambda _, release=release: release)
            with self.assertRaises(channel.HandOver):
                self.upload_bytes(bytes(PART), with_checksums=with_checksums)
        self.assertEqual(self.gateway.calls, [])

    def test_create_handed_over(self) -> None:
        """Then there is nothing to be undone."""
        self.refuse(500, "CreateMultipartUpload")
        with self.assertRaises(channel.HandOver):
            self.upload_bytes(bytes(PART))
        self.assertEqual((self.operations(), self.sent(), self.real.calls), (["CreateMultipartUpload"], {}, []))

    def test_part_handed_over(self) -> None:
        """The real client makes that one part."""
        data = os.urandom(PART) + bytes(PART) + b"x"
        for status in (500, None):
            self.real.calls.clear()
            self.gateway.calls.clear()
            self.refuse(status, "UploadPart", 1)
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.flush()
                self.upload(parts._File(file.fileno(), 0, len(data)))
            body = {**TARGET, "UploadId": "id", "PartNumber": 1, "Body": data[:PART]}
            self.assertEqual(self.real.calls, [("upload_part", body)])
            self.assertIn(b'<ETag>"real"</ETag><PartNumber>1</PartNumber>', self.gateway.calls[-1].body)

    def test_part_fails(self) -> None:
        """The upload goes, and the program hears why. Nothing follows the part that failed."""
        self._replace(parts, "_AT_ONCE", 1)
        self.real.fails = True
        for abort in (200, 500):
            self.real.calls.clear()
            self.gateway.calls.clear()

            def answer(call: gateway.Call, abort: int = abort) -> int:
                return {"UploadPart": 500 if "partNumber=2" in call.path else 200, "AbortMultipartUpload": abort}.get(
                    call.operation, 200
                )

            self.gateway.answer = answer
            with self.assertRaisesRegex(RealError, "upload_part"):
                self.upload_bytes(bytes(3 * PART))
            self.assertEqual(self.operations(), ["CreateMultipartUpload", "AbortMultipartUpload"])
            self.assertEqual(sorted(self.sent()), [1, 2])

    def test_complete_fails(self) -> None:
        """The same."""
        self.real.fails = True
        self.refuse(500, "CompleteMultipartUpload")
        with self.assertRaisesRegex(RealError, "complete_multipart_upload"):
            self.upload_bytes(bytes(PART))
        self.assertEqual(self.operations(), ["CreateMultipartUpload", "CompleteMultipartUpload", "AbortMultipartUpload"])

    def test_file_becomes_shorter(self) -> None:
        """The real SDK reads it again, and nothing is left of the first attempt."""
        with tempfile.TemporaryFile() as file:
            file.truncate(2 * PART)
            source = parts._File(file.fileno(), 0, 2 * PART)
            file.truncate(PART + 1)
            with self.assertRaises(channel.HandOver):
                self.upload(source)
        self.assertEqual(self.operations(), ["CreateMultipartUpload", "AbortMultipartUpload"])
        self.assertEqual(self.real.calls, [])

    def test_several_at_once(self) -> None:
        """Four parts are on their way, and no more."""
        four = threading.Barrier(parts._AT_ONCE)
        under_way: list[int] = []
        most: list[int] = []

        def answer(call: gateway.Call) -> int:
            if call.operation == "UploadPart":
                under_way.append(1)
                most.append(len(under_way))
                four.wait(60)
                under_way.pop()
            return 200

        self.gateway.answer = answer
        self.upload_bytes(bytes(8 * PART))
        self.assertEqual(max(most), parts._AT_ONCE)

    def test_no_thread(self) -> None:
        """Where there is no room for another thread, this one does it."""
        with mock.patch("_thread.start_new_thread", side_effect=RuntimeError("can't start new thread")):
            self.upload_bytes(bytes(PART))
        self.assertEqual(self.operations(), ["CreateMultipartUpload", "CompleteMultipartUpload"])

    def test_memory(self) -> None:
        """A part of a file is never in memory as a whole, nor is what a program holds anyhow held twice."""
        with tempfile.TemporaryFile() as file:
            file.truncate(PART)
            held = io.BytesIO(bytes(PART))
            for source in (parts._File(file.fileno(), 0, PART), parts.source(held, 0, PART)):
                for body in (source.part(0, PART), source.part(0, PART)):
                    tracemalloc.start()
                    self.assertEqual(sum(len(piece) for piece in self._pieces(body)), PART)
                    _, peak = tracemalloc.get_traced_memory()
                    tracemalloc.stop()
                    self.assertLess(peak, MIB)

    def _pieces(self, body: Any) -> Iterator[memoryview]:
        self.assertIsInstance(body, channel.Pieces)
        yield from body

    def test_signal(self) -> None:
        """What a signal's handler raises ends the upload, and leaves nothing in the store."""
        rung = threading.Event()

        def ring(*_: object) -> None:
            rung.set()
            # As the system's own errors are, which mean something else in a call.
            raise TimeoutError("rung")

        def answer(call: gateway.Call) -> int:
            if call.operation == "UploadPart":
                os.kill(os.getpid(), signal.SIGUSR1) if not rung.is_set() else None
                rung.wait(60)
            return 200

        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, ring))
        self.gateway.answer = answer
        self._replace(parts, "_AT_ONCE", 1)
        with self.assertRaisesRegex(TimeoutError, "rung"):
            self.upload_bytes(bytes(3 * PART))
        self.assertEqual(self.operations(), ["CreateMultipartUpload", "AbortMultipartUpload"])
        self.assertEqual(list(self.sent()), [1])
        self.assertEqual(self.real.calls, [])


if __name__ == "__main__":
    unittest.main()
