# SPDX-License-Identifier: Apache-2.0
"""Clients, sessions and resources: how programs make them, and what they see of them."""

from __future__ import annotations

import copy
import io
import os
import tempfile
from typing import Any

from record import case, outcome


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
    import botocore.session

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
    copied = copy.copy(boto3.Session(region_name="sa-east-1"))
    seen.append([copied.region_name, copied.client("s3").meta.region_name])
    seen.append(boto3.Session(aws_access_key_id="a", aws_secret_access_key="b").get_credentials().access_key)
    return seen


@case
def common_ways(s3: Any, bucket: str) -> Any:
    """Clients and resources as most programs make them."""
    import boto3
    from boto3.dynamodb.conditions import Key
    from botocore.config import Config

    session = boto3.Session(region_name="us-east-1")
    client = session.client("s3", config=Config(retries={"max_attempts": 3}, connect_timeout=5))
    seen: list[Any] = [client.put_object(Bucket=bucket, Key="x", Body=b"x"), repr(Key("a").eq(1).get_expression()["operator"])]
    one = session.resource("s3").Object(bucket, "one")
    seen += [one.put(Body=b"one"), one.get(), one.key]
    box = boto3.resource("s3", config=Config(signature_version="s3v4")).Bucket(bucket)
    box.upload_fileobj(io.BytesIO(b"two"), "two", ExtraArgs={"ContentType": "text/plain"})
    buffer = io.BytesIO()
    box.download_fileobj("two", buffer)
    return [*seen, buffer.getvalue(), box.put_object(Key="three", Body=b"3").key, box.meta.client.meta.region_name]


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


@case
def threads_that_share(s3: Any, bucket: str) -> Any:
    """Threads that use each other's sessions and resources, while some of them look deeper."""
    import threading

    import boto3

    sessions = [boto3.Session(region_name="us-east-1") for _ in range(4)]
    shared = [session.resource("s3") for session in sessions]
    seen: list[Any] = []

    def work(number: int) -> None:
        name = f"{number}"
        try:
            sessions[number % 4].client("s3").put_object(Bucket=bucket, Key=name, Body=b"x" * number)
            one = shared[number % 4].Object(bucket, name)
            length = len(one.get()["Body"].read())
            if number % 5 == 1:
                length = one.content_length
            if number % 5 == 2:
                length = shared[number % 4].meta.client.list_objects_v2(Bucket=bucket, Prefix=name)["KeyCount"] * number
                shared[number % 4].buckets.limit(1)
            if number % 5 == 3:
                sessions[number % 4].get_available_resources()
            seen.append([number, length, isinstance(sessions[number % 4], boto3.Session)])
        except Exception as error:
            seen.append([number, repr(error)])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(2, 10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(seen)
