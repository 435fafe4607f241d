# SPDX-License-Identifier: Apache-2.0
"""URLs that let whoever has them make one call: the gateway signs them, since a guest has no key that a store knows."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nexus_sdk.calls import Operation

# Parameters of `generate_presigned_url`, with what they are by default.
_PARAMETERS = ("ClientMethod", "Params", "ExpiresIn", "HttpMethod")
_DEFAULTS = (None, None, 3600, None)


def arguments(args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "tuple[str, dict[str, Any], int] | None":
    """Method, its parameters and seconds; None if the image's own SDK has to say what is wrong with them."""
    given = dict(zip(_PARAMETERS, args))
    if len(args) > len(_PARAMETERS) or any(name in given or name not in _PARAMETERS for name in kwargs):
        return None
    given.update(kwargs)
    method, params, seconds, verb = [given.get(name, usual) for name, usual in zip(_PARAMETERS, _DEFAULTS)]
    params = {} if params is None else params
    if type(method) is not str or type(params) is not dict or type(seconds) is not int or verb is not None:
        return None
    return method, params, seconds


def url(operation: "Operation", params: "dict[str, Any]", seconds: int) -> "str | None":
    """The URL of a call, or None if the image's own SDK has to make one."""
    presign = getattr(operation, "presign", None)
    return None if presign is None else presign(params, seconds)
