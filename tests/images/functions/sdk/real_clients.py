# SPDX-License-Identifier: Apache-2.0
"""Clients that are the image's own from the beginning, as they are with the shim about."""

from __future__ import annotations

import io
from typing import Any

from record import case, outcome


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
    from botocore.handlers import BUILTIN_HANDLERS

    # As mocks of services do it.
    BUILTIN_HANDLERS.append(("before-send.s3", handler))
    client = _real()
    before = len(events)
    seen += [get(), len(events) - before]
    BUILTIN_HANDLERS.pop()
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
