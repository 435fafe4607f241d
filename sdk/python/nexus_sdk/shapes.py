# SPDX-License-Identifier: Apache-2.0
"""Operations whose arguments and results are documents as a whole: those of the protocols json and query.

Arguments are looked at as they are written; whatever botocore would refuse is handed over, and so are errors after which it
makes a call again.
"""

# The parts of Python's parser that cost nothing to load.
from _json import encode_basestring_ascii as _quoted
from _json import make_scanner
from binascii import a2b_base64, b2a_base64, crc32

from nexus_sdk import calls, channel
from nexus_sdk.channel import HandOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any
else:
    from _datetime import datetime

_FORM = "application/x-www-form-urlencoded; charset=utf-8"


class DocumentOperation:
    """An operation of a service in a region."""

    __slots__ = ("_head", "_input", "_is_json", "_output", "_shapes", "_start", "_wrapper", "service", "table")

    def __init__(self, service: "dict[str, Any]", region: str, table: "dict[str, Any]") -> None:
        self.service = service
        self.table = table
        self._shapes: dict[str, Any] = calls.shapes_of(service)
        self._input, self._output, self._wrapper = table["input"], table["output"], table["wrapper"]
        self._is_json = table["protocol"] == "json"
        name = table["name"]
        head = f"{service['service']}\0{region}\0{name}\0{table['method']}\0{table['uri']}\0content-type\0"
        if self._is_json:
            head += f"application/x-amz-json-{service['json']}\0x-amz-target\0{service['target']}.{name}\0"
        else:
            head += f"{_FORM}\0"
        self._head = head.encode()
        self._start = f"Action={name}&Version={service['version']}"

    def run(self, arguments: "dict[str, Any]", client: "Any" = None) -> "dict[str, Any] | None":
        """Makes the call and returns its result, or None if it is handed over."""
        try:
            answer = channel.call(self._head, self._body(arguments))
            if answer.status < 300:
                return self._result(answer)
            from nexus_sdk import errors

            error = errors.of_answer(self.service, self.table, answer, client)
        except (HandOver, ValueError, RecursionError):
            return None
        if error is None:
            return None
        raise error

    def _body(self, arguments: "dict[str, Any]") -> bytes:
        if self._is_json:
            return (_written(self._shapes, self._input, arguments) if self._input else "{}").encode()
        fields: list[str] = [self._start]
        if self._input:
            _form(self._shapes, self._input, arguments, "", fields)
        return "&".join(fields).encode()

    def _result(self, answer: "channel.Answer") -> "dict[str, Any]":
        headers = answer.headers
        data = answer.read()
        if "x-amz-crc32" in headers and int(headers["x-amz-crc32"]) != crc32(data):
            raise HandOver
        try:
            result, metadata = self._of_json(data, headers) if self._is_json else self._of_xml(data)
        except (HandOver, ValueError, RecursionError):
            # It was done, and must not be done again.
            from nexus_sdk import errors

            raise errors.unreadable(self.table["name"]) from None
        metadata["HTTPStatusCode"] = answer.status
        metadata["HTTPHeaders"] = headers
        metadata["RetryAttempts"] = answer.retries
        result["ResponseMetadata"] = metadata
        return result

    def _of_json(self, data: bytes, headers: "dict[str, str]") -> "tuple[dict[str, Any], dict[str, Any]]":
        result: dict[str, Any] = {}
        if self._output:
            result = read(self._shapes, self._output, loads(data.decode()) if data else {})
        request_id = headers.get("x-amzn-requestid")
        return result, {} if request_id is None else {"RequestId": request_id}

    def _of_xml(self, data: bytes) -> "tuple[dict[str, Any], dict[str, Any]]":
        from nexus_sdk import xml

        _, content = xml.parse(data)
        fields = dict(_elements(content))
        result = {}
        if self._output:
            if self._wrapper is None or self._wrapper not in fields:
                raise HandOver
            result = read_xml(self._shapes, self._output, fields[self._wrapper])
        return result, dict(_elements(fields.get("ResponseMetadata", [])))


def members_of(shape: "Any", value: "Any") -> "dict[str, tuple[str, str]]":
    """The members of a structure, if the value is one that botocore takes."""
    members, required, is_union = shape[2:]
    if type(value) is not dict or not all(name in members for name in value) or not all(name in value for name in required):
        raise HandOver
    if is_union and len(value) != 1:
        raise HandOver
    return members  # type: ignore[no-any-return]


def scalar(shape: "Any", value: "Any") -> str:
    """What has no parts, as text."""
    kind, minimum = shape[:2]
    given = type(value)
    if kind == "string":
        if given is not str or (minimum and len(value) < minimum):
            raise HandOver
        return value  # type: ignore[no-any-return]
    if kind == "boolean":
        if given is not bool:
            raise HandOver
        return "true" if value else "false"
    if kind == "integer" or (kind == "float" and given is int):
        if given is not int or (minimum is not None and value < minimum):
            raise HandOver
        return str(value)
    if kind == "blob":
        if given not in (bytes, bytearray):
            raise HandOver
        return b2a_base64(value, newline=False).decode()
    raise HandOver


def _written(shapes: "dict[str, Any]", name: str, value: "Any") -> str:
    """A value as JSON."""
    shape = shapes[name]
    kind = shape[0]
    if kind == "structure":
        members = members_of(shape, value)
        pairs = []
        for key, item in value.items():
            of, wire = members[key]
            pairs.append(f'"{wire}": {_written(shapes, of, item)}')
        return "{" + ", ".join(pairs) + "}"
    if kind == "list":
        if type(value) not in (list, tuple) or (shape[1] and len(value) < shape[1]):
            raise HandOver
        of = shape[2][0]
        return "[" + ", ".join([_written(shapes, of, item) for item in value]) + "]"
    if kind == "map":
        if type(value) is not dict:
            raise HandOver
        (of_key, _), (of, _) = shape[2:]
        return "{" + ", ".join([f"{_written(shapes, of_key, key)}: {_written(shapes, of, value[key])}" for key in value]) + "}"
    if kind == "converted":
        return _written(shape[4], name, _converted(shape[2], value))
    text = scalar(shape, value)
    return _quoted(text) if kind in ("string", "blob") else text


def _converted(convert: "Any", value: "Any") -> "Any":
    try:
        return convert(value)
    except Exception:
        # botocore's user gets to see why.
        raise HandOver from None


def _form(shapes: "dict[str, Any]", name: str, value: "Any", prefix: str, fields: "list[str]") -> None:
    """Adds a value's fields to a form, whose names begin with `prefix`."""
    shape = shapes[name]
    kind = shape[0]
    if kind == "structure":
        members = members_of(shape, value)
        for key, item in value.items():
            of, wire = members[key]
            _form(shapes, of, item, f"{prefix}.{wire}" if prefix else wire, fields)
    elif kind == "list":
        # botocore has a field for one that is empty.
        if type(value) not in (list, tuple) or not value or (shape[1] and len(value) < shape[1]):
            raise HandOver
        of, wire = shape[2]
        for number, item in enumerate(value, 1):
            _form(shapes, of, item, f"{prefix}.{wire or 'member'}.{number}", fields)
    elif kind == "map":
        if type(value) is not dict:
            raise HandOver
        (of_key, key_wire), (of, wire) = shape[2:]
        for number, key in enumerate(value, 1):
            _form(shapes, of_key, key, f"{prefix}.entry.{number}.{key_wire or 'key'}", fields)
            _form(shapes, of, value[key], f"{prefix}.entry.{number}.{wire or 'value'}", fields)
    else:
        fields.append(f"{prefix}={calls.in_query(scalar(shape, value))}")


def read(shapes: "dict[str, Any]", name: str, value: "Any") -> "Any":
    """What botocore makes of a value of a JSON document."""
    shape = shapes[name]
    kind = shape[0]
    if kind == "structure":
        members, _, is_union = shape[2:]
        if value is None:
            return None
        if type(value) is not dict or is_union:
            raise HandOver
        if len(value) == 1:
            # Above all an attribute of DynamoDB, which is one of ten kinds.
            ((wire, item),) = value.items()
            of, name = members.get(wire, ("", ""))
            if name == wire and item is not None:
                return {wire: read(shapes, of, item)}
        parsed = {}
        for key, (of, wire) in members.items():
            item = value.get(wire)
            if item is not None:
                parsed[key] = read(shapes, of, item)
        return parsed
    if kind == "list":
        if type(value) is not list:
            raise HandOver
        of = shape[2][0]
        return [read(shapes, of, item) for item in value]
    if kind == "map":
        if type(value) is not dict:
            raise HandOver
        of = shape[3][0]
        return {key: read(shapes, of, item) for key, item in value.items()}
    if kind == "converted":
        return _converted(shape[3], read(shape[4], name, value))
    if kind == "blob":
        return a2b_base64(value)
    if kind == "timestamp":
        return _time(value)
    return value


def _time(value: "Any") -> datetime:
    """A time in seconds, in botocore's local time."""
    from nexus_sdk.documents import local_zone

    zone = local_zone()
    if zone is None or type(value) not in (int, float):
        raise HandOver
    return datetime.fromtimestamp(value, zone)


def form_error(data: bytes) -> "tuple[list[tuple[str, Any]], dict[str, Any]]":
    """What a document says of an error that a call by form ended with, and of the call."""
    from nexus_sdk import xml

    _, content = xml.parse(data)
    fields = dict(_elements(content))
    if set(fields) != {"Error", "RequestId"}:
        raise HandOver
    return _elements(fields["Error"]), {"RequestId": fields["RequestId"]}


def _elements(content: "Any") -> "list[tuple[str, Any]]":
    if type(content) is not list or len({name for name, _ in content}) < len(content):
        raise HandOver
    return content


def read_xml(shapes: "dict[str, Any]", name: str, value: "Any") -> "Any":
    """What botocore makes of an element's content."""
    shape = shapes[name]
    kind = shape[0]
    if kind == "structure":
        if shape[4]:
            raise HandOver
        # An empty element has no list of elements.
        fields = dict(_elements(value)) if value else {}
        return {key: read_xml(shapes, of, fields[wire]) for key, (of, wire) in shape[2].items() if wire in fields}
    if kind == "list":
        of, wire = shape[2]
        items = value if type(value) is list else []
        return [read_xml(shapes, of, item) for element, item in items if element == (wire or "member")]
    if type(value) is not str:
        raise HandOver
    if kind == "string":
        return value
    if kind == "integer":
        return int(value)
    if kind == "boolean":
        return value == "true"
    raise HandOver


class _Plain:
    """What the parser is to make of a document's parts: what Python's own module makes of them."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo: "dict[str, str]" = {}

    @staticmethod
    def parse_constant(name: str) -> float:
        """Numbers that JSON does not have."""
        raise ValueError(name)


_scan = make_scanner(_Plain())  # type: ignore[arg-type]


def loads(text: str) -> "Any":
    """A document of JSON. Raises ValueError if it is something else."""
    text = text.strip(" \t\r\n")
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError(text) from None
    if end != len(text):
        raise ValueError(text)
    return value
