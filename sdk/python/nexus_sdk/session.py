# SPDX-License-Identifier: Apache-2.0
"""What stands for `boto3.Session` until the real one is needed: the class itself, whose methods come later.

Programs hold the class, name it in annotations and derive from it, so there must never be another one. When the real module is
run, what its class has moves into this one, and the sessions that were made before become what they would have been.
"""

import os
from _weakref import ref

import nexus_sdk
from nexus_sdk import facade

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The real class, once there is one.
_kind: "Any" = None
# Sessions that are to become real.
_waiting: "set[ref[Session]]" = set()
# In place of a region: the session is real.
_REAL = object()


class Session:
    """`boto3.session.Session`."""

    __module__ = "boto3.session"

    def __init__(self, *args: "Any", **kwargs: "Any") -> None:
        region = kwargs.get("region_name")
        is_plain = not args and set(kwargs) <= {"region_name"} and (region is None or type(region) is str)
        if nexus_sdk.active and type(self) is Session and is_plain:
            self.__dict__["_nexus"] = region
            _waiting.add(ref(self, _waiting.discard))
            if not nexus_sdk.active:
                # Another thread has stepped aside meanwhile, and may have looked before this one was there.
                _fill(self, _real())
        else:
            _real().__init__(self, *args, **kwargs)

    @property
    def region_name(self) -> "Any":
        """The **read-only** region name."""
        region = self.__dict__.get("_nexus", _REAL)
        if region is not _REAL and facade.is_plain({}):
            return region or os.environ.get("AWS_DEFAULT_REGION")
        return _real().region_name.__get__(self)

    def client(self, *args: "Any", **kwargs: "Any") -> "Any":
        """As boto3's."""

        def real() -> "Any":
            return _real().client(self, *args, **kwargs)

        # Another thread may be making it real.
        region = self.__dict__.get("_nexus", _REAL)
        return real() if region is _REAL else facade.client_of(args, kwargs, region, real)

    def resource(self, *args: "Any", **kwargs: "Any") -> "Any":
        """As boto3's."""

        def real() -> "Any":
            return _real().resource(self, *args, **kwargs)

        region = self.__dict__.get("_nexus", _REAL)
        return real() if region is _REAL else facade.resource_of(args, kwargs, region, real)

    def __reduce_ex__(self, protocol: "Any") -> "Any":
        _real()
        return super().__reduce_ex__(protocol)


_OURS = dict(vars(Session))


def is_untouched() -> bool:
    """Whether the class is as it was made: nobody has put anything into it."""
    return all(vars(Session).get(name) is value for name, value in _OURS.items())


def make(origin: str) -> "type[Session]":
    """The class, with everything in it that the real one of the module at `origin` has."""
    is_property = False
    with open(origin, "rb") as file:
        for line in file:
            name = line[8:].partition(b"(")[0].decode() if line.startswith(b"    def ") else ""
            if name and name not in _OURS:
                _OURS[name] = _later_property(name) if is_property else _later(name)
                setattr(Session, name, _OURS[name])
            is_property = line.startswith(b"    @property")
    return Session


def become_real(module: "Any") -> None:
    """Moves what the real class has into ours, which takes its place in its module."""
    global _kind
    _kind = module.Session
    for waiting in list(_waiting):
        session = waiting()
        if session is not None:
            _fill(session, _kind)
    _waiting.clear()
    for name, value in vars(_kind).items():
        # What a program has put there stays.
        if name not in ("__dict__", "__weakref__") and vars(Session).get(name) is _OURS.get(name):
            setattr(Session, name, value)
    module.Session = Session


def _fill(session: Session, kind: "Any") -> None:
    """Makes a session what it would have been, if that has not been done."""
    region = session.__dict__.pop("_nexus", _REAL)
    if region is not _REAL:
        session.__dict__.update(kind(region_name=region).__dict__)


def _real() -> "Any":
    nexus_sdk.step_aside()
    return _kind


def _later(name: str) -> "Any":
    def method(self: Session, *args: "Any", **kwargs: "Any") -> "Any":
        return getattr(_real(), name)(self, *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"Session.{name}"
    return method


def _later_property(name: str) -> "Any":
    return property(lambda self: getattr(_real(), name).__get__(self))
