# SPDX-License-Identifier: Apache-2.0
"""Uploads in parts, as s3transfer makes them: several parts at once, and none left in the store if one of them fails.

A call for which the shim is no good is made by the real client, for the upload that there is.
"""

import _thread
import io
import os

from nexus_sdk import calls, channel, facade
from nexus_sdk.channel import HandOver
from nexus_sdk.client import become_real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from nexus_sdk.client import Client

_MIB = 1024 * 1024
# The size of a part, unless there would be too many of them, and the largest that a part may have.
_PART = 8 * _MIB
_MOST = 10_000
_LARGEST = 5 * 1024 * _MIB
# Parts that are under way at once. s3transfer has ten; what is between here and the store is the gateway's.
_AT_ONCE = 4
# What is read of a file at once.
_PIECE = _MIB // 4
# What is said in all calls of an upload but the one that ends it unmade; all else is said at the beginning.
_EACH_TIME = ("ExpectedBucketOwner", "RequestPayer")
# The first release of s3transfer that has checksums made without being told to.
_WITH_CHECKSUMS = 11


class _Memory:
    """What goes up from memory."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = memoryview(data)[start:]
        self.size = len(self._data)

    def part(self, start: int, size: int) -> "bytes | channel.Pieces":
        """So many bytes, or as many as there are."""
        data = self._data[start : start + size]
        return bytes(data) if len(data) <= _PIECE else _Piece(data)


class _File:
    """What goes up from a file, of which no part is in memory as a whole."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self.size = size

    def part(self, start: int, size: int) -> "bytes | channel.Pieces":
        """So many bytes, or as many as there are."""
        pieces = _FilePieces(self._descriptor, self._start + start, min(size, self.size - start))
        return _joined(pieces) if len(pieces) <= _PIECE else pieces


def source(file: "Any", start: int, size: int) -> "_Memory | _File":
    """What goes up of a file, which itself is not read. Raises `HandOver` if there is no other way to have its bytes."""
    if type(file) is io.BytesIO:
        # Not a copy, and not bound to what becomes of the file.
        return _Memory(file.getvalue(), start)
    if type(file.raw) is not io.FileIO:
        raise HandOver
    return _File(file.fileno(), start, size)


class _Piece(channel.Pieces):
    """A part in memory, in one piece."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> "Iterator[memoryview]":
        yield self._data


class _FilePieces(channel.Pieces):
    """A part of a file."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> "Iterator[memoryview]":
        room = memoryview(bytearray(min(_PIECE, self._size)))
        at, end = self._start, self._start + self._size
        while at < end:
            piece = room[: end - at]
            try:
                count = os.preadv(self._descriptor, [piece], at)
            except OSError:
                count = 0
            if not count:
                # It was longer when it was looked at.
                raise HandOver
            yield piece[:count]
            at += count


def _joined(pieces: channel.Pieces) -> bytes:
    return b"".join([bytes(piece) for piece in pieces])


def upload(client: "Client", source: "_Memory | _File", target: "dict[str, Any]", extra: "dict[str, Any]") -> None:
    """Uploads what is in `source` to a key of a bucket, the `target`.

    Raises `HandOver` if nothing has come of it, and what the image's own SDK raises otherwise.
    """
    _Upload(client, source, target, extra).run()


def size_of_parts(size: int) -> int:
    """How large the parts are of an upload of this size."""
    part = _PART
    while size > part * _MOST:
        part *= 2
    return min(part, _LARGEST)


class _Upload:
    """One upload."""

    def __init__(self, client: "Client", source: "_Memory | _File", target: "dict[str, Any]", extra: "dict[str, Any]") -> None:
        self._client = client
        self._service, self._region, _ = client.__dict__["_nexus"]
        self._source = source
        self._target = target
        self._extra = extra
        self._each_time = {name: extra[name] for name in _EACH_TIME if name in extra}
        self._has_checksums = _has_checksums(self._operation("upload_part"))
        self._size = size_of_parts(source.size)
        # Numbers of parts that nobody has begun, the least at the end.
        self._left = list(range(-(-source.size // self._size), 0, -1))
        self._made: dict[int, dict[str, Any]] = {}
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Makes it."""
        count = len(self._left)
        self._target["UploadId"] = self._create()
        try:
            self._send(min(count, _AT_ONCE))
            parts = [self._made[number] for number in range(1, count + 1)]
            self._call("complete_multipart_upload", {"MultipartUpload": {"Parts": parts}, **self._each_time})
        except BaseException:
            self._abort()
            raise

    def _operation(self, name: str) -> "Any":
        return calls.operation(self._service, self._region, name)

    def _create(self) -> str:
        operation = self._operation("create_multipart_upload")
        arguments = {**self._target, **self._extra}
        if self._has_checksums:
            # Not one of the parameters that programs may give, for algorithms other than this one are the SDK's.
            algorithm = ("header", "x-amz-checksum-algorithm", "string")
            table = {**operation.table, "parameters": {**operation.table["parameters"], "ChecksumAlgorithm": algorithm}}
            operation = calls.Operation(self._service, self._region, table)
            arguments["ChecksumAlgorithm"] = "CRC32"
        created = operation.run(arguments)
        if created is None:
            raise HandOver
        return created["UploadId"]  # type: ignore[no-any-return]

    def _send(self, at_once: int) -> None:
        """Sends all parts, as many at once.

        This thread waits, as s3transfer's does: then what a signal's handler raises is not taken for a call's failure.
        """
        threads: list[_thread.LockType] = []
        try:
            for _ in range(at_once):
                done = _thread.allocate_lock()
                done.acquire()
                try:
                    _thread.start_new_thread(self._work_beside, (done,))
                except RuntimeError:
                    # There is no room for another one.
                    break
                threads.append(done)
            if not threads:
                self._work()
            _wait(threads)
        except BaseException as error:
            # Of a signal's handler. The threads go no further than their part.
            self._errors.append(error)
        _wait(threads)
        if self._errors:
            # Not to be found by its own traceback.
            raise self._errors.pop(0)

    def _work_beside(self, done: "_thread.LockType") -> None:
        self._work()
        done.release()

    def _work(self) -> None:
        """Sends part after part, until there are no more, or one has failed."""
        while not self._errors:
            try:
                number = self._left.pop()
            except IndexError:
                return
            try:
                self._made[number] = self._part(number)
            except BaseException as error:
                self._errors.append(error)

    def _part(self, number: int) -> "dict[str, Any]":
        body = self._source.part((number - 1) * self._size, self._size)
        answer = self._call("upload_part", {"PartNumber": number, "Body": body, **self._each_time})
        made = {"ETag": answer["ETag"], "PartNumber": number}
        if self._has_checksums and "ChecksumCRC32" in answer:
            made["ChecksumCRC32"] = answer["ChecksumCRC32"]
        return made

    def _call(self, name: str, more: "dict[str, Any]") -> "dict[str, Any]":
        """Makes a call of this upload, here or by the real client."""
        arguments = {**self._target, **more}
        result: dict[str, Any] | None = self._operation(name).run(arguments)
        if result is None:
            if isinstance(arguments.get("Body"), channel.Pieces):
                arguments["Body"] = _joined(arguments["Body"])
            result = getattr(become_real(self._client), name)(**arguments)
        return result

    def _abort(self) -> None:
        try:
            self._call("abort_multipart_upload", {})
        except Exception:
            # The program hears of what went wrong first.
            pass


def _wait(locks: "list[_thread.LockType]") -> None:
    for lock in locks:
        with lock:
            pass


def _has_checksums(part: "calls.Operation") -> bool:
    """Whether the release makes checksums of all that goes up. Raises `HandOver` if botocore and s3transfer do not agree."""
    major, _, rest = (facade.release("s3transfer") or "").partition(".")
    minor = rest.partition(".")[0]
    if major != "0" or not minor.isdigit() or (int(minor) >= _WITH_CHECKSUMS) != (part.table["checksum"] is not None):
        raise HandOver
    return int(minor) >= _WITH_CHECKSUMS
