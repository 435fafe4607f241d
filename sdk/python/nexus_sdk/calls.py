# SPDX-License-Identifier: Apache-2.0
"""Operations: from keyword arguments to a message for the gateway, and from its answer to a result.

What an operation takes and gives is in its table. Whatever is not plain is handed over, before anything was sent or where
sending it twice does no harm: then the image's own SDK makes the call, and says what it has to say.

Programs call an operation with the same names of arguments again and again, and stores answer with the same names of headers.
So how to write a request, or to read an answer, is worked out once for each set of names.
"""

import io
import marshal
from binascii import crc32

from nexus_sdk import channel, streaming
from nexus_sdk.channel import HandOver
from nexus_sdk.utc import UTC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any, NoReturn
else:
    from _datetime import datetime

_BUCKET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
# What botocore leaves as it is, in a query and in a path.
_QUERY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
_PATH = _QUERY + "/"
# Larger files are read by the SDK, piece by piece, in bytes.
_FILE_MAX = 8 * 1024 * 1024
# Sets of names that are remembered for each operation.
_PLANS = 64
# What may be known of a body's checksum for it to be checked here.
_CHECKED = ("x-amz-checksum-crc32", "x-amz-checksum-type")
# Kinds of files that are read here; they are left at their end, as botocore leaves them.
_FILES = (io.BytesIO, io.BufferedReader)
_MONTHS = {
    "Jan": "01",
    "Feb": "02",
    "Mar": "03",
    "Apr": "04",
    "May": "05",
    "Jun": "06",
    "Jul": "07",
    "Aug": "08",
    "Sep": "09",
    "Oct": "10",
    "Nov": "11",
    "Dec": "12",
}


class NotDone(HandOver):
    """The answer says that nothing was done."""


class Operation:
    """An operation of a service in a region."""

    def __init__(self, service: "dict[str, Any]", region: str, table: "dict[str, Any]") -> None:
        self.service = service
        self.table = table
        # Seconds that an answer may take, where the gateway would wait for longer than the SDK does.
        self._patience: float | None = service.get("patience")
        self._start = f"{service['service']}\0{region}\0{table['name']}\0{table['method']}\0"
        self._requests: dict[tuple[str, ...], _Request] = {}
        self._answers: dict[str, _Reader] = {}
        if table["payload_out"] is not None:
            streaming.fit_bodies(service["body"])

    def run(self, arguments: "dict[str, Any]", client: "Any" = None) -> "dict[str, Any] | None":
        """Makes the call and returns its result, or None if it is handed over; raises what botocore raises.

        `client` is the real client that makes the call, if it is one.
        """
        try:
            request = self._requests.get(tuple(arguments))
            if request is None:
                request = self._write(arguments)
            head = request.start
            for name, convert, after in request.parts:
                head += convert(arguments[name]) + after
            if request.payload is None:
                answer = channel.call(head.encode("latin-1"), b"", self._patience)
            else:
                answer = request.call(head, arguments[request.payload], self._patience)
            if answer.status >= 301:
                return self._fail(answer, client)
            reader = self._answers.get(answer.names)
            if reader is None:
                reader = _remember(self._answers, answer.names, _Reader(self.table, answer.names))
            return self._read(reader, answer, arguments)
        except (HandOver, ValueError):
            return None

    def _read(self, reader: "_Reader", answer: "channel.Answer", arguments: "dict[str, Any]") -> "dict[str, Any]":
        if self.table["method"] != "POST":
            return reader.result(answer, arguments)
        try:
            return reader.result(answer, arguments)
        except NotDone:
            raise
        except (HandOver, ValueError):
            # It was done. Other methods may be done twice, this one not.
            from nexus_sdk import errors

            raise errors.unreadable(self.table["name"]) from None

    def _write(self, arguments: "dict[str, Any]") -> "_Request":
        """Works out how such a request is written."""
        request = _Request(self.service, self.table, self._start, arguments)
        return _remember(self._requests, tuple(arguments), request)  # type: ignore[no-any-return]

    def presign(self, arguments: "dict[str, Any]", seconds: int) -> "str | None":
        """A URL that makes the call, for so many seconds; None if it is handed over."""
        try:
            request = self._requests.get(tuple(arguments)) or self._write(arguments)
            if request.payload is not None:
                return None
            head = request.start
            for name, convert, after in request.parts:
                head += convert(arguments[name]) + after
            answer = channel.call(f"{head}x-nexus-presign\0{seconds}\0".encode("latin-1"), b"")
            if answer.status >= 301:
                self._fail(answer, None)
            return answer.read().decode()
        except (HandOver, ValueError):
            return None

    def _fail(self, answer: "channel.Answer", client: "Any") -> "NoReturn":
        """Raises the error of an answer."""
        from nexus_sdk import errors

        error = errors.of_answer(self.service, self.table, answer, client)
        if error is None:
            raise HandOver
        raise error


# Names of buckets that are well formed.
_buckets: "dict[str, str]" = {}
# Times of objects, which many answers have in common.
_times: "dict[str, datetime]" = {}
_operations: "dict[tuple[str, str, str], Any]" = {}


def operation(service: "dict[str, Any]", region: str, name: str) -> "Any":
    """The operation of this name, as Python has it."""
    key = service["key"], region, name
    if key not in _operations:
        table = marshal.loads(service["operations"][name])
        if service["key"] == "dynamodb resource":
            from nexus_sdk import items

            _operations[key] = items.ItemOperation(service, region, table)
        elif table["protocol"] in ("json", "query"):
            from nexus_sdk import shapes

            _operations[key] = shapes.DocumentOperation(service, region, table)
        else:
            _operations[key] = Operation(service, region, table)
    return _operations[key]


def _remember(known: "dict[Any, Any]", names: "Any", plan: "Any") -> "Any":
    # A program or a store that never says the same twice must not fill the memory.
    if len(known) >= _PLANS:
        known.clear()
    known[names] = plan
    return plan


class _Request:
    """How a request is written whose arguments have just these names: `start`, and each part with what comes after it."""

    def __init__(self, service: "dict[str, Any]", table: "dict[str, Any]", start: str, names: "dict[str, Any]") -> None:
        parameters = table["parameters"]
        if not all(name in parameters for name in names) or not all(name in names for name in table["required"]):
            raise HandOver
        self.payload: str | None = None
        # Shapes, root and shape of a payload that is a document.
        self._document: tuple[dict[str, Any], str, str] | None = None
        self._md5: bool = table["md5"]
        # The header that names the algorithm, if there is a checksum of what goes up.
        self.checksum: str | None = table["checksum"] if table["payload_in"] else None
        places = {}
        query: list[tuple[str, str, Callable[[Any], str]]] = []
        fields: list[tuple[str, str, Callable[[Any], str]]] = []
        for name in names:
            where, wire, kind = parameters[name]
            if where == "uri":
                places[wire] = name
            elif where == "querystring":
                query.append((wire + "=", name, _IN_QUERY[kind]))
            elif where == "header":
                fields.append((wire + "\0", name, _IN_HEADER[kind]))
            elif where == "headers":
                fields.append(("", name, _prefixed(wire)))
            else:
                self.payload = name
                if where == "document":
                    self._document = (shapes_of(service), wire, kind)
        self.start = start
        self.parts: list[tuple[str, Callable[[Any], str], str]] = []
        path, _, fixed = table["uri"].partition("?")
        self._path(path, places)
        given = [wire for wire, _, _ in query]
        always = [fixed] if fixed else []
        always += [text for text in table["query"] if text[: text.index("=") + 1] not in given]
        mark = "?"
        for text in always:
            self._literal(mark + text)
            mark = "&"
        for wire, name, convert in query:
            self._literal(mark + wire)
            self.parts.append((name, convert, ""))
            mark = "&"
        self._literal("\0")
        for wire, name, convert in fields:
            self._literal(wire)
            self.parts.append((name, convert, "\0" if wire else ""))
        if table["validation"]:
            self._literal(table["validation"] + "\0ENABLED\0")
        if self.checksum is not None and self.payload is None:
            self._literal(_checksum(self.checksum, b""))

    def _path(self, path: str, places: "dict[str, str]") -> None:
        first, *rest = path.split("{")
        self._literal(first)
        for piece in rest:
            wire, _, literal = piece.partition("}")
            self.parts.append((places[wire.rstrip("+")], _PLACES.get(wire, _label), literal))

    def _literal(self, text: str) -> None:
        if self.parts:
            name, convert, after = self.parts[-1]
            self.parts[-1] = (name, convert, after + text)
        else:
            self.start += text

    def call(self, head: str, value: "Any", patience: "float | None") -> "channel.Answer":
        """Makes the call with a body; a file is where it was, if the call is handed over."""
        start = value.tell() if type(value) in _FILES else None
        try:
            if self._document is None:
                body = _bytes(value)
            else:
                from nexus_sdk import documents

                body = documents.write(*self._document, value)
                if self._md5:
                    head += documents.md5_header(body)
            if self.checksum is not None:
                head += _checksum(self.checksum, body)
            return channel.call(head.encode("latin-1"), body, patience)
        except (HandOver, ValueError):
            if start is not None:
                value.seek(start)
            raise HandOver from None


def _checksum(name: str, body: "bytes | bytearray | channel.Pieces") -> str:
    if isinstance(body, channel.Pieces):
        value = 0
        for piece in body:
            value = crc32(piece, value)
    else:
        value = crc32(body)
    return f"x-amz-checksum-crc32\0{channel.checksum_text(value)}\0{name}\0CRC32\0"


def shapes_of(service: "dict[str, Any]") -> "dict[str, Any]":
    """The shapes of a service's documents."""
    if type(service["shapes"]) is bytes:
        service["shapes"] = marshal.loads(service["shapes"])
    return service["shapes"]  # type: ignore[no-any-return]


def _bytes(value: "Any") -> "Any":
    kind = type(value)
    if kind is bytes or kind is bytearray or issubclass(kind, channel.Pieces):
        return value
    if kind is str:
        return value.encode()
    if kind in _FILES:
        data = value.read(_FILE_MAX)
        if len(data) < _FILE_MAX:
            return data
    raise HandOver


def bucket_text(value: "Any") -> str:
    """A bucket's name as part of a path."""
    if type(value) is str and value in _buckets:
        return value
    # Buckets of one zone have sessions of their own.
    if type(value) is not str or not value or len(value) > 255 or value.strip(_BUCKET) or value.endswith("--x-s3"):
        raise HandOver
    return _remember(_buckets, value, value)  # type: ignore[no-any-return]


def key_text(value: "Any") -> str:
    """A key as part of a path."""
    if type(value) is str and value and not value.strip(_PATH):
        return value
    if not value:
        raise HandOver
    return _encoded(value, _PATH)


def _label(value: "Any") -> str:
    if not value:
        raise HandOver
    return _encoded(value, _QUERY)


_PLACES = {"Bucket": bucket_text, "Key+": key_text}


def _encoded(value: "Any", safe: str) -> str:
    """Percent-encoding as SigV4 wants it."""
    if type(value) is not str:
        raise HandOver
    if not value.strip(safe):
        return value
    # A lone surrogate is a ValueError.
    return "".join([chr(byte) if chr(byte) in safe else f"%{byte:02X}" for byte in value.encode()])


def in_query(value: "Any") -> str:
    """A text as it stands in a query or in a form."""
    return _encoded(value, _QUERY)


def header_text(value: "Any") -> str:
    """A text as a header."""
    if type(value) is not str or not value.isascii() or not value.isprintable():
        raise HandOver
    return value


def _integer(value: "Any") -> str:
    if type(value) is not int:
        raise HandOver
    return str(value)


def _boolean(value: "Any") -> str:
    if type(value) is not bool:
        raise HandOver
    return "true" if value else "false"


def _source(value: "Any") -> str:
    from nexus_sdk import documents

    return documents.source(value)


_IN_QUERY = {"string": in_query, "integer": _integer, "boolean": _boolean}
_IN_HEADER = {"source": _source, "string": header_text, "integer": _integer, "boolean": _boolean}


def _prefixed(prefix: str) -> "Callable[[Any], str]":
    """Writes a dictionary as headers whose names begin with `prefix`."""

    def write(value: "Any") -> str:
        if type(value) is not dict:
            raise HandOver
        text = ""
        for name, item in value.items():
            if not name or " " in header_text(name) or ":" in name:
                raise HandOver
            text += f"{prefix}{name}\0{header_text(item)}\0"
        return text

    return write


class _Reader:
    """How an operation reads answers that have headers of just these names."""

    def __init__(self, table: "dict[str, Any]", names: str) -> None:
        self._table = table
        self._payload: str | None = table["payload_out"]
        keys = names.split("\0") if names else []
        # What comes more than once is one header, whose values have to be joined.
        self._are_joined = len(set(keys)) < len(keys)
        if self._are_joined:
            keys = list(dict.fromkeys(keys))
        self._keys = keys
        self._request_id: str | None = None
        for name in ("x-amz-request-id", "x-amzn-requestid"):
            if name in keys:
                self._request_id = name
        # What only botocore reads as it should.
        self._unread = "expires" in keys and table["expires"]
        self._checksum: int | None = None
        if table["validation"]:
            sums = [name for name in keys if name.startswith("x-amz-checksum-")]
            self._unread = self._unread or any(name not in _CHECKED for name in sums)
            if _CHECKED[0] in sums:
                self._checksum = keys.index(_CHECKED[0])
        self._members = self._find(table)

    def _find(self, table: "dict[str, Any]") -> "list[tuple[str, Any, Any]]":
        """The members of the result in the model's order: name, what makes it of a text, and where that stands."""
        found: list[Any] = []
        for position, key in enumerate(self._keys):
            if key in table["members"]:
                place, name, kind = table["members"][key]
                found.append((place, name, _MEMBERS[kind], position))
        if table["prefixed"] is not None:
            place, name, prefix = table["prefixed"]
            inside = [(key[len(prefix) :], at) for at, key in enumerate(self._keys) if key.startswith(prefix)]
            found.append((place, name, dict, inside))
        if table["status"] is not None:
            found.append((*table["status"], _STATUS, None))
        found.sort(key=lambda member: member[0])
        return [member[1:] for member in found]

    def result(self, answer: "channel.Answer", arguments: "dict[str, Any]") -> "dict[str, Any]":
        """The result of such an answer."""
        if self._unread:
            answer.close()
            raise HandOver
        values = answer.values
        if self._are_joined:
            headers = answer.headers
            values = list(headers.values())
        else:
            headers = dict(zip(self._keys, values))
        if self._request_id is None:
            metadata: dict[str, Any] = {"HTTPStatusCode": answer.status, "HTTPHeaders": headers}
        else:
            metadata = {"RequestId": headers[self._request_id]}
            if self._request_id == "x-amz-request-id":
                metadata["HostId"] = headers.get("x-amz-id-2", "")
            metadata["HTTPStatusCode"] = answer.status
            metadata["HTTPHeaders"] = headers
        result: dict[str, Any] = {"ResponseMetadata": metadata}
        for name, convert, position in self._members:
            if convert is None:
                result[name] = values[position]
            elif convert is dict:
                result[name] = {key: values[at] for key, at in position} if position else {}
            elif convert is _STATUS:
                result[name] = answer.status
            else:
                result[name] = convert(values[position])
        if self._payload is not None:
            expected = "-" if self._checksum is None else values[self._checksum]
            # With a dash it is made of the parts' checksums, which nobody can check.
            if "-" in expected:
                result[self._payload] = streaming.StreamingBody(answer, answer.length)
            else:
                metadata["ChecksumAlgorithm"] = "crc32"
                result[self._payload] = streaming.StreamingChecksumBody(answer, answer.length, 0, expected)
        elif self._table["document"] is not None:
            self._document(answer, result, arguments)
        else:
            answer.read()
        metadata["RetryAttempts"] = answer.retries
        return result

    def _document(self, answer: "channel.Answer", result: "dict[str, Any]", arguments: "dict[str, Any]") -> None:
        from nexus_sdk import documents

        data = answer.read()
        if not documents.read(self._table, data, result, arguments):
            # S3 reports some failures with status 200, and those are tried again.
            raise NotDone if b"<Error>" in data else HandOver


def timestamp(text: str) -> "datetime":
    """A time in the form that headers have, `Wed, 21 Oct 2015 07:28:00 GMT`. Raises ValueError for any other."""
    known = _times.get(text)
    if known is not None:
        return known
    if text[25:] == " GMT":
        day = f"{text[12:16]}-{_MONTHS.get(text[8:11])}-{text[5:7]} {text[17:25]}"
        naive = datetime.fromisoformat(day)
        # Not by replace(), which costs ten times as much.
        return _remember(_times, text, datetime.combine(naive, naive.time(), UTC))  # type: ignore[no-any-return]
    raise ValueError(text)


def _is_true(text: str) -> bool:
    return text == "true"


# Stands where others have what makes a member of a header.
_STATUS = object()
_MEMBERS: "dict[str, Any]" = {"string": None, "integer": int, "boolean": _is_true, "timestamp": timestamp}
