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
    if type(key) is not str or not key or not _is_usual(conditions) or any(name in fields for name in _OWN):
        return None
    import json

    from nexus_sdk import calls, channel

    try:
        path = f"/{calls.bucket_text(bucket)}/{calls.key_text(key)}"
        head = f"{service['service']}\0{region}\0PutObject\0POST\0{path}\0x-nexus-presign-post\0{seconds}\0"
        answer = channel.call(head.encode("latin-1"), json.dumps(conditions).encode())
        text = _form_text(service, answer)
    except (channel.HandOver, ValueError, RecursionError):
        return None
    if text is None:
        return None
    url, *lines = text.split("\n")
    return {"url": url, "fields": {**fields, "key": key, **dict(line.split(" ", 1) for line in lines)}}


def _form_text(service: "dict[str, Any]", answer: "Any") -> "str | None":
    """What the gateway says of a form; raises what it refuses, since a form signed with a placeholder is good for nobody."""
    from nexus_sdk import errors

    if answer.status == 200:
        return answer.read().decode()  # type: ignore[no-any-return]
    table = {"name": "PutObject", "protocol": "rest-xml"}
    error = errors.of_answer(service, table, answer, None) if answer.status == 403 else None
    if error is not None:
        raise error
    return None


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
