# SPDX-License-Identifier: Apache-2.0
"""What stands for a client of botocore until a call needs the real one.

Then the real one is made and takes its place: the same object, from then on of the real class.
"""

import _thread
import sys

from nexus_sdk import calls, facade

# What boto3 adds to a client of S3: each method's parameters in order; those after the first three may be left out.
_OPTIONS = ("ExtraArgs", "Callback", "Config")
_TRANSFERS = {
    "upload_file": ("Filename", "Bucket", "Key", *_OPTIONS),
    "upload_fileobj": ("Fileobj", "Bucket", "Key", *_OPTIONS),
    "download_file": ("Bucket", "Key", "Filename", *_OPTIONS),
    "download_fileobj": ("Bucket", "Key", "Fileobj", *_OPTIONS),
}
_lock = _thread.allocate_lock()
_classes = {}


def make(service, region, arguments, keywords):
    """A client of a service, in a region; the arguments are those that the real one would be made with."""
    name = service["service"]
    if name not in _classes:
        _classes[name] = _make_class(service)
    client = _classes[name]()
    client.__dict__["_nexus"] = (service, region, arguments, keywords)
    return client


class _Meta:
    """`client.meta`, as far as programs look at it."""

    def __init__(self, client, region):
        self._client = client
        self.region_name = region
        self.endpoint_url = "http://169.254.170.2"
        self.partition = "aws"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(become_real(self._client).meta, name)


class Client:
    """The base of all facades."""

    @property
    def meta(self):
        """As botocore's."""
        state = self.__dict__
        if "_nexus_meta" not in state:
            state["_nexus_meta"] = _Meta(self, state["_nexus"][1])
        return state["_nexus_meta"]

    @property
    def exceptions(self):
        """As botocore's."""
        from nexus_sdk import errors

        state = self.__dict__
        if "_nexus_exceptions" not in state:
            state["_nexus_exceptions"] = errors.Factory(state["_nexus"][0])
        return state["_nexus_exceptions"]

    @property
    def __class__(self):
        """The real class, for whoever asks by isinstance(): once there is one, since nobody holds it before."""
        # Not by taking its place: isinstance() would then see no difference between this answer and the type, and say no.
        return type(_real(self)) if "botocore.client" in sys.modules else type(self)

    def close(self):
        """Nothing is open that is this client's own."""

    def __getattr__(self, name):
        return getattr(become_real(self), name)

    def __dir__(self):
        return dir(become_real(self))

    def __reduce_ex__(self, protocol):
        return become_real(self).__reduce_ex__(protocol)


def become_real(client):
    """Makes the real client and puts it in the facade's place. Returns it, the same object."""
    kind = type(client)
    with _lock:
        if not issubclass(kind, Client):
            return client
        own = client.__dict__
        real = _make_real(own)
        state = {name: value for name, value in own.items() if not name.startswith("_nexus")}
        client.__dict__ = {**real.__dict__, **state}
        object.__dict__["__class__"].__set__(client, type(real))
    return client


def _real(client):
    """The real client that is to take the facade's place, or has taken it."""
    with _lock:
        return _make_real(client.__dict__) if issubclass(type(client), Client) else client


def _make_real(own):
    if "_nexus_real" not in own:
        service, _, arguments, keywords = own["_nexus"]
        real = facade.real_client(arguments, keywords)
        if "nexus_sdk.errors" in sys.modules:
            sys.modules["nexus_sdk.errors"].share(service, real)
        own["_nexus_real"] = real
    return own["_nexus_real"]


def _make_class(service):
    methods = {name: _method(name, operation) for name, operation in service["operations"].items()}
    if service["service"] == "s3":
        for name, parameters in _TRANSFERS.items():
            methods[name] = _transfer(name, parameters)
    methods["__module__"] = "botocore.client"
    return type(service["class"], (Client,), methods)


def _transfer(name, parameters):
    def method(self, *args, **kwargs):
        from nexus_sdk import transfer

        return transfer.run(self, name, parameters, args, kwargs)

    method.__name__ = method.__qualname__ = name
    return method


def _method(name, operation):
    def method(self, *args, **kwargs):
        if args:
            raise TypeError(f"{name}() only accepts keyword arguments.")
        state = self.__dict__.get("_nexus")
        if state is not None:
            try:
                return calls.run(state[0], state[1], operation, kwargs)
            except calls.HandOver:
                pass
        return getattr(become_real(self), name)(**kwargs)

    method.__name__ = method.__qualname__ = name
    return method
