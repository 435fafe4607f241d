# SPDX-License-Identifier: Apache-2.0
"""A gateway that answers uploads in parts as it is told, and writes down what it was asked."""

from __future__ import annotations

import marshal
import socket
import threading
from typing import IO, Any, Callable, NamedTuple

CREATED = b"<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult><ETag>&quot;whole&quot;</ETag></CompleteMultipartUploadResult>"


class Call(NamedTuple):
    """What it was asked."""

    operation: str
    path: str
    headers: dict[str, str]
    body: bytes


# A status, or the connection's end.
Answer = Callable[[Call], "int | None"]


def _operation(name: str, method: str, uri: str, **more: Any) -> bytes:
    """The table of an operation."""
    owner = {"ExpectedBucketOwner": ("header", "x-amz-expected-bucket-owner", "string")}
    places = {
        "Bucket": ("uri", "Bucket", "string"),
        "Key": ("uri", "Key", "string"),
        "UploadId": ("querystring", "uploadId", "string"),
    }
    table = {
        "name": name,
        "method": method,
        "uri": uri,
        "protocol": "rest-xml",
        "query": (),
        "required": ("Bucket", "Key"),
        "parameters": {**places, **owner, **more.pop("parameters", {})},
        "payload_in": False,
        "checksum": None,
        "md5": False,
        "validation": None,
        "members": {},
        "status": None,
        "prefixed": None,
        "expires": False,
        "payload_out": None,
        "document": None,
        "wrapped": None,
        "decoded": None,
        **more,
    }
    return marshal.dumps(table)


def service(with_checksums: bool = True) -> dict[str, Any]:
    """The table of a service that has uploads in parts, of a release with or without checksums."""
    key = "/{Bucket}/{Key+}"
    body = {"Body": ("body", "Body", "blob"), "PartNumber": ("querystring", "partNumber", "integer")}
    parts = {"MultipartUpload": ("document", "CompleteMultipartUpload", "Upload")}
    named = {"ContentType": ("header", "Content-Type", "string")}
    strings = ("ETag", "ChecksumCRC32")
    part = {**{name: ("string", name) for name in strings}, "PartNumber": ("integer", "PartNumber")}
    return {
        "key": f"s3 {with_checksums}",
        "service": "s3",
        "body": (),
        "errors": (),
        "retried": (),
        "shapes": {
            "Upload": ("structure", None, {"Parts": ("list", "Part")}, (), False),
            "list": ("list", None, ("part", None), True),
            "part": ("structure", None, part, (), False),
            "string": ("string", None),
            "integer": ("integer", None),
        },
        "operations": {
            "create_multipart_upload": _operation(
                "CreateMultipartUpload",
                "POST",
                f"{key}?uploads",
                parameters=named,
                document=(("UploadId", "UploadId", "string", None, None),),
            ),
            "upload_part": _operation(
                "UploadPart",
                "PUT",
                key,
                parameters=body,
                payload_in=True,
                checksum="x-amz-sdk-checksum-algorithm" if with_checksums else None,
                members={"etag": (0, "ETag", "string"), "x-amz-checksum-crc32": (1, "ChecksumCRC32", "string")},
            ),
            "complete_multipart_upload": _operation(
                "CompleteMultipartUpload",
                "POST",
                key,
                parameters=parts,
                payload_in=True,
                document=(("ETag", "ETag", "string", None, None),),
            ),
            "abort_multipart_upload": _operation("AbortMultipartUpload", "DELETE", key),
        },
    }


class Server:
    """Serves each connection in a thread of its own."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        # A thread that waits in accept() would keep a closed listener going.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def serve(self, connection: socket.socket) -> None:
        """Answers what comes over a connection."""
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()


class Gateway(Server):
    """Answers calls, on whatever connections they come."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        # What becomes of a call before it is answered.
        self.answer: Answer = lambda _: 200
        self._lock = threading.Lock()
        super().__init__()

    def named(self, operation: str) -> list[Call]:
        """The calls of an operation."""
        with self._lock:
            return [call for call in self.calls if call.operation == operation]

    def serve(self, connection: socket.socket) -> None:
        """Until the other side ends it."""
        with connection, connection.makefile("rb") as stream:
            try:
                while self._answer_one(connection, stream):
                    pass
            except OSError:
                # The other side gave up.
                pass

    def _answer_one(self, connection: socket.socket, stream: IO[bytes]) -> bool:
        call = _read(stream)
        if call is None:
            return False
        with self._lock:
            self.calls.append(call)
        status = self.answer(call)
        if status is None:
            return False
        connection.sendall(_answer(call, status))
        return True


def _read(stream: IO[bytes]) -> Call | None:
    fixed = stream.read(16)
    if len(fixed) < 16:
        return None
    head = stream.read(int.from_bytes(fixed[:4], "little"))
    body = stream.read(int.from_bytes(fixed[8:], "little"))
    if len(body) < int.from_bytes(fixed[8:], "little"):
        return None
    _, _, operation, _, path, *fields = head.decode("latin-1").split("\0")[:-1]
    return Call(operation, path, dict(zip(fields[::2], fields[1::2])), body)


def _answer(call: Call, status: int) -> bytes:
    headers = {"x-amz-request-id": "request"}
    body = b""
    if status == 200 and call.operation == "UploadPart":
        headers["etag"] = f'"{len(call.body)}"'
        if "x-amz-checksum-crc32" in call.headers:
            headers["x-amz-checksum-crc32"] = call.headers["x-amz-checksum-crc32"]
    elif status == 200:
        body = {"CreateMultipartUpload": CREATED, "CompleteMultipartUpload": COMPLETED}.get(call.operation, b"")
    head = "\0".join([*headers, "", *headers.values()]).encode()
    return len(head).to_bytes(4, "little") + status.to_bytes(4, "little") + len(body).to_bytes(8, "little") + head + body
