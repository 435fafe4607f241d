# SPDX-License-Identifier: Apache-2.0
"""The time zone of all times that S3 gives."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo
    from typing import Any
else:
    from _datetime import timedelta, tzinfo

_ZERO = timedelta(0)


class tzutc(tzinfo):  # noqa: N801
    """What stands for `dateutil.tz.tzutc`, which takes 7 ms to load, until somebody looks at it."""

    __module__ = "dateutil.tz.tz"

    def utcoffset(self, dt: "datetime | None") -> "timedelta":
        """None."""
        return _ZERO

    def dst(self, dt: "datetime | None") -> "timedelta":
        """None."""
        return _ZERO

    def tzname(self, dt: "datetime | None") -> str:
        """Its name."""
        return "UTC"

    def fromutc(self, dt: "datetime") -> "datetime":
        """The same time."""
        return dt

    def is_ambiguous(self, dt: "datetime") -> bool:
        """Never."""
        return False

    def __getattr__(self, name: str) -> "Any":
        # What dateutil's own zones look at in each other.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __eq__(self, other: object) -> bool:
        return other is self or self._real() == other

    def __hash__(self) -> int:
        return hash(self._real())

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __reduce__(self) -> "Any":
        return self._real().__reduce__()

    @property  # type: ignore[misc]
    def __class__(self) -> "type[Any]":
        """The real class, for whoever asks by isinstance(): once it is loaded, since nobody holds it before."""
        import sys

        return type(self._real()) if "dateutil.tz" in sys.modules else type(self)

    def _real(self) -> "Any":
        import dateutil.tz

        return getattr(dateutil.tz, type(self).__name__)()


UTC = tzutc()
