# SPDX-License-Identifier: Apache-2.0
"""Calls by chance, from botocore's own models: what the shim sends and makes of answers is what botocore does.

Both are given the same arguments, and the same bytes for an answer. What the shim hands over is botocore's anyway; how much of
it that is, is looked at too.

`NEXUS_SDK_TABLES` is the program that makes the shim's tables, `NEXUS_MODEL_CALLS` how many calls of each operation are made.
"""

from __future__ import annotations

import datetime
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))

import boto3
import botocore
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from models import Maker
from nexus_sdk import calls, channel, facade

MAKER = os.environ.get("NEXUS_SDK_TABLES")
CALLS = int(os.environ.get("NEXUS_MODEL_CALLS", "150"))
SERVICES = ("dynamodb", "lambda", "s3", "secretsmanager", "sns", "sqs", "ssm")
# An element with nothing in it.
EMPTY = re.compile(rb"<((\w+)[^<>]*?) ?/>")
# What the gateway makes itself, or the connection.
NOT_COMPARED = {
    "authorization",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "connection",
    "content-length",
    "expect",
    "host",
    "user-agent",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-user-agent",
    "x-amzn-query-mode",
    "x-amz-sdk-checksum-mode",
    # Of a body that may be written in two ways. Others are looked at in tests of their own.
    "x-amz-checksum-crc32",
}


class Sent(Exception):
    """A request has gone out."""


class Raw(io.BytesIO):
    """A body as urllib3 has it."""

    def stream(self, amt: int = 65536, **_: Any) -> Any:
        """Its pieces."""
        while data := self.read(amt):
            yield data


class Wire:
    """What is between a client and a service: writes down requests, and gives the answer that is laid out for them."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
        self.requests: list[Any] = []

    def of_botocore(self, request: Any, **_: Any) -> AWSResponse:
        """For its event before-send."""
        parts = urlsplit(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        body = request.body or b""
        body = body if isinstance(body, (bytes, bytearray, str)) else body.read()
        self._note(request.method, parts.path, parts.query, headers, body.encode() if isinstance(body, str) else bytes(body))
        status, headers, content = self.answer
        return AWSResponse(request.url, status, {**headers, "content-length": str(len(content))}, Raw(content))

    def of_shim(self, head: bytes, body: Any, _: Any = None) -> channel.Answer:
        """In place of `channel.call`."""
        _service, _region, _name, method, target, *fields, _end = head.decode("latin-1").split("\0")
        path, _mark, query = target.partition("?")
        headers = dict(zip(fields[::2], fields[1::2]))
        headers = {name.lower(): value for name, value in headers.items()}
        self._note(method, path, query, headers, b"".join(body) if isinstance(body, channel.Pieces) else bytes(body))
        status, headers, content = self.answer
        headers = {**headers, "content-length": str(len(content))}
        text = "".join(f"{name}\0" for name in headers) + "\0" + "".join(f"{value}\0" for value in headers.values())
        return channel.Answer(status, 0, text, len(content), content)

    def _note(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
        body = _alike(headers.get("content-type", ""), body)
        compared = {name: value.strip() for name, value in headers.items() if name not in NOT_COMPARED}
        # Older releases have it where nobody needs it; elsewhere it is of a document that may be written in two ways.
        if compared.pop("content-md5", None) is not None and body.startswith(b"<"):
            compared["content-md5"] = "there"
        # They write these as Python does.
        compared = {name: {"True": "true", "False": "false"}.get(value, value) for name, value in compared.items()}
        self.requests.append((method, path, sorted(parse_qsl(query, keep_blank_values=True)), compared, body))

    def taken(self) -> list[Any]:
        """The requests since the last time."""
        taken, self.requests = self.requests, []
        return taken


def _alike(kind: str, body: bytes) -> bytes:
    """A body as it is written here, where the same may be written in two ways."""
    if kind.startswith("application/x-www-form-urlencoded"):
        return "&".join(f"{name}={value}" for name, value in parse_qsl(body.decode(), keep_blank_values=True)).encode()
    return EMPTY.sub(rb"<\1></\2>", body) if body.startswith(b"<") else body


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def plain(value: Any) -> Any:
    """A result with all that programs see of it: types, order, zones."""
    if isinstance(value, dict):
        return [type(value).__name__, [(name, plain(item)) for name, item in value.items()]]
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return ["time", value.isoformat(), repr(value.tzinfo)]
    if hasattr(value, "read"):
        return ["body", plain(value.read())]
    return [type(value).__name__, value]


def outcome(function: Any) -> Any:
    """What a call comes to."""
    try:
        result = function()
    except Exception as error:
        return ["error", type(error), str(error), plain(getattr(error, "response", None))]
    return None if result is None else ["result", plain(result)]


@unittest.skipUnless(MAKER, "NEXUS_SDK_TABLES names no program")
class ModelsTest(unittest.TestCase):
    """Each operation that there is a table for."""

    maxDiff = None

    def setUp(self) -> None:
        """Makes the tables of this release."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        package = Path(botocore.__file__).parent
        tables = f"{folder.name}/tables"
        subprocess.run([str(MAKER), str(package), tables], check=True)
        for owner, name, value in (
            # Between attempts.
            (time, "sleep", lambda _: None),
            (facade, "_tables", tables),
            (facade, "_site", str(package.parent)),
            (facade, "_services", {}),
            (calls, "_operations", {}),
        ):
            patch = mock.patch.object(owner, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def test_calls(self) -> None:
        """The shim does what botocore does."""
        by_shim: dict[str, int] = {}
        session = boto3.session.Session("id", "secret", region_name="eu-west-1")
        for name in SERVICES:
            table: Any = facade.service(name)
            config = Config(signature_version="s3v4" if name == "s3" else None)
            client = session.client(name, endpoint_url=facade.GATEWAY, config=config)
            wire = Wire()
            client.meta.events.register("before-send", wire.of_botocore)
            for method in table["operations"]:
                with self.subTest(f"{name}.{method}"), mock.patch.object(channel, "call", wire.of_shim):
                    by_shim[f"{name}.{method}"] = self._compare(client, table, method, wire)
        # Half of the errors and what is not plain are botocore's.
        few = {name: count for name, count in by_shim.items() if count < CALLS / 10}
        self.assertEqual(few, {})

    def _compare(self, client: Any, table: Any, method: str, wire: Wire) -> int:
        """Makes calls in both ways, and returns how many the shim made."""
        operation = calls.operation(table, "eu-west-1", method)
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        count = 0
        for number in range(CALLS):
            maker = Maker(f"{model.service_model.service_name}.{model.name}.{number}")
            arguments, wire.answer = maker.arguments(model.input_shape), maker.answer(model)
            seen = outcome(lambda arguments=arguments: operation.run(arguments, client))
            ours = wire.taken()
            if seen is None:
                # It was handed over: what was sent has to be harmless to send again, and the same.
                theirs = outcome(lambda arguments=arguments: getattr(client, method)(**arguments))
                for request in ours:
                    self.assertEqual([request], wire.requests[:1], arguments)
                wire.taken()
                continue
            count += 1
            theirs = outcome(lambda arguments=arguments: getattr(client, method)(**arguments))
            self.assertEqual((ours, seen), (wire.taken(), theirs), (arguments, wire.answer))
        return count


if __name__ == "__main__":
    unittest.main()
