# SPDX-License-Identifier: Apache-2.0
"""URLs and forms that botocore has signed with a placeholder, which the gateway signs anew."""

from __future__ import annotations

import json
import pathlib
import sys
import types
import unittest
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from botocore.exceptions import ClientError, EndpointConnectionError
from nexus_sdk import channel, presign

SERVICE: dict[str, Any] = {"service": "s3", "errors": ()}
HOST = "http://169.254.170.2"
SCOPE = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=id%2F20261126%2Fr%2Fs3%2Faws4_request&X-Amz-Date=20261126T120000Z"


class Gateway:
    """Signs, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: bytes = b"signed") -> None:
        self.asked: list[tuple[list[str], bytes]] = []
        self._answer = types.SimpleNamespace(status=status, headers={}, retries=0, read=lambda: body, close=lambda: None)

    def __call__(self, head: bytes, body: bytes) -> Any:
        """Answers a call."""
        self.asked.append((head.decode().split("\0")[:-1], body))
        return self._answer


def gone(*_: Any) -> Any:
    """No gateway."""
    raise channel.HandOver


def again(gateway: Any, url: str, headers: dict[str, Any] | None = None) -> str:
    """What becomes of a URL for PutObject."""
    request = {"method": "PUT", "headers": headers or {}}
    with mock.patch.object(channel, "call", gateway):
        return presign.url_again(SERVICE, "eu-west-1", "PutObject", request, url, 60)


class UrlsTest(unittest.TestCase):
    """URLs."""

    def test_version_4(self) -> None:
        """What is signed goes with it, the rest of the query stays."""
        rest = "X-Amz-Expires=60&X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-meta-a&X-Amz-Signature=0"
        url = f"{HOST}/b/a%20b?partNumber=2&uploadId=a%2Fb&{SCOPE}&{rest}"
        gateway = Gateway()
        self.assertEqual(again(gateway, url, {"x-amz-meta-a": b"1", "Content-Length": "5", "User-Agent": "x"}), "signed")
        target = "/b/a%20b?partNumber=2&uploadId=a%2Fb"
        fields = ["content-length", "5", "x-amz-meta-a", "1"]
        names = ["x-nexus-presign-signed", "content-length;host;x-amz-meta-a", "x-nexus-presign-length", "5"]
        message = ["s3", "eu-west-1", "PutObject", "PUT", target, *fields, *names, "x-nexus-presign", "60"]
        self.assertEqual(gateway.asked, [(message, b"")])

    def test_version_2(self) -> None:
        """Headers are parameters of such a URL."""
        url = f"{HOST}/b/k?AWSAccessKeyId=id&Signature=s%3D&content-type=text%2Fplain&x-amz-acl=private&Expires=1795694400"
        gateway = Gateway()
        self.assertEqual(again(gateway, url, {"Content-Type": "text/plain", "x-amz-acl": "private"}), "signed")
        fields = ["content-type", "text/plain", "x-amz-acl", "private"]
        names = ["x-nexus-presign-signed", "content-type;host", "x-nexus-presign-query", "x-amz-acl", "x-nexus-presign", "60"]
        self.assertEqual(gateway.asked, [(["s3", "eu-west-1", "PutObject", "PUT", "/b/k", *fields, *names], b"")])

    def test_what_is_left(self) -> None:
        """What leads elsewhere, or is not signed in a way that the gateway knows."""
        rest = f"{SCOPE}&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
        for url in (
            f"http://elsewhere/b/k?{rest}",
            f"{HOST}:81/b/k?{rest}",
            f"{HOST}/b/k",
            f"{HOST}/b/k?{rest.replace('%2Fs3', '%2Fsts')}",
            f"{HOST}/b/k?{rest.replace('HMAC', 'ECDSA')}",
            f"{HOST}/b/k?{SCOPE}&X-Amz-SignedHeaders=host%3Bx-amz-of-a-handler&X-Amz-Signature=0",
        ):
            gateway = Gateway()
            self.assertEqual(again(gateway, url), url)
            self.assertEqual(gateway.asked, [])

    def test_what_is_not_signed(self) -> None:
        """What the gateway does not sign is an error: nobody could use what botocore signed."""
        url = f"{HOST}/b/k?{SCOPE}&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
        said = b"<Error><Code>ServiceUnavailable</Code><Message>no key</Message><RequestId>1</RequestId></Error>"
        for status, body, code in ((503, said, "ServiceUnavailable"), (400, b"", "400"), (403, b"<Error/>", "403")):
            with self.assertRaises(ClientError) as caught:
                again(Gateway(status, body), url)
            self.assertEqual(caught.exception.response["Error"]["Code"], code)
            self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], status)
            self.assertEqual(caught.exception.operation_name, "PutObject")
        with self.assertRaises(EndpointConnectionError):
            again(gone, url)

    def test_text(self) -> None:
        """Headers are signed as they are sent."""
        url = f"{HOST}/b/k?{SCOPE}&X-Amz-SignedHeaders=content-disposition%3Bhost&X-Amz-Signature=0"
        for value in ("ü", "ü".encode()):
            gateway = Gateway()
            self.assertEqual(again(gateway, url, {"Content-Disposition": value}), "signed")
            self.assertEqual(gateway.asked[0][0][5:7], ["content-disposition", "ü"])


class FormsTest(unittest.TestCase):
    """Forms."""

    def test_again(self) -> None:
        """A form's own fields stay, its signature is another."""
        old = dict.fromkeys(("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"), "old")
        form = {"url": "http://elsewhere/bkt", "fields": {"acl": "private", "key": "a b", **old}}
        conditions = [{"acl": "private"}, {"bucket": "bkt"}, {"key": "a b"}]
        gateway = Gateway(body=b"https://store/bkt\npolicy new\nx-amz-signature new")
        with mock.patch.object(channel, "call", gateway):
            self.assertEqual(presign.form_again(SERVICE, "r", form, conditions, 60), form)
            form["url"] = f"{HOST}/bkt"
            signed = presign.form_again(SERVICE, "r", form, conditions, 60)
        fields = {"acl": "private", "key": "a b", "policy": "new", "x-amz-signature": "new"}
        self.assertEqual(signed, {"url": "https://store/bkt", "fields": fields})
        message = ["s3", "r", "PutObject", "POST", "/bkt/a%20b", "x-nexus-presign-post", "60"]
        self.assertEqual(gateway.asked, [(message, json.dumps(conditions).encode())])

    def test_what_is_not_signed(self) -> None:
        """As of URLs; and the gateway is asked for conditions that it may not know."""
        form = {"url": f"{HOST}/bkt", "fields": {"key": "a"}}
        for conditions in ([], [{"acl": "private", "key": "a"}]):
            for gateway, error in ((Gateway(503), ClientError), (gone, EndpointConnectionError)):
                with mock.patch.object(channel, "call", gateway), self.assertRaises(error):
                    presign.form_again(SERVICE, "r", form, conditions, 60)


if __name__ == "__main__":
    unittest.main()
