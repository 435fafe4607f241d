# SPDX-License-Identifier: Apache-2.0
"""What stands for dateutil's time zones, which botocore's results have and which take 7 ms to load."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo
    from typing import Any
else:
    from _datetime import timedelta, tzinfo

_ZERO = timedelta(0)


class _Zone(tzinfo):
    """A zone without an offset, of dateutil's class once somebody looks at it."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        """None."""
        return _ZERO

    def dst(self, dt: datetime | None) -> timedelta:
        """None."""
        return _ZERO

    def tzname(self, dt: datetime | None) -> str:
        """Its name."""
        return "UTC"

    def fromutc(self, dt: datetime) -> datetime:
        """The same time."""
        return dt

    def is_ambiguous(self, dt: datetime) -> bool:
        """Never."""
        return False

    def __getattr__(self, name: str) -> Any:
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

    def __reduce__(self) -> Any:
        return self._real().__reduce__()

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:
        """The real class, for whoever asks by isinstance(): once it is loaded, since nobody holds it before."""
        return type(self._real()) if "dateutil.tz" in sys.modules else type(self)

    def _real(self) -> Any:
        import dateutil.tz

        return getattr(dateutil.tz, type(self).__name__)()


class tzutc(_Zone):  # noqa: N801
    """`dateutil.tz.tzutc`."""

    __module__ = "dateutil.tz.tz"


class tzlocal(_Zone):  # noqa: N801
    """`dateutil.tz.tzlocal`, where local time is UTC."""

    __module__ = "dateutil.tz.tz"


UTC = tzutc()
_LOCAL = tzlocal()


def of_z() -> tzinfo:
    """The zone that dateutil's parser gives to a time that ends with Z: local time's, if that is called UTC."""
    import time

    return _LOCAL if "UTC" in time.tzname else UTC
