# SPDX-License-Identifier: Apache-2.0
"""What stands for a client of botocore until a call needs the real one.

Then the real one is made and takes its place: the same object, from then on of the real class.
"""

import _thread
import os

import nexus_sdk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What boto3 adds to a client of S3: each method's parameters in order; those after the first three may be left out.
_OPTIONS = ("ExtraArgs", "Callback", "Config")
_TRANSFERS = {
    "upload_file": ("Filename", "Bucket", "Key", *_OPTIONS),
    "upload_fileobj": ("Fileobj", "Bucket", "Key", *_OPTIONS),
    "download_file": ("Bucket", "Key", "Filename", *_OPTIONS),
    "download_fileobj": ("Bucket", "Key", "Fileobj", *_OPTIONS),
}
# Held while facades become real.
lock = _thread.RLock()
# By service and region.
_classes: "dict[tuple[str, str], type[Client]]" = {}


def make(service: "dict[str, Any]", region: str, real: "Callable[[], Any]") -> "Client":
    """A client of a service, in a region. `real` makes the real one."""
    kind = _classes.get((service["key"], region))
    if kind is None:
        kind = _classes[service["key"], region] = _make_class(service, region)
    client = kind()
    client.__dict__["_nexus"] = (service, region, real)
    return client


class Client:
    """The base of all facades."""

    @property
    def meta(self) -> "Any":
        """As botocore's."""
        state = self.__dict__
        if "_nexus_meta" not in state:
            from nexus_sdk.meta import ClientMeta

            state["_nexus_meta"] = ClientMeta(self, state["_nexus"][1])
        return state["_nexus_meta"]

    @property
    def exceptions(self) -> "Any":
        """As botocore's."""
        from nexus_sdk import errors

        state = self.__dict__
        if "_nexus_exceptions" not in state:
            state["_nexus_exceptions"] = errors.Factory(state["_nexus"][0])
        return state["_nexus_exceptions"]

    @property  # type: ignore[misc]
    def __class__(self) -> "type[Any]":
        """The real class, for whoever asks by isinstance(): once there is one, since nobody holds it before."""
        # Not by taking its place: isinstance() would then see no difference between this answer and the type, and say no.
        return type(self) if nexus_sdk.active else type(_real(self))

    def get_paginator(self, operation_name: str) -> "Any":
        """As botocore's."""
        from nexus_sdk import paginate

        state = self.__dict__.get("_nexus")
        return (
            become_real(self).get_paginator(operation_name) if state is None else paginate.make(self, state[0], operation_name)
        )

    def close(self) -> None:
        """Nothing is open that is this client's own."""

    def __getattr__(self, name: str) -> "Any":
        return getattr(become_real(self), name)

    def __dir__(self) -> "list[str]":
        return dir(become_real(self))

    def __reduce_ex__(self, protocol: "Any") -> "Any":
        return become_real(self).__reduce_ex__(protocol)


def become_real(client: "Any") -> "Any":
    """Makes the real client and puts it in the facade's place. Returns it, the same object."""
    with lock:
        # Another thread may have done it meanwhile.
        if not issubclass(type(client), Client):
            return client
        own = client.__dict__
        real = _make_real(own)
        state = {name: value for name, value in own.items() if not name.startswith("_nexus")}
        client.__dict__ = {**real.__dict__, **state}
        object.__dict__["__class__"].__set__(client, type(real))
    return client


def _real(client: "Any") -> "Any":
    """The real client that is to take the facade's place, or has taken it."""
    with lock:
        return _make_real(client.__dict__) if issubclass(type(client), Client) else client


def _make_real(own: "dict[str, Any]") -> "Any":
    if "_nexus_real" not in own:
        own["_nexus_real"] = own["_nexus"][2]()
    return own["_nexus_real"]


def _make_class(service: "dict[str, Any]", region: str) -> "type[Client]":
    methods: dict[str, Any] = {name: _method(service, region, name) for name in service["operations"]}
    if service["service"] == "s3":
        for name, parameters in _TRANSFERS.items():
            methods[name] = _transfer(name, parameters)
        methods["generate_presigned_url"] = _presign(service, region)
        methods["generate_presigned_post"] = _presign_post(service, region)
    methods["__module__"] = "botocore.client"
    return type(service["class"], (Client,), methods)


def _transfer(name: str, parameters: "tuple[str, ...]") -> "Callable[..., Any]":
    def method(self: "Client", *args: "Any", **kwargs: "Any") -> "Any":
        from nexus_sdk import transfer

        return transfer.run(self, name, parameters, args, kwargs)

    method.__name__ = method.__qualname__ = name
    method.__annotations__ = {}
    return method


def _presign(service: "dict[str, Any]", region: str) -> "Callable[..., Any]":
    def generate_presigned_url(self: "Client", *args: "Any", **kwargs: "Any") -> "Any":
        from nexus_sdk import calls, presign

        asked = presign.arguments(args, kwargs)
        if nexus_sdk.active and asked is not None and asked[0] in service["operations"]:
            url = presign.url(calls.operation(service, region, asked[0]), *asked[1:])
            if url is not None:
                return url
        return become_real(self).generate_presigned_url(*args, **kwargs)

    generate_presigned_url.__qualname__ = "generate_presigned_url"
    generate_presigned_url.__annotations__ = {}
    return generate_presigned_url


def _presign_post(service: "dict[str, Any]", region: str) -> "Callable[..., Any]":
    def generate_presigned_post(self: "Client", *args: "Any", **kwargs: "Any") -> "Any":
        from nexus_sdk import presign

        form = presign.form(service, region, args, kwargs) if nexus_sdk.active else None
        return become_real(self).generate_presigned_post(*args, **kwargs) if form is None else form

    generate_presigned_post.__qualname__ = "generate_presigned_post"
    generate_presigned_post.__annotations__ = {}
    return generate_presigned_post


def _method(service: "dict[str, Any]", region: str, name: str) -> "Callable[..., Any]":
    operation: Any = None

    def method(self: "Client", *args: "Any", **kwargs: "Any") -> "Any":
        nonlocal operation
        if args:
            raise TypeError(f"{name}() only accepts keyword arguments.")
        # A real client may have taken the place of this one since the program got hold of the method.
        if nexus_sdk.active:
            if operation is None:
                from nexus_sdk import calls

                operation = calls.operation(service, region, name)
            result = operation.run(kwargs)
            if result is not None:
                return result
        return getattr(become_real(self), name)(**kwargs)

    method.__name__ = method.__qualname__ = name
    method.__annotations__ = {}
    return method


def _forget_lock() -> None:
    """A child has one thread, which does not hold what another thread of its parent held."""
    global lock
    lock = _thread.RLock()


os.register_at_fork(after_in_child=_forget_lock)
