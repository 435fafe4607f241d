# SPDX-License-Identifier: Apache-2.0
"""Files that go up in parts, and those that nobody can look at twice."""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import tempfile
from typing import Any

import boto3
from record import case, failure, outcome

_MIB = 1024 * 1024
# From this size on files go up in parts of it.
_PART = 8 * _MIB
# No two parts are alike.
_LINE = bytes(range(251)) * 16


def _data(size: int) -> bytes:
    return (_LINE * (size // len(_LINE) + 1))[:size]


def _write(folder: str, size: int) -> str:
    path = os.path.join(folder, f"file-{size}")
    with open(path, "wb") as file:
        file.write(_data(size))
    return path


def _stored(s3: Any, bucket: str, key: str) -> list[Any]:
    digest = hashlib.sha256()
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    for piece in body.iter_chunks(_MIB):
        digest.update(piece)
    return [digest.hexdigest(), s3.head_object(Bucket=bucket, Key=key)]


@case
def sizes_of_parts(s3: Any, bucket: str) -> Any:
    """Files around the sizes at which there is another part."""
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (_PART - 1, _PART, _PART + 1, 20 * _MIB):
            path = _write(folder, size)
            seen += [s3.upload_file(path, bucket, f"ü {size}"), *_stored(s3, bucket, f"ü {size}")]
            os.remove(path)
    return seen


@case
def described_parts(s3: Any, bucket: str) -> Any:
    """Files that go up in parts with something said about them."""
    said = {"ContentType": "image/png", "Metadata": {"a": "b"}, "CacheControl": "no-cache", "Tagging": "a=1"}
    kept = dict(said)
    s3.upload_fileobj(io.BytesIO(_data(_PART)), bucket, "one", ExtraArgs=said)
    s3.upload_fileobj(io.BytesIO(_data(_PART)), bucket, "two", {**said, "ContentLanguage": "de"}, None, None)
    seen = [said == kept, *_stored(s3, bucket, "one"), *_stored(s3, bucket, "two")]
    for wrong in ({"Unknown": 1}, {"Metadata": "text"}, {"ContentType": 1}, {"Metadata": {"ü": "x"}}):
        file = io.BytesIO(_data(_PART))
        seen += [outcome(s3.upload_fileobj, file, bucket, "x", wrong), file.closed]
    return seen


@case
def extra_arguments(s3: Any, bucket: str) -> Any:
    """What else may be said of what goes up or comes down."""
    owner = {"ExpectedBucketOwner": "123456789012", "RequestPayer": "requester"}
    seen: list[Any] = []
    for size in (5, _PART):
        data, key = _data(size), f"x {size}"
        said = {**owner, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}
        seen += [s3.upload_fileobj(io.BytesIO(data), bucket, key, ExtraArgs=said), *_stored(s3, bucket, key)]
        for extra in (owner, {"VersionId": "null"}, {"VersionId": "no"}, {"VersionId": 5}, {"ContentType": "x"}):
            down = io.BytesIO()
            seen.append(outcome(s3.download_fileobj, bucket, key, down, extra))
            seen.append([down.getvalue() == data, len(down.getvalue())])
    return seen


@case
def parts_of_file_objects(s3: Any, bucket: str) -> Any:
    """Where files are before and after they go up in parts."""
    seen: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        path = _write(folder, _PART + 1000)
        for start in (5, 1001, _PART + 1000):
            memory = io.BytesIO(_data(_PART + 1000))
            memory.seek(start)
            seen += [s3.upload_fileobj(memory, bucket, "memory"), memory.closed, *_stored(s3, bucket, "memory")]
            seen += [None if memory.closed else [memory.tell(), memory.write(b"more"), len(memory.getvalue())]]
            with open(path, "rb") as file:
                seen += [file.seek(3), file.seek(start), s3.upload_fileobj(file, bucket, "file"), file.closed]
                seen += [*_stored(s3, bucket, "file"), None if file.closed else [file.tell(), file.seek(1), file.read(9)]]
        with open(path, "r+b") as both:
            both.write(b"not there yet")
            seen += [both.seek(2), s3.upload_fileobj(both, bucket, "both"), both.closed, both.tell()]
        with open(path, "w+b") as both:
            seen += [both.write(b"small"), both.seek(1), s3.upload_fileobj(both, bucket, "small"), both.closed]
        wrapped = io.BufferedReader(io.BytesIO(_data(_PART + 1)))
        seen += [s3.upload_fileobj(wrapped, bucket, "wrapped"), wrapped.closed]
        seen += [s3.upload_fileobj(Fileobj=open(path, "rb", buffering=0), Bucket=bucket, Key="raw")]  # noqa: SIM115
    return [
        *seen,
        *_stored(s3, bucket, "both"),
        *_stored(s3, bucket, "small"),
        *_stored(s3, bucket, "wrapped"),
        *_stored(s3, bucket, "raw"),
    ]


@case
def parts_of_resources(_: Any, bucket: str) -> Any:
    """The same by resources."""
    s3 = boto3.resource("s3")
    with tempfile.TemporaryDirectory() as folder:
        path = _write(folder, _PART + 10)
        seen = [s3.Bucket(bucket).upload_file(path, "bucket")]
        seen.append(s3.Object(bucket, "object").upload_file(path, ExtraArgs={"ContentType": "text/plain"}))
    seen.append(s3.Bucket(bucket).upload_fileobj(Fileobj=io.BytesIO(_data(_PART)), Key="other"))
    return [*seen, *(_stored(s3.meta.client, bucket, key) for key in ("bucket", "object", "other"))]


@case
def refused_parts(s3: Any, bucket: str) -> Any:
    """Uploads in parts that do not even begin."""
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (10, _PART):
            path = _write(folder, size)
            for other in ("elsewhere", bucket + "-none", "", "not a bucket!"):
                seen.append(_refused(path, lambda path=path, other=other: s3.upload_file(path, other, "x"), folder))
                for file in (io.BytesIO(_data(size)), open(path, "rb")):  # noqa: SIM115
                    seen.append(_refused(path, lambda file=file, other=other: s3.upload_fileobj(file, other, "x"), folder))
                    seen.append([file.closed, None if file.closed else file.tell()])
                    file.close()
    return seen


def _refused(path: str, function: Any, folder: str) -> Any:
    try:
        function()
    except Exception as error:
        seen = failure(error)
        # The folder has another name each time.
        seen["text"] = seen["text"].replace(folder, "folder")
        return [seen, type(error.__cause__).__name__, type(error.__context__).__name__, error.__suppress_context__]


@case
def passing_files(s3: Any, bucket: str) -> Any:
    """Files that can be read once, and those that are longer than they say."""
    seen: list[Any] = []
    for size in (10, _PART + 10):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with os.fdopen(writing, "wb") as file:
                file.write(_data(size))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            seen += [outcome(s3.upload_fileobj, pipe, bucket, "pipe"), pipe.closed]
        os.waitpid(child, 0)
        seen += _stored(s3, bucket, "pipe")
    seen += [s3.upload_file("/proc/version", bucket, "proc"), *_stored(s3, bucket, "proc")]
    closed = io.BytesIO(b"x")
    closed.close()
    seen += [outcome(s3.upload_fileobj, closed, bucket, "x"), outcome(s3.upload_file, "/tmp", bucket, "x")]
    return [*seen, outcome(s3.upload_file, "a\0b", bucket, "x")]


@case
def paths(s3: Any, bucket: str) -> Any:
    """Names of files that are no strings."""
    with tempfile.TemporaryDirectory() as folder:
        up, down = pathlib.Path(folder, "up"), pathlib.Path(folder, "down")
        up.write_bytes(b"content")
        large = pathlib.Path(_write(folder, _PART))
        seen = [s3.upload_file(up, bucket, "x"), s3.download_file(bucket, "x", down), down.read_bytes()]
        seen += [s3.upload_file(Filename=large, Bucket=bucket, Key="large"), *_stored(s3, bucket, "large")]
        seen += [_refused(str(up), lambda: s3.upload_file(up, "elsewhere", "x"), folder)]
        for wrong in (b"up", 5, pathlib.Path(folder, "none"), pathlib.Path(folder)):
            seen.append(_refused("", lambda wrong=wrong: s3.upload_file(wrong, bucket, "x"), folder))
        return seen


@case
def downloads_into_files(s3: Any, bucket: str) -> Any:
    """Files that are open, and what is in them before they are closed."""
    seen: list[Any] = []
    for size in (0, 5, 300_000, 3 * _MIB + 5):
        s3.put_object(Bucket=bucket, Key="x", Body=_data(size))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "down")
            for mode in ("wb", "r+b", "w+b", "ab", "a+b"):
                for start in (0, 3):
                    with open(path, mode) as file:
                        file.seek(start)
                        seen += [s3.download_fileobj(bucket, "x", file), file.closed, file.tell(), os.path.getsize(path)]
                    seen += [mode, os.path.getsize(path), hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()]
            with open(path, "r+b") as file:
                seen += [outcome(s3.download_fileobj, bucket, "none", file)["error"]["types"], file.tell(), file.closed]
            with open(path, "rb") as file:
                seen += [outcome(s3.download_fileobj, bucket, "x", file)["error"]["types"]]
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb") as end:
        s3.put_object(Bucket=bucket, Key="x", Body=_data(9))
        seen.append(s3.download_fileobj(bucket, "x", end))
        end.close()
        seen.append(pipe.read())
    closed = io.BytesIO()
    closed.close()
    return [*seen, outcome(s3.download_fileobj, bucket, "x", closed)["error"]["types"]]
