# SPDX-License-Identifier: Apache-2.0
"""Results that are XML documents, by the shape that the operation's table has."""

from nexus_sdk import xml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any


def read(operation: "dict[str, Any]", data: bytes, result: "dict[str, Any]", arguments: "dict[str, Any]") -> bool:
    """Adds the members in `data` to `result`; False if botocore has to look at it."""
    try:
        name, content = xml.parse(data)
        if name == "Error":
            # An error that S3 only found when the status had been sent: tried again, by rules that the SDK has.
            return False
        result.update(_structure(operation["document"], content))
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
    from nexus_sdk.calls import timestamp

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
