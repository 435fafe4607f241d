# SPDX-License-Identifier: Apache-2.0
"""URLs and forms that let whoever has them make one call: the gateway signs them, as a guest has no key that a store knows."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nexus_sdk.calls import Operation

# Parameters of `generate_presigned_url`, with what they are by default.
_PARAMETERS = ("ClientMethod", "Params", "ExpiresIn", "HttpMethod")
_DEFAULTS = (None, None, 3600, None)
# The same of `generate_presigned_post`; the first two have to be there.
_FORM_PARAMETERS = ("Bucket", "Key", "Fields", "Conditions", "ExpiresIn")
_FORM_DEFAULTS = (None, None, None, None, 3600)
# Fields that the signature brings. In a dictionary they would keep the place that they have.
_OWN = (
    "key",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "policy",
    "x-amz-signature",
)
# Parameters of a URL that its signature brings, in both versions.
_SIGNATURE = {
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "x-amz-security-token",
}


def arguments(args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "tuple[str, dict[str, Any], int] | None":
    """Method, its parameters and seconds; None if the image's own SDK has to say what is wrong with them."""
    given = _given(_PARAMETERS, _DEFAULTS, args, kwargs)
    if given is None:
        return None
    method, params, seconds, verb = given
    params = {} if params is None else params
    if type(method) is not str or type(params) is not dict or type(seconds) is not int or verb is not None:
        return None
    return method, params, seconds


def url(operation: "Operation", params: "dict[str, Any]", seconds: int) -> "str | None":
    """The URL of a call, or None if the image's own SDK has to make one."""
    presign = getattr(operation, "presign", None)
    return None if presign is None else presign(params, seconds)


def form(service: "dict[str, Any]", region: str, args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "dict[str, Any] | None":
    """What `generate_presigned_post` returns, or None if the image's own SDK has to."""
    given = _given(_FORM_PARAMETERS, _FORM_DEFAULTS, args, kwargs)
    if given is None:
        return None
    bucket, key, fields, conditions, seconds = given
    fields = {} if fields is None else fields
    conditions = [] if conditions is None else conditions
    if type(fields) is not dict or type(conditions) is not list or type(seconds) is not int:
        return None
    if type(key) is not str or not key or any(name in fields for name in _OWN) or not _is_usual(conditions):
        return None
    from nexus_sdk import channel

    try:
        return _form(service, region, (bucket, key), fields, conditions, seconds)
    except (channel.HandOver, ValueError, RecursionError):
        return None


def _form(
    service: "dict[str, Any]",
    region: str,
    place: "tuple[Any, str]",
    fields: "dict[str, Any]",
    conditions: "list[Any]",
    seconds: int,
) -> "dict[str, Any]":
    """A form for a bucket and a key. Raises `HandOver` if these are none, or there is no gateway."""
    import json

    from nexus_sdk import calls

    path = f"/{calls.bucket_text(place[0])}/{calls.key_text(place[1])}"
    head = f"{service['service']}\0{region}\0PutObject\0POST\0{path}\0x-nexus-presign-post\0{seconds}\0"
    url, *lines = _signed(service, "PutObject", head, json.dumps(conditions).encode()).split("\n")
    return {"url": url, "fields": {**fields, "key": place[1], **dict(line.split(" ", 1) for line in lines)}}


def _signed(service: "dict[str, Any]", name: str, head: str, body: bytes) -> str:
    """What the gateway signs; raises what it says instead, since what is signed with a placeholder is good for nobody."""
    from nexus_sdk import channel, errors

    answer = channel.call(head.encode(), body)
    if answer.status == 200:
        return answer.read().decode()
    raise errors.of_refusal(service, name, answer)


def url_again(service: "dict[str, Any]", region: str, operation: str, request: "dict[str, Any]", url: str, seconds: int) -> str:
    """The URL that botocore made of a request, signed by the gateway; as it is if it leads to somebody else."""
    from nexus_sdk import channel

    head = _head(region, operation, request, url)
    if head is None:
        return url
    try:
        return _signed(service, operation, f"{head}x-nexus-presign\0{seconds}\0", b"")
    except channel.HandOver as error:
        raise _no_gateway(error) from None


def _no_gateway(error: Exception) -> Exception:
    from botocore.exceptions import EndpointConnectionError

    from nexus_sdk import facade

    return EndpointConnectionError(endpoint_url=facade.GATEWAY, error=error)  # type: ignore[no-any-return]


def _head(region: str, operation: str, request: "dict[str, Any]", url: str) -> "str | None":
    """A message for what a URL was made of, or None."""
    from urllib.parse import parse_qsl, quote, urlsplit

    from nexus_sdk import facade

    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    headers = {name.lower(): _text(value) for name, value in request["headers"].items()}
    roles = _roles(dict(query), headers)
    if f"{parts.scheme}://{parts.netloc}" != facade.GATEWAY or roles is None:
        return None
    signed, moved = roles
    own = _SIGNATURE | signed | moved
    rest = "&".join(f"{quote(name, '')}={quote(value, '')}" for name, value in query if name not in own)
    head = f"s3\0{region}\0{operation}\0{request['method']}\0{parts.path}{rest and '?'}{rest}\0"
    for name in sorted((signed | moved) - {"host"}):
        head += f"{name}\0{headers[name]}\0"
    head += f"x-nexus-presign-signed\0{';'.join(sorted(signed))}\0"
    if moved:
        head += f"x-nexus-presign-query\0{';'.join(sorted(moved))}\0"
    if "content-length" in signed:
        head += f"x-nexus-presign-length\0{headers['content-length']}\0"
    return head


def _roles(query: "dict[str, str]", headers: "dict[str, str]") -> "tuple[set[str], set[str]] | None":
    """Which headers are signed with a URL, and which are parameters of it; None if that cannot be told."""
    if "AWSAccessKeyId" in query:
        # Version 2 has in the URL what is to be sent with it.
        signed = {"host", *(query.keys() & {"content-md5", "content-type"})}
        moved = {name for name in query.keys() & headers.keys() if name.startswith("x-amz-")}
    elif query.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256" and "/s3/" in query.get("X-Amz-Credential", ""):
        signed, moved = set(query.get("X-Amz-SignedHeaders", "host").split(";")), set()
    else:
        return None
    return (signed, moved) if signed - {"host"} <= headers.keys() else None


def form_again(
    service: "dict[str, Any]", region: str, form: "dict[str, Any]", conditions: "list[Any]", seconds: int
) -> "dict[str, Any]":
    """The form that botocore made, signed by the gateway; as it is, if it leads elsewhere."""
    from urllib.parse import unquote

    from nexus_sdk import channel, facade

    start = f"{facade.GATEWAY}/"
    fields = {
        name: value for name, value in form["fields"].items() if name.lower() not in (*_OWN, "awsaccesskeyid", "signature")
    }
    key = form["fields"].get("key")
    if not form["url"].startswith(start) or type(key) is not str:
        return form
    bucket = unquote(form["url"][len(start) :])
    try:
        return _form(service, region, (bucket, key), fields, conditions, seconds)
    except channel.HandOver as error:
        raise _no_gateway(error) from None


def _text(value: "Any") -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _is_usual(conditions: "list[Any]") -> bool:
    """Whether the gateway takes these conditions, and would not say in another order what botocore says."""
    for condition in conditions:
        if type(condition) is dict:
            known = len(condition) == 1 and all(type(text) is str for pair in condition.items() for text in pair)
        else:
            known = type(condition) in (list, tuple) and len(condition) == 3
        if not known:
            return False
    return True


def _given(
    names: "tuple[str, ...]", defaults: "tuple[Any, ...]", args: "tuple[Any, ...]", kwargs: "dict[str, Any]"
) -> "list[Any] | None":
    """The values of parameters in their order; None if they are not these."""
    given = dict(zip(names, args))
    if len(args) > len(names) or any(name in given or name not in names for name in kwargs):
        return None
    given.update(kwargs)
    return [given.get(name, usual) for name, usual in zip(names, defaults)]
