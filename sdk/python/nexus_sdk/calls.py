# SPDX-License-Identifier: Apache-2.0
"""One operation: from keyword arguments to a message for the gateway, and from its answer to a result.

What an operation takes and gives is in its table. Whatever is not plain raises `HandOver`, before anything was sent or where
sending it twice does no harm: then the image's own SDK makes the call, and says what it has to say.
"""

from __future__ import annotations

import io

from nexus_sdk import body as bodies
from nexus_sdk import channel, utc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any, NoReturn
else:
    from _datetime import datetime

_BUCKET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
# Larger files are read by the SDK, piece by piece, in bytes.
_FILE_MAX = 8 * 1024 * 1024
_UTC = utc.UTC
# Sets of header names that are remembered for each operation.
_PLANS = 64
# What may be known of a body's checksum for it to be checked here.
_CHECKED = ("x-amz-checksum-crc32", "x-amz-checksum-type")
# Kinds of files that are read here; they are left at their end, as botocore leaves them.
_FILES = (io.BytesIO, io.BufferedReader)
# What botocore leaves as it is, in a query and in a path.
_QUERY = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
_PATH = _QUERY + b"/"
_MONTHS = {
    "Jan": 1,
    "Feb": 2,
    "Mar": 3,
    "Apr": 4,
    "May": 5,
    "Jun": 6,
    "Jul": 7,
    "Aug": 8,
    "Sep": 9,
    "Oct": 10,
    "Nov": 11,
    "Dec": 12,
}


class HandOver(Exception):
    """The image's own SDK has to make this call."""


def run(service: dict[str, Any], region: str, operation: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Makes the call and returns its result; raises what botocore raises."""
    file: Any = arguments.get("Body")
    start = None
    try:
        if type(file) in _FILES:
            start = file.tell()
        head, body = _request(service, region, operation, arguments)
        answer = channel.call(head, body)
        if answer.status >= 301:
            return _failed(service, operation, answer)
        return _result(service, operation, answer, arguments)
    except (HandOver, ValueError, channel.Broken):
        if start is not None:
            file.seek(start)
        raise HandOver from None


def _failed(service: dict[str, Any], operation: dict[str, Any], answer: channel.Answer) -> NoReturn:
    """Raises the error of an answer."""
    # These are tried again, or somewhere else, by rules that the SDK has.
    if answer.status >= 500 or answer.status in (301, 307, 400, 429):
        answer.close()
        raise HandOver
    from nexus_sdk import errors

    try:
        body = answer.read()
    except OSError:
        raise HandOver from None
    error = errors.of_answer(service, operation["name"], answer, body)
    if error is None:
        raise HandOver
    raise error


def _request(
    service: dict[str, Any], region: str, operation: dict[str, Any], arguments: dict[str, Any]
) -> tuple[bytes, bytes | bytearray]:
    places: dict[str, str] = {}
    query: list[str] = []
    fields: list[str] = []
    body: bytes | bytearray = b""
    parameters = operation["parameters"]
    for name, value in arguments.items():
        parameter = parameters.get(name)
        if parameter is None:
            raise HandOver
        where, wire, kind = parameter
        if where == "uri":
            if type(value) is not str:
                raise HandOver
            places[wire] = value
        elif where == "body":
            body = _bytes(value)
        elif where == "headers":
            _metadata(fields, wire, value)
        else:
            text = _text(kind, value)
            if where == "querystring":
                query.append(wire + "=" + _encoded(text, _QUERY))
            else:
                fields += (wire, _header(text))
    if operation["checksum"] and operation["payload_in"]:
        fields += _checksum(operation["checksum"], body)
    if operation["validation"] and operation["validation"] not in fields:
        fields += (operation["validation"], "ENABLED")
    target = _target(operation["uri"], places)
    for extra in operation["query"]:
        if not any(part.startswith(extra[: extra.index("=") + 1]) for part in query):
            query.append(extra)
    if query:
        target += ("&" if "?" in target else "?") + "&".join(query)
    head = f"{service['service']}\0{region}\0{operation['name']}\0{operation['method']}\0{target}\0"
    if fields:
        head += "\0".join(fields) + "\0"
    return head.encode("latin-1"), body


def _text(kind: str, value: Any) -> str:
    if kind == "string":
        if type(value) is not str:
            raise HandOver
        return value
    if kind == "integer":
        if type(value) is not int:
            raise HandOver
        return str(value)
    if type(value) is not bool:
        raise HandOver
    return "true" if value else "false"


def _header(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise HandOver
    return text


def _metadata(fields: list[str], prefix: str, value: Any) -> None:
    if type(value) is not dict:
        raise HandOver
    for name, text in value.items():
        if type(name) is not str or type(text) is not str or not name or " " in name or ":" in name:
            raise HandOver
        fields += (prefix + _header(name), _header(text))


def _bytes(value: Any) -> Any:
    kind = type(value)
    if kind is bytes or kind is bytearray:
        return value
    if kind is str:
        return value.encode()
    if kind in _FILES:
        data = value.read(_FILE_MAX)
        if len(data) < _FILE_MAX:
            return data
    raise HandOver


def _checksum(name: str, body: bytes | bytearray) -> tuple[str, str, str, str]:
    checksum = bodies.Crc32()
    checksum.update(body)
    return ("x-amz-checksum-crc32", checksum.text(), name, "CRC32")


def _target(pattern: str, places: dict[str, str]) -> str:
    """The path; HandOver if a part of it is missing, since all that is required is in it."""
    bucket = places.get("Bucket")
    if not bucket or len(bucket) > 255 or bucket.strip(_BUCKET):
        raise HandOver
    target = pattern.replace("{Bucket}", bucket)
    if "{" in pattern[9:]:
        key = places.get("Key")
        if not key:
            raise HandOver
        target = target.replace("{Key+}", _encoded(key, _PATH))
    return target


def _encoded(text: str, safe: bytes) -> str:
    """Percent-encoding as SigV4 wants it."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise HandOver from None
    if not data.translate(None, safe):
        return text
    return "".join([chr(byte) if byte in safe else f"%{byte:02X}" for byte in data])


class _Plan:
    """How an operation reads answers that have headers of just these names."""

    __slots__ = ("checksum", "keys", "members", "request_id", "unread")

    checksum: int | None
    keys: tuple[str, ...]
    request_id: str | None
    unread: bool

    def __init__(self, operation: dict[str, Any], names: str) -> None:
        self.keys = keys = tuple(names.split("\0")) if names else ()
        self.request_id = None
        for name in ("x-amz-request-id", "x-amzn-requestid"):
            if name in keys:
                self.request_id = name
        # What only botocore reads as it should: a header that comes twice, and one that it treats in a way of its own.
        self.unread = len(set(keys)) < len(keys) or ("expires" in keys and operation["expires"])
        self.checksum = None
        if operation["validation"]:
            sums = [name for name in keys if name.startswith("x-amz-checksum-")]
            self.unread = self.unread or any(name not in _CHECKED for name in sums)
            if _CHECKED[0] in sums:
                self.checksum = keys.index(_CHECKED[0])
        self.members = self._members(operation)

    def _members(self, operation: dict[str, Any]) -> tuple[tuple[str, str | None, Any], ...]:
        """The members of the result in the model's order: name, kind, and where the value stands."""
        found: list[Any] = []
        for position, key in enumerate(self.keys):
            if key in operation["members"]:
                place, name, kind = operation["members"][key]
                found.append((place, name, None if kind == "string" else kind, position))
        if operation["prefixed"] is not None:
            place, name, prefix = operation["prefixed"]
            inside = [(key[len(prefix) :], at) for at, key in enumerate(self.keys) if key.startswith(prefix)]
            found.append((place, name, "prefixed", inside))
        found.sort()
        return tuple([member[1:] for member in found])


def _result(
    service: dict[str, Any], operation: dict[str, Any], answer: channel.Answer, arguments: dict[str, Any]
) -> dict[str, Any]:
    plans: dict[str, _Plan] = operation.setdefault("plans", {})
    plan = plans.get(answer.names)
    if plan is None:
        # A store that never says the same twice must not fill the memory.
        if len(plans) >= _PLANS:
            plans.clear()
        plan = plans[answer.names] = _Plan(operation, answer.names)
    if plan.unread:
        answer.close()
        raise HandOver
    values = answer.values
    headers = dict(zip(plan.keys, values))
    metadata: dict[str, Any] = {}
    if plan.request_id is not None:
        metadata["RequestId"] = headers[plan.request_id]
        if plan.request_id == "x-amz-request-id":
            metadata["HostId"] = headers.get("x-amz-id-2", "")
    metadata["HTTPStatusCode"] = answer.status
    metadata["HTTPHeaders"] = headers
    result: dict[str, Any] = {"ResponseMetadata": metadata}
    for name, kind, position in plan.members:
        if kind is None:
            result[name] = values[position]
        elif kind == "integer":
            result[name] = int(values[position])
        elif kind == "prefixed":
            result[name] = {key: values[at] for key, at in position} if position else {}
        else:
            result[name] = _value(kind, values[position])
    payload = operation["payload_out"]
    if payload is not None:
        result[payload] = _stream(service, plan, answer, metadata)
    elif operation["document"] is not None:
        from nexus_sdk import documents

        try:
            data = answer.read()
        except OSError:
            raise HandOver from None
        if not documents.read(operation, data, result, arguments):
            raise HandOver
    else:
        answer.read()
    metadata["RetryAttempts"] = answer.retries
    return result


def _value(kind: str, text: str) -> bool | datetime:
    return text == "true" if kind == "boolean" else timestamp(text)


def timestamp(text: str) -> datetime:
    """A time in one of the two forms that S3 uses: `Wed, 21 Oct 2015 07:28:00 GMT`, `2015-10-21T07:28:00.000Z`.

    Raises ValueError for any other.
    """
    if len(text) == 29 and text[25:] == " GMT":
        month = _MONTHS.get(text[8:11], 0)
        date = int(text[12:16]), month, int(text[5:7])
        return datetime(*date, int(text[17:19]), int(text[20:22]), int(text[23:25]), 0, _UTC)
    if text[10:11] == "T" and text[-1] == "Z":
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=utc.of_z())
    raise ValueError(text)


def _stream(service: dict[str, Any], plan: _Plan, answer: channel.Answer, metadata: dict[str, Any]) -> bodies.StreamingBody:
    if plan.checksum is not None:
        expected = answer.values[plan.checksum]
        # With a dash it is made of the parts' checksums, which nobody can check.
        if "-" not in expected:
            metadata["ChecksumAlgorithm"] = "crc32"
            return bodies.make(service["body"], answer, bodies.Crc32(), expected)
    return bodies.make(service["body"], answer)
