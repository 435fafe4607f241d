# SPDX-License-Identifier: Apache-2.0
"""botocore's exceptions, made of an answer that is one."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nexus_sdk.channel import Answer

# What http.client.responses says of the statuses that answers without a body have.
_PHRASES = {
    301: "Moved Permanently",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    416: "Requested Range Not Satisfiable",
    501: "Not Implemented",
}

# One set of classes for each service, as botocore has one for each session.
_classes: "dict[tuple[str, str], type[Exception]]" = {}


class Factory:
    """`client.exceptions`."""

    def __init__(self, service: "dict[str, Any]") -> None:
        self._service = service
        self._code_to_exception = {code: _class(service, name) for code, name in _names(service)}

    @property
    def ClientError(self) -> "Any":  # noqa: N802
        """Botocore's own."""
        from botocore.exceptions import ClientError

        return ClientError

    def from_code(self, code: "str | None") -> "type[Exception]":
        """The class for an error code."""
        return self._code_to_exception.get(code) or self.ClientError

    def __getattr__(self, name: str) -> "type[Exception]":
        names = [known for _, known in _names(self._service)]
        if name in names:
            return _class(self._service, name)
        kind = f"<botocore.errorfactory.{self._service['class']}Exceptions object at {id(self):#x}>"
        raise AttributeError(f"{kind} object has no attribute {name}. Valid exceptions are: {', '.join(names)}")


def unreadable(operation: str) -> "Exception":
    """The error for an answer that says that a call was made, and that nobody can read."""
    from botocore.parsers import ResponseParserError

    return ResponseParserError(f"The answer to {operation} cannot be read. The call was made, and is not made again.")  # type: ignore[no-any-return]


def _names(service: "dict[str, Any]") -> "Any":
    """Code and class of each error, in botocore's order."""
    if type(service["errors"]) is bytes:
        import marshal

        service["errors"] = marshal.loads(service["errors"])
    return service["errors"]


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


def of_answer(service: "dict[str, Any]", operation: str, answer: "Answer", client: "Any") -> "Exception | None":
    """The exception that botocore makes of such an answer, or None if only botocore knows."""
    body = answer.read()
    status, headers = answer.status, answer.headers
    error = _parse(body) if body else None
    if error is None and body:
        return None
    if "x-amzn-requestid" in headers:
        metadata: dict[str, Any] = {"RequestId": headers["x-amzn-requestid"]}
    elif "x-amz-request-id" in headers or error is None:
        metadata = {"RequestId": headers.get("x-amz-request-id", ""), "HostId": headers.get("x-amz-id-2", "")}
    else:
        metadata = {}
    if error is None:
        if status not in _PHRASES:
            return None
        error = {"Code": str(status), "Message": _PHRASES[status]}
    metadata["HTTPStatusCode"] = status
    metadata["HTTPHeaders"] = headers
    metadata["RetryAttempts"] = answer.retries
    parsed = {"Error": error, "ResponseMetadata": metadata}
    exceptions = Factory(service) if client is None else client.exceptions
    return exceptions.from_code(error.get("Code"))(parsed, operation)


def _parse(body: bytes) -> "dict[str, str] | None":
    """The fields of S3's error document; None if it is something else."""
    from nexus_sdk import xml

    try:
        name, fields = xml.parse(body)
    except ValueError:
        return None
    if name != "Error":
        return None
    error: dict[str, str] = {}
    for field, value in fields:
        if type(value) is not str or field in error:
            return None
        if field not in ("RequestId", "HostId"):
            error[field] = value
    return error
