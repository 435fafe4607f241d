# SPDX-License-Identifier: Apache-2.0
"""Calls of S3."""

from __future__ import annotations

import io
import json
import os
import tempfile
from typing import Any

from record import case, outcome


@case
def get_of_nothing(s3: Any, bucket: str) -> Any:
    """An object that is not there."""
    return s3.get_object(Bucket=bucket, Key="no")


@case
def put_get(s3: Any, bucket: str) -> Any:
    """An object with most of what can be said about it."""
    put = s3.put_object(
        Bucket=bucket,
        Key="a/b.txt",
        Body=b"hello",
        ContentType="text/plain",
        CacheControl="no-cache",
        ContentDisposition="inline",
        ContentLanguage="de",
        Metadata={"One": "1", "two-2": "second"},
    )
    got = s3.get_object(Bucket=bucket, Key="a/b.txt")
    return [put, got, s3.head_object(Bucket=bucket, Key="a/b.txt")]


@case
def bodies(s3: Any, bucket: str) -> Any:
    """Bodies of all kinds."""
    for number, body in enumerate((b"bytes", bytearray(b"array"), "täxt", b"", io.BytesIO(b"file"))):
        s3.put_object(Bucket=bucket, Key=f"body{number}", Body=body)
    s3.put_object(Bucket=bucket, Key="none")
    return [s3.get_object(Bucket=bucket, Key=f"body{number}")["Body"].read() for number in range(5)]


@case
def sizes(s3: Any, bucket: str) -> Any:
    """Bodies around the sizes at which something changes."""
    seen: list[Any] = []
    for size in (0, 1, 65_000, 65_536, 65_537, 262_144, 262_145, 3_000_000):
        data = (b"%d " % size) * (size // 2 + 1)
        s3.put_object(Bucket=bucket, Key="size", Body=data[:size])
        read = s3.get_object(Bucket=bucket, Key="size")["Body"].read()
        seen.append([len(read), read == data[:size]])
    return seen


@case
def keys(s3: Any, bucket: str) -> Any:
    """Keys with every odd character."""
    names = [
        "plain",
        "with space",
        "a+b",
        "ü/ö.txt",
        "per%cent",
        "q?x=1&y",
        "hash#",
        "tilde~",
        "a'b\"c",
        "(x)[y]{z}",
        "=,;:@!$*",
    ]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
    return [s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names]


@case
def ranges(s3: Any, bucket: str) -> Any:
    """Parts of an object."""
    s3.put_object(Bucket=bucket, Key="r", Body=b"0123456789")
    return [s3.get_object(Bucket=bucket, Key="r", Range=part) for part in ("bytes=2-4", "bytes=5-", "bytes=-3")]


@case
def range_outside(s3: Any, bucket: str) -> Any:
    """A part that is not there."""
    s3.put_object(Bucket=bucket, Key="r", Body=b"0123456789")
    return s3.get_object(Bucket=bucket, Key="r", Range="bytes=20-30")


@case
def reading(s3: Any, bucket: str) -> Any:
    """The ways to read a body."""
    data = b"line one\nline two\r\n\nlast" * 200
    s3.put_object(Bucket=bucket, Key="x", Body=data)

    def body() -> Any:
        return s3.get_object(Bucket=bucket, Key="x")["Body"]

    seen: list[Any] = []
    one = body()
    seen.append([one.read(5), one.tell(), one.read(0), len(one.read()), one.read(), one.read(3)])
    seen.append(list(body().iter_lines())[:7])
    seen.append(list(body().iter_lines(chunk_size=7, keepends=True))[:7])
    seen.append([len(chunk) for chunk in body().iter_chunks(1000)])
    seen.append([len(chunk) for chunk in body()])
    seen.append(next(body())[:9])
    seen.append(body().readlines()[:3])
    buffer = bytearray(10)
    seen.append(outcome(lambda: [body().readinto(buffer), bytes(buffer)]))
    with body() as raw:
        seen.append(raw.read(4))
    closed = body()
    closed.read(2)
    closed.close()
    seen.append(
        [list(outcome(closed.read)), list(outcome(closed.read, 3)), closed.closed, closed.readable(), closed.seekable()]
    )
    seen.append(outcome(lambda: io.TextIOWrapper(body(), encoding="utf-8").readline()))
    seen.append(json.load(_json_body(s3, bucket)))
    return seen


def _json_body(s3: Any, bucket: str) -> Any:
    s3.put_object(Bucket=bucket, Key="j", Body=json.dumps({"a": [1, 2, {"b": None}]}))
    return s3.get_object(Bucket=bucket, Key="j")["Body"]


@case
def listing(s3: Any, bucket: str) -> Any:
    """A bucket's objects, with and without prefix and delimiter, in pages."""
    for name in ("a/1", "a/2", "a/b/3", "b 4", "ü5"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x" * len(name))
    return [
        s3.list_objects_v2(Bucket=bucket),
        s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/"),
        s3.list_objects_v2(Bucket=bucket, MaxKeys=2),
        s3.list_objects_v2(Bucket=bucket, StartAfter="a/2"),
        s3.list_objects_v2(Bucket=bucket, Prefix="nothing"),
        s3.list_objects_v2(Bucket=bucket, EncodingType="url"),
        s3.list_objects(Bucket=bucket, Prefix="a"),
    ]


@case
def deleting(s3: Any, bucket: str) -> Any:
    """An object that goes, and one that never was."""
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    return [s3.delete_object(Bucket=bucket, Key="x"), outcome(s3.get_object)]


@case
def deleting_nothing(s3: Any, bucket: str) -> Any:
    """A key that is not there."""
    return s3.delete_object(Bucket=bucket, Key="never")


@case
def head_of_nothing(s3: Any, bucket: str) -> Any:
    """An object that is not there, without a body to say so."""
    return s3.head_object(Bucket=bucket, Key="no")


@case
def head_bucket(s3: Any, bucket: str) -> Any:
    """A bucket."""
    return s3.head_bucket(Bucket=bucket)


@case
def other_bucket(s3: Any, bucket: str) -> Any:
    """A bucket that policy does not name."""
    return s3.get_object(Bucket="elsewhere", Key="x")


@case
def conditions(s3: Any, bucket: str) -> Any:
    """Conditional requests."""
    tag = s3.put_object(Bucket=bucket, Key="c", Body=b"x")["ETag"]
    seen = [outcome(lambda: s3.get_object(Bucket=bucket, Key="c", IfMatch=tag))]
    seen.append(outcome(lambda: s3.get_object(Bucket=bucket, Key="c", IfMatch='"other"')))
    seen.append(outcome(lambda: s3.get_object(Bucket=bucket, Key="c", IfNoneMatch=tag)))
    seen.append(outcome(lambda: s3.head_object(Bucket=bucket, Key="c", IfNoneMatch=tag)))
    return seen


@case
def wrong_arguments(s3: Any, bucket: str) -> Any:
    """What is refused before anything is sent."""
    attempts = [
        lambda: s3.get_object("positional"),
        lambda: s3.get_object(Bucket=bucket),
        lambda: s3.get_object(Bucket=bucket, Key=""),
        lambda: s3.get_object(Bucket=bucket, Key=5),
        lambda: s3.get_object(Bucket=None, Key="x"),
        lambda: s3.get_object(Bucket="not a bucket!", Key="x"),
        lambda: s3.get_object(Bucket=bucket, Key="x", Unknown=1),
        lambda: s3.put_object(Bucket=bucket, Key="x", Body=5),
        lambda: s3.put_object(Bucket=bucket, Key="x", Metadata={"ü": "x"}),
        lambda: s3.put_object(Bucket=bucket, Key="x", Metadata={"x": 1}),
        lambda: s3.list_objects_v2(Bucket=bucket, MaxKeys="2"),
    ]
    return [outcome(attempt) for attempt in attempts]


@case
def handled_errors(s3: Any, bucket: str) -> Any:
    """The ways in which programs catch errors."""
    from botocore.exceptions import BotoCoreError, ClientError

    seen: list[Any] = []
    try:
        s3.get_object(Bucket=bucket, Key="no")
    except s3.exceptions.NoSuchKey as error:
        seen.append(["by name", error.response["Error"]["Code"], isinstance(error, ClientError)])
    try:
        s3.head_object(Bucket=bucket, Key="no")
    except ClientError as error:
        seen.append(["by code", error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]])
    seen.append(s3.exceptions.NoSuchKey.__mro__[1] is ClientError)
    seen.append(s3.exceptions.ClientError is ClientError)
    seen.append(issubclass(ClientError, BotoCoreError))
    try:
        seen.append(s3.exceptions.NoSuchThing)
    except AttributeError as error:
        seen.append(str(error).partition(" object has no ")[2])
    return seen


@case
def files(s3: Any, bucket: str) -> Any:
    """upload_file and its kin."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "up")
        with open(path, "wb") as file:
            file.write(b"content" * 1000)
        seen = [s3.upload_file(path, bucket, "up/file")]
        down = os.path.join(folder, "down")
        seen.append(s3.download_file(bucket, "up/file", down))
        with open(down, "rb") as file:
            seen.append(len(file.read()))
        seen.append(s3.upload_fileobj(io.BytesIO(b"object"), bucket, "up/object"))
        buffer = io.BytesIO()
        seen.append(s3.download_fileobj(bucket, "up/object", buffer))
        seen.append(buffer.getvalue())
        seen.append(outcome(lambda: s3.download_file(bucket, "no", os.path.join(folder, "no"))))
        seen.append(outcome(lambda: s3.upload_file(os.path.join(folder, "absent"), bucket, "x"))["error"]["types"])
        seen.append(outcome(lambda: s3.upload_file(path, "elsewhere", "x"))["error"]["types"])
        seen.append(sorted(os.listdir(folder)))
        s3.upload_file(path, bucket, "typed", ExtraArgs={"ContentType": "image/png", "Metadata": {"a": "b"}})
        seen.append(s3.head_object(Bucket=bucket, Key="typed"))
    return seen


@case
def peculiar_files(s3: Any, bucket: str) -> Any:
    """Files that are not simply written from their beginning on."""
    s3.put_object(Bucket=bucket, Key="x", Body=b"hello")
    buffer = io.BytesIO(b"header--")
    buffer.seek(8)
    seen: list[Any] = [s3.download_fileobj(bucket, "x", buffer), buffer.getvalue(), buffer.tell()]
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "link")
        os.symlink("/dev/null", link)
        seen += [s3.download_file(bucket, "x", link), os.path.islink(link), os.stat(link).st_size]
    return seen


@case
def files_afterwards(s3: Any, bucket: str) -> Any:
    """What is left of files that went up."""
    memory, refused = io.BytesIO(b"1"), io.BytesIO(b"2")
    seen: list[Any] = [s3.upload_fileobj(memory, bucket, "z"), memory.closed]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "up")
        with open(path, "wb") as file:
            file.write(b"content")
        with open(path, "rb") as read:
            seen += [s3.upload_fileobj(read, bucket, "y"), read.closed]
    seen += [outcome(lambda: s3.upload_fileobj(refused, "elsewhere", "z"))["error"]["types"], refused.closed]
    return seen


@case
def large_file(s3: Any, bucket: str) -> Any:
    """A file that goes up in parts."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            file.write(b"0123456789abcdef" * (9 * 65_536))
        s3.upload_file(path, bucket, "large")
        s3.download_file(bucket, "large", path + ".down")
        return [os.path.getsize(path + ".down"), s3.head_object(Bucket=bucket, Key="large")["ContentLength"]]


@case
def not_covered(s3: Any, bucket: str) -> Any:
    """Calls that the shim hands over, and the same client afterwards."""
    held = s3
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    names = [item["Key"] for page in pages for item in page["Contents"]]
    copied = s3.copy_object(Bucket=bucket, Key="y", CopySource={"Bucket": bucket, "Key": "x"})
    return [names, sorted(copied), held is s3, s3.get_object(Bucket=bucket, Key="y"), type(s3).__name__]


@case
def signals(s3: Any, bucket: str) -> Any:
    """A body that is read while signals come."""
    import signal

    data = bytes(range(256)) * 40_000
    s3.put_object(Bucket=bucket, Key="x", Body=data)
    came = []
    signal.signal(signal.SIGALRM, lambda *_: came.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    whole = [s3.get_object(Bucket=bucket, Key="x")["Body"].read() == data for _ in range(10)]
    signal.setitimer(signal.ITIMER_REAL, 0)
    return [whole, bool(came)]


@case
def copying(s3: Any, bucket: str) -> Any:
    """Objects that are copied."""
    s3.put_object(Bucket=bucket, Key="a b/ü+", Body=b"source", Metadata={"x": "1"}, ContentType="text/plain")
    seen = [s3.copy_object(Bucket=bucket, Key="one", CopySource={"Bucket": bucket, "Key": "a b/ü+"})]
    seen.append(s3.copy_object(Bucket=bucket, Key="two", CopySource=f"{bucket}/a b/ü+"))
    seen.append(
        s3.copy_object(
            Bucket=bucket,
            Key="three",
            CopySource={"Bucket": bucket, "Key": "one"},
            MetadataDirective="REPLACE",
            Metadata={"y": "2"},
        )
    )
    seen += [s3.get_object(Bucket=bucket, Key="two")["Body"].read(), s3.head_object(Bucket=bucket, Key="three")]
    seen.append(outcome(lambda: s3.copy_object(Bucket=bucket, Key="x", CopySource={"Bucket": bucket, "Key": "no"})))
    seen.append(outcome(lambda: s3.copy_object(Bucket=bucket, Key="x", CopySource={"Bucket": "elsewhere", "Key": "one"})))
    seen.append(outcome(lambda: s3.copy_object(Bucket=bucket, Key="x", CopySource={"Key": "one"})))
    return [*seen, outcome(lambda: s3.copy_object(Bucket=bucket, Key="x", CopySource=5))]


@case
def deleting_many(s3: Any, bucket: str) -> Any:
    """Objects that go together."""
    names = ["plain", "a & b <c>", "ü 'quoted\"", "kept"]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    seen = [s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names[:2]]})]
    seen.append(s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": names[2]}, {"Key": "never"}], "Quiet": True}))
    seen.append(outcome(lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{}]})))
    seen.append(outcome(lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": "x"})))
    return [*seen, outcome(lambda: s3.delete_objects(Bucket="elsewhere", Delete={"Objects": [{"Key": "x"}]}))]


@case
def tidying(s3: Any, bucket: str) -> Any:
    """An object that is moved, as programs do it."""
    s3.put_object(Bucket=bucket, Key="old & new", Body=b"x")
    copied = s3.copy_object(Bucket=bucket, Key="moved", CopySource={"Bucket": bucket, "Key": "old & new"})
    return [copied, s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "old & new"}]})]


@case
def tags(s3: Any, bucket: str) -> Any:
    """Tags of an object."""
    s3.put_object(Bucket=bucket, Key="x", Body=b"x", Tagging="a=1")
    put = {"TagSet": [{"Key": "b & c", "Value": "<2>"}, {"Key": "d", "Value": ""}]}
    seen = [outcome(lambda: s3.get_object_tagging(Bucket=bucket, Key="x"))]
    seen.append(outcome(lambda: s3.put_object_tagging(Bucket=bucket, Key="x", Tagging=put)))
    seen.append(outcome(lambda: s3.get_object_tagging(Bucket=bucket, Key="x")))
    seen.append(outcome(lambda: s3.delete_object_tagging(Bucket=bucket, Key="x")))
    return [*seen, outcome(lambda: s3.put_object_tagging(Bucket=bucket, Key="x", Tagging={}))]


@case
def versions(s3: Any, bucket: str) -> Any:
    """All versions of a bucket's objects."""
    s3.put_object(Bucket=bucket, Key="a ü", Body=b"x")
    return [
        outcome(lambda: s3.list_object_versions(Bucket=bucket)),
        outcome(lambda: s3.list_object_versions(Bucket=bucket, Prefix="a")),
    ]


@case
def parts(s3: Any, bucket: str) -> Any:
    """An object that goes up in parts, by hand."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large", ContentType="text/plain", Metadata={"a": "b"})
    identifier = upload.pop("UploadId")
    seen = [upload]
    made = []
    for number, data in ((1, b"x" * (5 * 1024 * 1024)), (2, b"the end")):
        part = s3.upload_part(Bucket=bucket, Key="large", UploadId=identifier, PartNumber=number, Body=data)
        seen.append(part)
        made.append({"PartNumber": number, "ETag": part["ETag"]})
    listed = s3.list_parts(Bucket=bucket, Key="large", UploadId=identifier)
    # In an order that is the store's.
    seen += [listed.pop("UploadId") == identifier, sorted(part["Size"] for part in listed.pop("Parts")), sorted(listed)]
    complete = {"Bucket": bucket, "Key": "large", "UploadId": identifier}
    seen.append(s3.complete_multipart_upload(**complete, MultipartUpload={"Parts": made}))
    seen.append(s3.head_object(Bucket=bucket, Key="large"))
    other = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    seen.append(s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=other))
    return [*seen, outcome(lambda: s3.upload_part(Bucket=bucket, Key="never", UploadId=other, PartNumber=1, Body=b"x"))]


@case
def described_files(s3: Any, bucket: str) -> Any:
    """Files that go up with something said about them."""
    said = {"ContentType": "image/png", "Metadata": {"a": "b"}, "CacheControl": "no-cache"}
    s3.upload_fileobj(io.BytesIO(b"1"), bucket, "one", said)
    s3.upload_fileobj(io.BytesIO(b"2"), bucket, "two", ExtraArgs={**said, "ContentLanguage": "de"}, Callback=None)
    seen = [outcome(lambda: s3.upload_fileobj(io.BytesIO(b"3"), bucket, "x", ExtraArgs={"Unknown": 1}))]
    seen.append(
        outcome(lambda: s3.upload_fileobj(io.BytesIO(b"4"), bucket, "x", ExtraArgs={"Metadata": "text"}))["error"]["types"]
    )
    amounts: list[int] = []
    s3.upload_fileobj(io.BytesIO(b"5" * 1000), bucket, "five", Callback=amounts.append)
    return [*seen, sum(amounts), s3.head_object(Bucket=bucket, Key="one"), s3.head_object(Bucket=bucket, Key="two")]
