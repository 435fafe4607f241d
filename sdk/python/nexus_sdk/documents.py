# SPDX-License-Identifier: Apache-2.0
"""XML documents of S3, by the shapes that an operation's table has."""

from nexus_sdk import calls, utc, xml
from nexus_sdk.channel import HandOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, tzinfo
    from typing import Any
else:
    from _datetime import datetime


def read(operation: "dict[str, Any]", data: bytes, result: "dict[str, Any]", arguments: "dict[str, Any]") -> bool:
    """Adds the members in `data` to `result`; False if botocore has to look at it."""
    try:
        name, content = xml.parse(data)
        if name == "Error":
            # An error that S3 only found when the status had been sent: tried again, by rules that the SDK has.
            return False
        parsed = _structure(operation["document"], content)
        if operation["wrapped"] is None:
            result.update(parsed)
        else:
            result[operation["wrapped"]] = parsed
    except ValueError:
        return False
    if operation["decoded"] and "EncodingType" not in arguments and result.get("EncodingType") == "url":
        _decode(operation["decoded"], result)
    return True


def _structure(members: "Any", content: "Any") -> "dict[str, Any]":
    fields: dict[str, list[Any]] = {}
    if type(content) is list:
        for name, value in content:
            fields.setdefault(name, []).append(value)
    elif content.strip():
        raise ValueError(content)
    parsed: dict[str, Any] = {}
    for name, wire, kind, inner, flat in members:
        values = fields.get(wire)
        if values is None:
            continue
        if kind == "list":
            parsed[name] = _list(values, inner, flat)
        elif kind == "structure":
            parsed[name] = _structure(inner, values[0])
        else:
            parsed[name] = _scalar(kind, values[0])
    return parsed


def _list(values: "list[Any]", member: "Any", flat: "bool | None") -> "list[Any]":
    kind, inner, wire = member
    if flat is None:
        content = values[0]
        values = [value for name, value in content if name == wire] if type(content) is list else []
    if kind == "structure":
        return [_structure(inner, value) for value in values]
    return [_scalar(kind, value) for value in values]


def _scalar(kind: str, value: "Any") -> "str | int | datetime":
    if type(value) is not str:
        raise ValueError(value)
    if kind == "string":
        return value
    if kind == "integer":
        return int(value)
    if kind == "boolean":
        return value == "true"
    return timestamp(value)


def _decode(names: "Any", result: "dict[str, Any]") -> None:
    top, nested = names
    for name in top:
        if name in result:
            result[name] = _unquoted(result[name])
    for name, child in nested:
        for member in result.get(name, ()):
            member[child] = _unquoted(member[child])


def _unquoted(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    from urllib.parse import unquote_plus

    return unquote_plus(text)


def write(shapes: "dict[str, Any]", root: str, name: str, value: "Any") -> bytes:
    """A document of a shape. Raises `HandOver` for what botocore would refuse."""
    return _written(shapes, name, value, root, ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"').encode()


def _written(shapes: "dict[str, Any]", name: str, value: "Any", element: str, more: str = "") -> str:
    from nexus_sdk.shapes import members_of, scalar

    shape = shapes[name]
    kind = shape[0]
    if kind == "structure":
        members = members_of(shape, value)
        inside = "".join([_written(shapes, members[key][0], item, members[key][1]) for key, item in value.items()])
    elif kind == "list":
        of, wire = shape[2]
        if type(value) not in (list, tuple):
            raise HandOver
        if shape[3]:
            return "".join([_written(shapes, of, item, wire or element) for item in value])
        inside = "".join([_written(shapes, of, item, wire or "member") for item in value])
    elif kind in ("string", "boolean", "integer"):
        inside = _escaped(scalar(shape, value))
    else:
        raise HandOver
    return f"<{element}{more}>{inside}</{element}>"


def _escaped(text: str) -> str:
    # Other control characters are none of XML's.
    if not text.isprintable() and any(character < " " for character in text):
        raise HandOver
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def md5_header(body: "bytes | bytearray") -> str:
    """The header by which older releases protect a document."""
    from _md5 import md5  # type: ignore[import-not-found]
    from binascii import b2a_base64

    return f"content-md5\0{b2a_base64(md5(body).digest(), newline=False).decode()}\0"


def source(value: "Any") -> str:
    """What is to be copied, as a header."""
    if type(value) is dict:
        if not set(value) <= {"Bucket", "Key", "VersionId"} or "Key" not in value:
            raise HandOver
        version = f"?versionId={calls.header_text(value['VersionId'])}" if "VersionId" in value else ""
        return f"{calls.bucket_text(value.get('Bucket'))}/{calls.key_text(value['Key'])}{version}"
    # A version, or an access point.
    if type(value) is not str or "?" in value or ":" in value:
        raise HandOver
    return calls.key_text(value)


def timestamp(text: str) -> "datetime":
    """A time in one of the two forms that S3 uses. Raises ValueError for any other."""
    if text[10:11] != "T" or text[-1] != "Z":
        return calls.timestamp(text)
    import time

    # dateutil's parser takes a time that ends with Z for local time, if that is called UTC.
    zone = _local() if "UTC" in time.tzname else utc.UTC
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=zone)


def local_zone() -> "tzinfo | None":
    """Local time as botocore has it, if that is UTC."""
    import time

    return _local() if time.tzname == ("UTC", "UTC") else None


def _local() -> "Any":
    """`dateutil.tz.tzlocal`, where local time is UTC."""
    global _LOCAL
    if _LOCAL is None:
        _LOCAL = type("tzlocal", (utc.tzutc,), {"__module__": "dateutil.tz.tz"})()
    return _LOCAL


_LOCAL: "Any" = None
