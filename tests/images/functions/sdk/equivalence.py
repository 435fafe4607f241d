# SPDX-License-Identifier: Apache-2.0
"""What programs see of boto3, call by call, written down as plain data.

Run once with the shim and once with the image's own SDK, against the same kind of store: what is written down has to be the
same. Each case gets a client and a bucket of its own; what it returns is written down, or the exception that it raises, and at
the end what the bucket then holds.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

# Of a client and a bucket.
Case = Callable[[Any, str], Any]

CASES: dict[str, Case] = {}

# Headers that say when, where or by whom an answer was made.
_VOLATILE = {"date", "connection", "server", "x-amz-request-id", "x-amz-id-2", "transfer-encoding"}
# Members that do.
_TIMES = {"LastModified"}


def case(function: Case) -> Case:
    """Registers a case."""
    CASES[function.__name__] = function
    return function


def plain(value: Any, key: str | None = None) -> Any:
    """`value` as JSON has it, with types where JSON has none, without what differs from run to run."""
    if isinstance(value, dict):
        if key == "HTTPHeaders":
            value = {name: text for name, text in value.items() if name not in _VOLATILE}
            return {name: "a time" if name == "last-modified" else text for name, text in sorted(value.items())}
        if key == "Metadata":
            # In no order that the store keeps.
            value = dict(sorted(value.items()))
        # As a list: the order of a result is part of it.
        return [
            [type(value).__name__ if type(value) is not dict else "dict"],
            *[[name, plain(item, name)] for name, item in value.items() if name not in ("RequestId", "HostId")],
        ]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *[plain(item, key) for item in value]]
    if isinstance(value, datetime.datetime):
        zone = repr(value.tzinfo)
        return ["a time", zone] if key in _TIMES else ["time", value.isoformat(), zone]
    if isinstance(value, (bytes, bytearray)):
        return [type(value).__name__, bytes(value).decode("latin-1")]
    if value is None or isinstance(value, (bool, int, float, str)):
        return [type(value).__name__, value]
    if hasattr(value, "read"):
        return ["body", plain(value.read())]
    return ["object", type(value).__name__]


def failure(error: Exception) -> dict[str, Any]:
    """An exception as plain data."""
    kinds = [kind.__module__ + "." + kind.__qualname__ for kind in type(error).__mro__]
    seen: dict[str, Any] = {"types": kinds, "text": str(error), "response": plain(getattr(error, "response", None))}
    seen["operation"] = getattr(error, "operation_name", None)
    return seen


def outcome(function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """What a case came to."""
    try:
        return {"result": plain(function(*arguments))}
    except Exception as error:
        return {"error": failure(error)}


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
def looks(s3: Any, bucket: str) -> Any:
    """What a program sees of a client and of the module."""
    import boto3
    import botocore

    kinds = [kind.__name__ for kind in type(s3).__mro__[:1]]
    region = s3.meta.region_name
    seen = [kinds, region, s3.meta.endpoint_url, repr(s3)[:27], boto3.__version__, botocore.__version__, boto3.__name__]
    from botocore.client import BaseClient

    seen.append(isinstance(s3, BaseClient))
    seen.append(isinstance(boto3.Session(), boto3.session.Session))
    body = s3.put_object(Bucket=bucket, Key="x", Body=b"x") and s3.get_object(Bucket=bucket, Key="x")["Body"]
    from botocore.response import StreamingBody

    seen.append(isinstance(body, StreamingBody))
    return seen


@case
def configured(s3: Any, bucket: str) -> Any:
    """Clients with a configuration of their own."""
    import boto3
    from botocore.client import Config as OfClient
    from botocore.config import Config

    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    seen: list[Any] = [Config is OfClient, repr(Config), sorted(vars(Config(connect_timeout=5)))]
    seen.append(outcome(lambda: Config(unknown=1)))
    seen.append(outcome(lambda: Config(retries={"max_attempts": -1})))
    for settings in (
        {"retries": {"max_attempts": 3, "mode": "standard"}, "connect_timeout": 2, "user_agent_extra": "x"},
        {"signature_version": "s3v4", "s3": {"addressing_style": "path"}, "read_timeout": 900},
        {"region_name": "eu-central-1"},
        {"retries": {"max_attempts": 0}},
        {"read_timeout": 5, "max_pool_connections": 50},
        {"s3": {"use_accelerate_endpoint": False}, "parameter_validation": False},
    ):
        config = Config(**settings)
        client = boto3.client("s3", config=config)
        got = client.get_object(Bucket=bucket, Key="x")
        seen.append([got, client.meta.region_name, outcome(lambda client=client: client.get_object(Bucket=bucket, Key="no"))])
        merged = config.merge(Config(connect_timeout=7))
        seen.append([merged.connect_timeout, sorted(merged._user_provided_options)])
    from botocore.client import BaseClient

    seen.append([isinstance(client, BaseClient), type(client.meta.config) is Config])
    return seen


@case
def names(s3: Any, bucket: str) -> Any:
    """What programs import by name, and what it is afterwards."""
    from boto3.dynamodb.conditions import Attr, Key
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

    built = (Key("id").eq("a") & Attr("n").gt(5)).get_expression()
    number = TypeSerializer().serialize({"a": [1, "b", None, {b"c"}]})
    seen = [built["format"], number, TypeDeserializer().deserialize(number), s3.meta.region_name]
    import boto3.session
    import botocore.client
    import botocore.compat
    import botocore.endpoint

    modules = (boto3, boto3.compat, botocore, botocore.client, botocore.compat, botocore.endpoint)
    seen += [[module.__name__, hasattr(module, "__getattr__"), type(module.__spec__.loader).__name__] for module in modules]
    from boto3.dynamodb import conditions, types

    seen.append([conditions.Key is Key, types.TypeSerializer is TypeSerializer, botocore.endpoint.DEFAULT_TIMEOUT])
    return seen


@case
def sessions(s3: Any, bucket: str) -> Any:
    """Sessions, their clients, and what they are once the SDK is there."""
    import boto3
    from boto3.session import Session

    class Derived(boto3.Session):  # type: ignore[misc]
        """A program's own."""

    plain, placed = boto3.Session(), Session(region_name="eu-west-3")
    seen: list[Any] = [Session is boto3.Session, Session.__module__, placed.region_name, plain.region_name]
    for session in (plain, placed):
        client = session.client("s3")
        client.put_object(Bucket=bucket, Key="x", Body=b"x")
        seen.append([client.meta.region_name, client.get_object(Bucket=bucket, Key="x")])
        seen.append(session.client("s3", region_name="us-west-1").meta.region_name)
    seen.append([repr(plain), repr(placed), plain.profile_name, sorted(vars(placed))])
    seen.append([isinstance(placed, boto3.Session), type(placed) is Session, boto3.session.Session is Session])
    seen.append([repr(Derived(region_name="us-east-2")), Derived().client("s3").get_object(Bucket=bucket, Key="x")])
    seen.append(outcome(lambda: Session(profile_name="nobody")))
    seen.append(boto3.Session(aws_access_key_id="a", aws_secret_access_key="b").get_credentials().access_key)
    return seen


@case
def patched_session(s3: Any, bucket: str) -> Any:
    """A session's method that a test has put its own in place of."""
    from unittest import mock

    import boto3

    session = boto3.Session()
    with mock.patch.object(boto3.Session, "client", return_value="mine"):
        seen = [boto3.client("s3"), session.client("s3"), boto3.Session().client("sqs")]
    with mock.patch("boto3.session.Session.get_credentials", return_value="none"):
        seen.append(boto3.Session().get_credentials())
    seen.append(type(session.client("s3")).__name__)
    return seen


@case
def resources(s3: Any, bucket: str) -> Any:
    """Buckets and objects."""
    import boto3

    service = boto3.resource("s3")
    box = service.Bucket(bucket)
    one = service.Object(bucket, "one")
    seen: list[Any] = [one.put(Body=b"one", ContentType="text/plain"), one.get(), one.get(Range="bytes=1-1")]
    two = box.put_object(Key="two", Body=b"second")
    seen.append([two.get()["Body"].read(), two.bucket_name, two.key, box.name, type(two).__name__])
    seen.append(outcome(lambda: box.Object("no").get()))
    seen.append([box.upload_fileobj(io.BytesIO(b"up"), "three"), service.Object(bucket_name=bucket, key="three").get()])
    buffer = io.BytesIO()
    seen.append([box.Object("three").download_fileobj(buffer), buffer.getvalue(), one.delete()])
    with tempfile.TemporaryDirectory() as folder:
        box.download_file("two", os.path.join(folder, "two"))
        two.upload_file(os.path.join(folder, "two"), ExtraArgs={"ContentType": "image/gif"})
        service.Object(bucket, "four").upload_file(os.path.join(folder, "two"))
        seen.append(outcome(lambda: two.download_file()))
    client = service.meta.client
    seen.append([client.head_object(Bucket=bucket, Key="two"), two.meta.service_name, two.meta.identifiers])
    seen.append(sorted(item.key for item in box.objects.filter(Prefix="t")))
    seen.append([repr(box), two.content_length, repr(two), two == service.Object(bucket, "two"), hash(two) == hash(two)])
    seen.append(
        [
            service.meta.client is client,
            box.meta.client is two.meta.client,
            type(client).__name__,
            type(two).__mro__[0].__name__,
        ]
    )
    seen += [outcome(service.Object, bucket), outcome(lambda: service.Bucket(None)), outcome(lambda: service.Bucket("a", "b"))]
    from boto3.resources.base import ServiceResource

    seen.append(
        [isinstance(two, ServiceResource), isinstance(service, ServiceResource), isinstance(box.Object("x"), ServiceResource)]
    )
    return seen


def _real(region: str = "us-east-1", **settings: Any) -> Any:
    """A client that is the image's own from the beginning."""
    import boto3
    import botocore.session  # noqa: F401

    return boto3.Session(region_name=region).client("s3", **settings)


@case
def real_clients(s3: Any, bucket: str) -> Any:
    """Calls of clients that are the image's own."""
    client = _real()
    seen: list[Any] = [client.put_object(Bucket=bucket, Key="x", Body=b"real", Metadata={"a": "b"})]
    got = client.get_object(Bucket=bucket, Key="x")
    seen += [got, client.head_object(Bucket=bucket, Key="x"), client.list_objects_v2(Bucket=bucket)]
    seen.append(outcome(lambda: client.get_object(Bucket=bucket, Key="no")))
    seen.append(outcome(lambda: client.head_object(Bucket=bucket, Key="no")))
    seen.append(outcome(lambda: client.get_object(Bucket=bucket)))
    seen.append(outcome(lambda: client.get_object(Bucket=bucket, Key=5)))
    seen.append(outcome(client.get_object, "positional"))
    try:
        client.get_object(Bucket=bucket, Key="no")
    except client.exceptions.NoSuchKey as error:
        seen.append(["caught", error.operation_name, isinstance(error, s3.exceptions.ClientError)])
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    seen.append([len(list(pages)), client.get_waiter("object_exists").wait(Bucket=bucket, Key="x")])
    body = client.get_object(Bucket=bucket, Key="x")["Body"]
    from botocore.response import StreamingBody

    seen.append([isinstance(body, StreamingBody), body.read(2), body.read(), body.read()])
    return seen


@case
def watched_clients(s3: Any, bucket: str) -> Any:
    """Calls that somebody looks at, of clients that are the image's own."""
    import logging
    from unittest import mock

    client = _real()
    client.put_object(Bucket=bucket, Key="x", Body=b"x")
    seen: list[Any] = []
    events: list[str] = []

    def handler(event_name: str, **_: Any) -> None:
        events.append(event_name)

    def get() -> Any:
        return client.get_object(Bucket=bucket, Key="x")["Body"].read()

    client.meta.events.register("before-send.s3", handler)
    seen += [get(), list(events)]
    client.meta.events.unregister("before-send.s3", handler)
    seen += [get(), len(events)]
    client.meta.events.register_first(
        "before-parameter-build.s3.GetObject", lambda params, **_: params.update(Range="bytes=0-0")
    )
    client.put_object(Bucket=bucket, Key="x", Body=b"xyz")
    seen.append(get())
    client = _real()
    import boto3
    from botocore.client import BaseClient
    from botocore.endpoint import Endpoint

    original = BaseClient._make_api_call

    def wrapper(self: Any, operation_name: str, parameters: Any) -> Any:
        events.append(operation_name)
        return original(self, operation_name, parameters)

    with mock.patch("botocore.client.BaseClient._make_api_call", new=wrapper):
        seen += [get(), events[-1]]
    with mock.patch.object(BaseClient, "_make_api_call", return_value={"Body": io.BytesIO(b"mock")}):
        seen.append(get())
    with mock.patch.object(Endpoint, "_send", side_effect=RuntimeError("sent")):
        seen.append(outcome(get))
    with mock.patch("botocore.httpsession.URLLib3Session.send", side_effect=RuntimeError("sent")):
        seen.append(outcome(get))
    client._endpoint.http_session = mock.Mock(send=mock.Mock(side_effect=RuntimeError("mine")))
    seen.append(outcome(get))
    session = boto3.Session()
    session.events.register("provide-client-params.s3.GetObject", lambda params, **_: {**params, "Range": "bytes=1-1"})
    client = session.client("s3")
    seen.append(get())
    client = _real()
    records: list[str] = []
    log = logging.Handler()
    log.emit = lambda record: records.append(record.name)  # type: ignore[method-assign]
    logging.getLogger("botocore").addHandler(log)
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    seen += [get(), "botocore.endpoint" in records]
    return seen


@case
def stubbed_clients(s3: Any, bucket: str) -> Any:
    """Clients under botocore's own stubber."""
    from botocore.stub import Stubber

    client = _real()
    client.put_object(Bucket=bucket, Key="x", Body=b"x")
    with Stubber(client) as stubber:
        stubber.add_response("get_object", {"ContentLength": 7}, {"Bucket": bucket, "Key": "x"})
        seen = [client.get_object(Bucket=bucket, Key="x"), outcome(lambda: client.get_object(Bucket=bucket, Key="x"))]
    return [*seen, client.get_object(Bucket=bucket, Key="x")]


@case
def peculiar_clients(s3: Any, bucket: str) -> Any:
    """Clients that are the image's own, with something of the program's own."""
    from botocore import UNSIGNED
    from botocore.config import Config

    seen: list[Any] = []
    for settings in (
        {"aws_access_key_id": "a", "aws_secret_access_key": "b"},
        {"config": Config(parameter_validation=False)},
        {"config": Config(retries={"total_max_attempts": 1})},
        {"config": Config(signature_version=UNSIGNED)},
        {"endpoint_url": "http://127.0.0.1:9", "config": Config(retries={"max_attempts": 0})},
        {"region": "eu-west-2"},
    ):
        client = _real(**settings)
        seen.append(outcome(lambda client=client: client.put_object(Bucket=bucket, Key="x", Body=b"x")))
        seen.append(outcome(lambda client=client: client.get_object(Bucket=bucket, Key="x")))
    return seen


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
def threads(s3: Any, bucket: str) -> Any:
    """Threads that call, while some of them look deeper."""
    import threading

    import boto3

    seen: list[Any] = []

    def work(number: int) -> None:
        try:
            s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"x" * number)
            if number % 3 == 1:
                boto3.Session().get_available_resources()
            if number % 3 == 2:
                boto3.client("sts")
            length = boto3.client("s3").get_object(Bucket=bucket, Key=f"{number}")["ContentLength"]
            seen.append([number, length, len(s3.get_object(Bucket=bucket, Key=f"{number}")["Body"].read())])
        except Exception as error:
            seen.append([number, repr(error)])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(seen)


@case
def shared_errors(s3: Any, bucket: str) -> Any:
    """One client's exceptions catch another's."""
    import boto3

    other = boto3.client("s3")
    seen = []
    for _ in range(2):
        try:
            other.get_object(Bucket=bucket, Key="no")
        except s3.exceptions.NoSuchKey as error:
            seen.append(error.operation_name)
        # From now on it is another's.
        other = boto3.resource("s3").meta.client
    return seen


@case
def hooks(s3: Any, bucket: str) -> Any:
    """A handler of the program's own."""
    called: list[str] = []
    s3.meta.events.register("before-call.s3.PutObject", lambda **_: called.append("before-call"))
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    return called


def bucket_of(prefix: str, name: str) -> str:
    """The bucket of a case."""
    return prefix + name.replace("_", "-")


def run(prefix: str) -> dict[str, Any]:
    """Runs all cases, each in a process of its own, since one that looks deep changes the process for those after it.

    Their buckets, whose names begin with `prefix`, are there.
    """
    if os.environ.get("NEXUS_SDK") == "off":
        # Once for all processes, since it takes long and nothing is to be seen of it.
        import boto3  # noqa: F401
    return {name: _in_a_child(name, bucket_of(prefix, name)) for name in CASES}


def _in_a_child(name: str, bucket: str) -> Any:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as pipe:
                json.dump(_run_one(name, bucket), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if status == 0 else {"died": status}


def _run_one(name: str, bucket: str) -> dict[str, Any]:
    import boto3

    seen = outcome(CASES[name], boto3.client("s3"), bucket)
    s3 = boto3.client("s3")
    objects = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    seen["left"] = [[item["Key"], outcome(_look, s3, bucket, item["Key"])] for item in objects]
    # Whether the real SDK had to be loaded: the one thing that may differ, and is for people only.
    seen["loaded"] = "botocore.session" in sys.modules
    return seen


def _look(s3: Any, bucket: str, key: str) -> Any:
    return s3.head_object(Bucket=bucket, Key=key)
