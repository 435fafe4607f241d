# SPDX-License-Identifier: Apache-2.0
"""Calls that botocore's models describe: arguments for an operation, and answers of the service, made by chance.

What is made is what a model allows, and some of what it does not. A seed decides all of it.
"""

from __future__ import annotations

import datetime
import json
import random
from base64 import b64encode
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

TEXTS = ("a", "plain-text", "a b/c", "ü+%&=?#~*'()", "0", " in between ", 'a "quoted" <text>', "x" * 300, "2026-01-02", "true")
# In an answer, where a server would have escaped what XML and headers do not hold.
SAID = ("a", "plain text", "ü & <b>", "0", 'W/"quoted"', "a%20b+c", "")
BUCKETS = ("bucket", "my.bucket-1", "Bucket_2", "not a bucket")
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
# How deep what is made may be; shapes may hold themselves.
DEPTH = 5


class Maker:
    """Makes values of shapes."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def arguments(self, shape: Any) -> dict[str, Any]:
        """Arguments for an operation: mostly such as its model allows."""
        if shape is None:
            return {}
        made: dict[str, Any] = self._structure(shape, 0)
        if self._one_in(12) and made:
            # Of another kind, missing, or unknown.
            name = self._random.choice(list(made))
            made[name] = self._random.choice([1, "text", None, {}, [], b"x", True, 1.5])
        if self._one_in(25) and made:
            del made[self._random.choice(list(made))]
        if self._one_in(40):
            made["Unknown"] = "x"
        return made

    def _one_in(self, count: int) -> bool:
        return self._random.randrange(count) == 0

    def _structure(self, shape: Any, depth: int) -> dict[str, Any]:
        chance = self._random
        others = [name for name in shape.members if name not in shape.required_members]
        count = 0 if depth > DEPTH else min(chance.randrange(4), len(others))
        names = [*shape.required_members, *chance.sample(others, count)]
        if getattr(shape, "is_tagged_union", False):
            names = [chance.choice(list(shape.members))]
        chance.shuffle(names)
        return {name: self._value(shape.members[name], depth + 1, name) for name in names}

    def _value(self, shape: Any, depth: int, name: str = "") -> Any:
        chance = self._random
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape, depth)
        if kind == "list":
            return [self._value(shape.member, depth + 1) for _ in range(0 if depth > DEPTH else chance.randrange(3))]
        if kind == "map":
            names = chance.sample(["one", "Two-2", "#n", ":v"], 0 if depth > DEPTH else chance.randrange(3))
            return {key: self._value(shape.value, depth + 1) for key in names}
        if kind == "string":
            if name == "Bucket":
                return chance.choice(BUCKETS[: 4 if self._one_in(6) else 3])
            return chance.choice(shape.enum or TEXTS)
        if kind == "boolean":
            return chance.choice([True, False])
        if kind in ("integer", "long"):
            return chance.choice([0, 1, 5, 1000, -1])
        if kind in ("float", "double"):
            return chance.choice([0.5, 3, -1.25])
        if kind == "timestamp":
            return chance.choice([MOMENT, MOMENT.replace(tzinfo=None), "2026-01-02T03:04:05Z", 1767323045])
        if kind == "blob":
            return chance.choice([b"", b"\0bytes\xff", bytearray(b"array"), "text"])
        raise NotImplementedError(kind)

    def answer(self, model: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer, or of an error."""
        if self._one_in(4):
            return self._error(model)
        headers = self._headers_of(model)
        shape = model.output_shape
        protocol = model.service_model.protocol
        if protocol == "json":
            return 200, headers, json.dumps(self._document(shape) if shape is not None else {}).encode()
        if protocol == "query":
            return 200, headers, self._of_query(model).encode()
        if shape is None:
            return self._random.choice([200, 204]), headers, b""
        return self._random.choice([200, 200, 206]), {**headers, **self._members_in_headers(shape)}, self._body(shape, protocol)

    def _headers_of(self, model: Any) -> dict[str, str]:
        is_s3 = model.service_model.service_name == "s3"
        name = "x-amz-request-id" if is_s3 else "x-amzn-requestid"
        headers = {name: "request-1", "date": "Fri, 02 Jan 2026 03:04:05 GMT", "x-other": self._random.choice(SAID[:2])}
        if is_s3 and self._one_in(2):
            headers["x-amz-id-2"] = "host-1"
        return headers

    def _members_in_headers(self, shape: Any) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, member in shape.members.items():
            where = member.serialization.get("location")
            wire = member.serialization.get("name", name)
            # Checksums have to be those of the body, which other tests look at.
            if where not in ("header", "headers") or wire.startswith("x-amz-checksum") or not self._one_in(2):
                continue
            if where == "headers":
                headers.update({f"{wire}{key}".lower(): self._random.choice(SAID[:2]) for key in ("one", "Two")})
            else:
                headers[wire.lower()] = self._text(member, "rfc822", SAID[:2])
        return headers

    def _body(self, shape: Any, protocol: str) -> bytes:
        payload = shape.serialization.get("payload")
        if payload is not None:
            shape = shape.members[payload]
            if shape.type_name in ("blob", "string"):
                return self._random.choice([b"", b"\0content\xff" if shape.type_name == "blob" else b"content"])
        if protocol == "rest-json":
            return json.dumps(self._document(shape)).encode()
        inner = self._elements(shape, 0)
        if not inner and payload is None and not any("location" not in m.serialization for m in shape.members.values()):
            return b""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<{shape.name}>{inner}</{shape.name}>'.encode()

    def _document(self, shape: Any, depth: int = 0) -> Any:
        """JSON of a shape."""
        kind = shape.type_name
        if kind == "structure":
            names = [name for name, member in shape.members.items() if "location" not in member.serialization]
            if getattr(shape, "is_tagged_union", False) or self._is_attribute(shape):
                names = [self._random.choice(names)]
            elif depth > DEPTH:
                names = []
            else:
                names = [name for name in names if self._one_in(2)]
            members = {name: shape.members[name] for name in names}
            return {m.serialization.get("name", name): self._document(m, depth + 1) for name, m in members.items()}
        if kind == "list":
            return [self._document(shape.member, depth + 1) for _ in range(0 if depth > DEPTH else self._random.randrange(3))]
        if kind == "map":
            keys = self._random.sample(["one", "Two"], 0 if depth > DEPTH else self._random.randrange(3))
            return {key: self._document(shape.value, depth + 1) for key in keys}
        if kind == "boolean":
            return self._random.choice([True, False])
        if kind in ("integer", "long"):
            return self._random.choice([0, 1, 2**40])
        if kind in ("float", "double"):
            return self._random.choice([0.5, 1, 2.0])
        if kind == "timestamp":
            return self._random.choice([1767323045, 1767323045.678])
        return self._text(shape, "unixtimestamp", SAID)

    def _is_attribute(self, shape: Any) -> bool:
        # Of which one member is set, as of a union; not all releases say so.
        return bool(shape.name == "AttributeValue")

    def _elements(self, shape: Any, depth: int) -> str:
        """What is in the element of a structure."""
        text = ""
        for name, member in shape.members.items():
            if "location" in member.serialization or not self._one_in(2) or depth > DEPTH:
                continue
            wire = member.serialization.get("name", name)
            if member.type_name == "list" and member.serialization.get("flattened"):
                wire = member.serialization.get("name", member.member.serialization.get("name", name))
                text += "".join(self._element(wire, member.member, depth) for _ in range(self._random.randrange(3)))
            else:
                text += self._element(wire, member, depth)
        return text

    def _element(self, name: str, shape: Any, depth: int) -> str:
        kind = shape.type_name
        if kind == "structure":
            inner = self._elements(shape, depth + 1)
        elif kind == "list":
            wire = shape.member.serialization.get("name", "member")
            inner = "".join(self._element(wire, shape.member, depth + 1) for _ in range(self._random.randrange(3)))
        elif kind == "map":
            inner = "".join(
                f"<entry><key>{key}</key>{self._element('value', shape.value, depth + 1)}</entry>" for key in ("one", "Two")
            )
        else:
            inner = escape(self._text(shape, "iso8601", SAID))
        return f"<{name}>{inner}</{name}>"

    def _text(self, shape: Any, form: str, texts: tuple[str, ...]) -> str:
        """What has no parts, as it stands in a header or an element."""
        kind, chance = shape.type_name, self._random
        if kind == "boolean":
            return chance.choice(["true", "false"])
        if kind in ("integer", "long"):
            return str(chance.choice([0, 1, 2**40]))
        if kind in ("float", "double"):
            return chance.choice(["0.5", "1"])
        if kind == "blob":
            return b64encode(chance.choice([b"", b"\0bytes\xff"])).decode()
        if kind == "timestamp":
            form = shape.serialization.get("timestampFormat", form)
            if form == "rfc822":
                return format_datetime(MOMENT, usegmt=True)
            return chance.choice(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z"]) if form == "iso8601" else "1767323045"
        if shape.enum:
            return str(chance.choice(shape.enum))
        # Lists of objects may say that their keys are encoded.
        return quote(chance.choice(texts)) if self._one_in(8) else chance.choice(texts)

    def _of_query(self, model: Any) -> str:
        wrapper = model.output_shape.serialization.get("resultWrapper", f"{model.name}Result")
        result = f"<{wrapper}>{self._elements(model.output_shape, 0)}</{wrapper}>"
        metadata = "<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata>"
        return f'<{model.name}Response xmlns="http://service/">{result}{metadata}</{model.name}Response>'

    def _error(self, model: Any) -> tuple[int, dict[str, str], bytes]:
        chance = self._random
        shapes = list(model.error_shapes)
        codes = [shape.metadata.get("error", {}).get("code") or shape.name for shape in shapes]
        code = chance.choice([*codes, "AccessDenied", "NoSuchKey", "Throttling", "InvalidRequest", "Unheard"])
        status = chance.choice([400, 400, 403, 404, 409, 412, 500, 503])
        message = chance.choice(SAID)
        headers = self._headers_of(model)
        protocol = model.service_model.protocol
        if protocol == "json":
            prefix = chance.choice(["", "com.amazonaws.service#"])
            said = {"__type": prefix + code, chance.choice(["message", "Message"]): message}
            return status, headers, json.dumps(said).encode()
        if protocol == "rest-json":
            headers["x-amzn-errortype"] = code
            return status, headers, json.dumps({"Type": "User", "Message": message}).encode()
        text = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        if protocol == "query":
            error = f"<Error><Type>Sender</Type>{text}</Error><RequestId>request-1</RequestId>"
            return status, headers, f'<ErrorResponse xmlns="http://service/">{error}</ErrorResponse>'.encode()
        if model.http["method"] == "HEAD" or self._one_in(6):
            return status, headers, b""
        more = "<Key>k</Key><RequestId>request-1</RequestId><HostId>host-1</HostId>"
        return status, headers, f"<Error>{text}{more}</Error>".encode()
