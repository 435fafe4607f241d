# SPDX-License-Identifier: Apache-2.0
"""botocore's exceptions, made of an answer that is one."""

from binascii import crc32

from nexus_sdk import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from nexus_sdk.channel import Answer

# What http.client.responses says of the statuses that answers without a body have.
_PHRASES = {
    304: "Not Modified",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    416: "Requested Range Not Satisfiable",
}

# One set of classes for each service, as botocore has one for each session.
_classes: "dict[tuple[str, str], type[Exception]]" = {}


class Factory:
    """`client.exceptions`."""

    def __init__(self, service: "dict[str, Any]") -> None:
        self._service = service
        self._code_to_exception = {code: _class(service, name) for code, name, _ in _known(service)}

    @property
    def ClientError(self) -> "Any":  # noqa: N802
        """Botocore's own."""
        from botocore.exceptions import ClientError

        return ClientError

    def from_code(self, code: "str | None") -> "type[Exception]":
        """The class for an error code."""
        return self._code_to_exception.get(code) or self.ClientError

    def __getattr__(self, name: str) -> "type[Exception]":
        names = [known for _, known, _ in _known(self._service)]
        if name in names:
            return _class(self._service, name)
        kind = f"<botocore.errorfactory.{self._service['class']}Exceptions object at {id(self):#x}>"
        raise AttributeError(f"{kind} object has no attribute {name}. Valid exceptions are: {', '.join(names)}")


def unreadable(operation: str) -> "Exception":
    """The error for an answer that says that a call was made, and that nobody can read."""
    from botocore.parsers import ResponseParserError

    return ResponseParserError(f"The answer to {operation} cannot be read. The call was made, and is not made again.")  # type: ignore[no-any-return]


def _known(service: "dict[str, Any]") -> "Any":
    """Code, class and shape of each error, in botocore's order."""
    if type(service["errors"]) is bytes:
        import marshal

        service["errors"] = marshal.loads(service["errors"])
    return service["errors"]


def _shapes(service: "dict[str, Any]") -> "dict[Any, str | None]":
    """The shape of each error by its code: none if botocore has to look at it, an empty text if it has no members."""
    return {code: shape for code, _, shape in _known(service)}


def _class(service: "dict[str, Any]", name: str) -> "type[Exception]":
    from botocore.exceptions import ClientError

    key = (service["service"], name)
    if key not in _classes:
        _classes[key] = type(name, (ClientError,), {"__module__": "botocore.errorfactory"})
    return _classes[key]


def share() -> None:
    """Has the real SDK raise the classes that programs may hold already."""
    from botocore.errorfactory import ClientExceptionsFactory

    make = ClientExceptionsFactory._create_client_exceptions
    if make.__name__ == "_with_shared":
        return

    def _with_shared(self: "Any", service_model: "Any") -> "Any":
        exceptions = make(self, service_model)
        known = {name: kind for (of, name), kind in _classes.items() if of == service_model.service_name}
        for code, kind in exceptions._code_to_exception.items():
            exceptions._code_to_exception[code] = known.get(kind.__name__, kind)
        for name, kind in known.items():
            setattr(type(exceptions), name, kind)
        return exceptions

    ClientExceptionsFactory._create_client_exceptions = _with_shared


def of_answer(service: "dict[str, Any]", table: "dict[str, Any]", answer: "Answer", client: "Any") -> "Exception | None":
    """The exception that botocore makes of such an answer to an operation, or None if only botocore knows.

    Raises `HandOver` or ValueError if it cannot be read.
    """
    # These are tried again, or somewhere else, by rules that the SDK has.
    if answer.status in (300, 301, 307, 429) or answer.status >= 500:
        answer.close()
        return None
    if table["protocol"] == "rest-xml":
        return _of_s3(service, table["name"], answer, client)
    return _of_document(service, table, answer, client)


def _of_s3(service: "dict[str, Any]", operation: str, answer: "Answer", client: "Any") -> "Exception | None":
    body = answer.read()
    status, headers = answer.status, answer.headers
    # Some of these are, too.
    if status == 400:
        return None
    fields = _parse(body) if body else []
    # After some codes a call is made again, whatever the status.
    if fields is None or dict(fields).get("Code") in service["retried"]:
        return None
    if "x-amzn-requestid" in headers:
        metadata: dict[str, Any] = {"RequestId": headers["x-amzn-requestid"]}
    elif "x-amz-request-id" in headers or not body:
        metadata = {"RequestId": headers.get("x-amz-request-id", ""), "HostId": headers.get("x-amz-id-2", "")}
    else:
        metadata = {}
    if body:
        error = {name: value or None for name, value in fields if name not in ("RequestId", "HostId")}
    elif status in _PHRASES:
        error = {"Code": str(status), "Message": _PHRASES[status]}
    else:
        return None
    parsed = {"Error": error, "ResponseMetadata": metadata}
    shape = _shapes(service).get(error.get("Code"), "")
    if shape is None:
        return None
    if shape:
        from nexus_sdk import shapes

        parsed.update(shapes.read_xml(calls.shapes_of(service), shape, fields))
    return _made(service, operation, answer, client, parsed)


def of_refusal(service: "dict[str, Any]", operation: str, answer: "Answer") -> "Exception":
    """The exception for an answer of the gateway itself that nobody else has a better one for."""
    body = answer.read()
    error = {name: value for name, value in _parse(body) or () if name not in ("RequestId", "HostId")}
    if not error:
        error = {"Code": str(answer.status), "Message": _PHRASES.get(answer.status, "")}
    metadata = {"RequestId": answer.headers.get("x-amz-request-id", "")}
    return _made(service, operation, answer, None, {"Error": error, "ResponseMetadata": metadata})


def _parse(body: bytes) -> "list[tuple[str, str]] | None":
    """The fields of S3's error document; None if it is something else."""
    from nexus_sdk import xml

    try:
        name, fields = xml.parse(body)
    except ValueError:
        return None
    if name != "Error" or type(fields) is not list or len({field for field, _ in fields}) < len(fields):
        return None
    return fields if all(type(value) is str for _, value in fields) else None


def _of_document(service: "dict[str, Any]", table: "dict[str, Any]", answer: "Answer", client: "Any") -> "Exception | None":
    """Of services whose errors are documents of their shapes, which say whether a call is made again."""
    from nexus_sdk import shapes

    headers, body = answer.headers, answer.read()
    if "x-amz-crc32" in headers and int(headers["x-amz-crc32"]) != crc32(body):
        return None
    read: Callable[[dict[str, Any], str, Any], Any]
    if table["protocol"] == "query":
        fields, metadata = shapes.form_error(body)
        error, code, read = _of_form(fields), None, shapes.read_xml
    else:
        fields = shapes.loads(body.decode())
        error, code = _of_json(fields, headers, table["protocol"] == "rest-json")
        metadata = {"RequestId": headers["x-amzn-requestid"]} if "x-amzn-requestid" in headers else {}
        read = shapes.read
    by_code = _shapes(service)
    found = [by_code[known] for known in (error["Code"], code) if known in by_code]
    if not found or None in found:
        return None
    parsed = {"Error": error, "ResponseMetadata": metadata}
    shape = by_code.get(error["Code"])
    if shape:
        parsed.update(read(calls.shapes_of(service), shape, fields))
    return _made(service, table["name"], answer, client, parsed, code)


def _of_form(fields: "list[tuple[str, Any]]") -> "dict[str, Any]":
    """What such a document says of an error, where that is plain text."""
    error = dict(fields)
    if "Code" not in error or not all(type(text) is str for text in error.values()):
        raise ValueError(fields)
    return {name: text or None for name, text in error.items()}


def _of_json(fields: "Any", headers: "dict[str, str]", is_rest: bool) -> "tuple[dict[str, Any], str | None]":
    """What a document says of an error; and the code that its class goes by, if it has another one for programs.

    Raises ValueError if releases of botocore differ in what they make of it.
    """
    if is_rest:
        code = headers["x-amzn-errortype"].partition(":")[0] if "x-amzn-errortype" in headers else None
    else:
        code = fields.get("__type") if type(fields) is dict else None
    if type(fields) is not dict or type(code) is not str or ":" in code or (is_rest and "#" in code):
        raise ValueError(code)
    code = code.rpartition("#")[2]
    error = {"Message": fields.get("message", fields.get("Message", "")), "Code": code}
    # Of services that once spoke another protocol, whose codes programs know.
    former, mark, kind = headers.get("x-amzn-query-error", "").partition(";")
    if not mark:
        return error, None
    if not former or ";" in kind or is_rest:
        raise ValueError(former)
    return {"Message": error["Message"], "Code": former, "QueryErrorCode": code, "Type": kind}, code


def _made(
    service: "dict[str, Any]", operation: str, answer: "Answer", client: "Any", parsed: "dict[str, Any]", code: "Any" = None
) -> "Exception":
    """The exception of the class that goes by `code`, or by the one that programs see."""
    metadata = parsed["ResponseMetadata"]
    metadata["HTTPStatusCode"] = answer.status
    metadata["HTTPHeaders"] = answer.headers
    metadata["RetryAttempts"] = answer.retries
    if client is None and "exceptions" not in service:
        service["exceptions"] = Factory(service)
    exceptions = service["exceptions"] if client is None else client.exceptions
    return exceptions.from_code(code or parsed["Error"].get("Code"))(parsed, operation)
