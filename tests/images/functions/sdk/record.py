# SPDX-License-Identifier: Apache-2.0
"""Writes down as plain data what programs see of boto3: what a call returns, or the exception that it raises."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    # Of a client and a bucket.
    Case = Callable[[Any, str], Any]

CASES: dict[str, Case] = {}
# Of what was signed: whether with the key in a guest's environment, which no store knows.
PLACEHOLDERS: list[bool] = []

# Headers that say when, where or by whom an answer was made.
VOLATILE = {
    "date",
    "connection",
    "server",
    "x-amz-crc32",
    "x-amz-id-2",
    "x-amz-request-id",
    "x-amzn-requestid",
    "transfer-encoding",
}
# Members that do.
_TIMES = {"CreatedDate", "LastModified", "LastModifiedDate"}
# Members that are different each time.
_NAMES = {"ARN", "MessageId", "ReceiptHandle", "SequenceNumber", "VersionId"}


def case(function: Case) -> Case:
    """Registers a case."""
    CASES[function.__name__] = function
    return function


def note_key(credential: str) -> None:
    """Notes whose key signed something."""
    PLACEHOLDERS.append(credential.partition("/")[0] == os.environ["AWS_ACCESS_KEY_ID"])


def plain(value: Any, key: str | None = None) -> Any:
    """`value` as JSON has it, with types where JSON has none, without what differs from run to run."""
    if isinstance(value, dict):
        if key == "HTTPHeaders":
            value = {name: text for name, text in value.items() if name not in VOLATILE}
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
    if key in _NAMES and isinstance(value, str):
        return ["a name", bool(value)]
    if isinstance(value, Decimal):
        return ["number", repr(value)]
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
