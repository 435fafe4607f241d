# SPDX-License-Identifier: Apache-2.0
"""Errors that a service ends a call with, and those that are left to the image's own SDK."""

from __future__ import annotations

import json
import marshal
import pathlib
import sys
import types
import unittest
from binascii import crc32
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from nexus_sdk import channel, errors

SHAPES = {
    "Failed": ("structure", None, {"message": ("text", "message"), "Item": ("item", "Item")}, (), False),
    "Archived": ("structure", None, {"StorageClass": ("text", "StorageClass")}, (), False),
    "item": ("map", None, ("text", None), ("value", None)),
    "value": ("structure", None, {"S": ("text", "S"), "B": ("blob", "B")}, (), False),
    "text": ("string", None),
    "blob": ("blob", None),
}
SERVICE = {
    "errors": (
        ("Failed", "Failed", "Failed"),
        ("Missing", "Missing", ""),
        ("NotFound", "NotFoundException", "Failed"),
        ("Throttling", "Throttling", None),
        ("Archived", "Archived", "Archived"),
        ("Odd", "Odd", None),
    ),
    "retried": ("SlowDown",),
    "shapes": marshal.dumps(SHAPES),
}


class Raised(Exception):
    """An exception of the class for `code`."""

    def __init__(self, code: str, response: dict[str, Any], operation: str) -> None:
        super().__init__(code)
        self.code = code
        self.response = response
        self.operation = operation


def client() -> Any:
    """One whose exceptions say which class they are of."""
    exceptions = types.SimpleNamespace(from_code=lambda code: lambda *given: Raised(code, *given))
    return types.SimpleNamespace(exceptions=exceptions)


def answer(status: int, body: bytes, **headers: str) -> Any:
    """An answer with a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return types.SimpleNamespace(status=status, headers=named, retries=2, read=lambda: body, close=lambda: None)


def document(protocol: str, status: int, body: Any, **headers: str) -> Any:
    """The exception for an answer of a service that speaks `protocol`."""
    data = body if type(body) is bytes else json.dumps(body).encode()
    table = {"name": "Op", "protocol": protocol}
    return errors.of_answer(dict(SERVICE), table, answer(status, data, **headers), client())


class ErrorsTest(unittest.TestCase):
    """Errors."""

    def test_members_are_beside_the_error(self) -> None:
        """As those of a condition that failed, where the item is asked for."""
        body = {"__type": "com.amazonaws#Failed", "message": "no", "Item": {"a": {"B": "AAE="}}, "other": 1}
        error = document("json", 400, body, x_amzn_requestid="id")
        self.assertEqual((error.code, error.operation), ("Failed", "Op"))
        headers = {"x-amzn-requestid": "id"}
        expected = {
            "Error": {"Message": "no", "Code": "Failed"},
            "ResponseMetadata": {"RequestId": "id", "HTTPStatusCode": 400, "HTTPHeaders": headers, "RetryAttempts": 2},
            "message": "no",
            "Item": {"a": {"B": b"\0\1"}},
        }
        self.assertEqual(error.response, expected)
        self.assertEqual(list(error.response), list(expected))

    def test_a_code_of_a_former_protocol(self) -> None:
        """Programs see that one; the class goes by the other."""
        error = document("json", 400, {"__type": "x#Missing"}, x_amzn_query_error="Former.Missing;Sender")
        self.assertEqual(error.code, "Missing")
        known = {"Message": "", "Code": "Former.Missing", "QueryErrorCode": "Missing", "Type": "Sender"}
        self.assertEqual(error.response["Error"], known)

    def test_a_code_in_a_header(self) -> None:
        """As functions of Lambda's have it."""
        error = document("rest-json", 404, {"Type": "User", "Message": "no"}, x_amzn_errortype="Missing:http://x/")
        self.assertEqual((error.code, error.response["Error"]), ("Missing", {"Message": "no", "Code": "Missing"}))

    def test_documents_of_calls_by_form(self) -> None:
        """Whose members are beside code and message."""
        fields = "<Type>Sender</Type><Code>NotFound</Code><Message/><message>m</message>"
        body = f'<ErrorResponse xmlns="x"><Error>{fields}</Error><RequestId>id</RequestId></ErrorResponse>'
        error = document("query", 404, body.encode())
        known = {"Type": "Sender", "Code": "NotFound", "Message": None, "message": "m"}
        self.assertEqual((error.code, error.response["Error"]), ("NotFound", known))
        self.assertEqual(error.response["message"], "m")

    def test_what_is_made_again_is_left(self) -> None:
        """And what only botocore knows."""
        missing = {"__type": "Missing", "message": "no"}
        for status, body, headers in (
            (400, {"__type": "Throttling"}, {}),
            (400, {"__type": "Odd"}, {}),
            (400, {"__type": "Unheard"}, {}),
            (400, {"__type": "Missing"}, {"x_amzn_query_error": "Throttling;Sender"}),
            (300, missing, {}),
            (429, missing, {}),
            (500, missing, {}),
            (400, missing, {"x_amz_crc32": "1"}),
        ):
            with self.subTest(status=status, body=body, headers=headers):
                self.assertIsNone(document("json", status, body, **headers))
        right = str(crc32(json.dumps(missing).encode()))
        self.assertIsNotNone(document("json", 400, missing, x_amz_crc32=right))

    def test_what_cannot_be_read_is_left(self) -> None:
        """A program gets what its release makes of it."""
        for protocol, body, headers in (
            ("json", b"", {}),
            ("json", b"\xff", {}),
            ("json", b"<html>", {}),
            ("json", [], {}),
            ("json", {}, {}),
            ("json", {"__type": 5}, {}),
            ("json", {"__type": "Missing:http://x/"}, {}),
            ("json", {"__type": "Failed", "Item": []}, {}),
            ("json", {"__type": "Failed", "Item": {"a": {"B": "A"}}}, {}),
            ("json", {"__type": "Missing"}, {"x_amzn_query_error": ";Sender"}),
            ("rest-json", {"__type": "Missing"}, {}),
            ("rest-json", {}, {"x_amzn_errortype": "x#Missing"}),
            ("query", b"", {}),
            ("query", b"<ErrorResponse/>", {}),
            ("query", b"<E><Errors><Error><Code>NotFound</Code></Error></Errors><RequestId/></E>", {}),
            ("query", b"<E><Error><Code><a/></Code></Error><RequestId/></E>", {}),
        ):
            with self.subTest(protocol=protocol, body=body), self.assertRaises((ValueError, channel.HandOver)):
                document(protocol, 400, body, **headers)

    def test_members_of_errors_of_s3(self) -> None:
        """As those of an object that has to be restored."""
        body = b"<Error><Code>Archived</Code><Message>no</Message><StorageClass>GLACIER</StorageClass></Error>"
        error = document("rest-xml", 403, body)
        known = {"Code": "Archived", "Message": "no", "StorageClass": "GLACIER"}
        self.assertEqual((error.response["Error"], error.response["StorageClass"]), (known, "GLACIER"))
        self.assertIsNone(document("rest-xml", 403, b"<Error><Code>Odd</Code></Error>"))
        self.assertIsNone(document("rest-xml", 403, b"<Error><Code>SlowDown</Code></Error>"))
        self.assertIsNone(document("rest-xml", 400, body))


if __name__ == "__main__":
    unittest.main()
