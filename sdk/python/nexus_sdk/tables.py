# SPDX-License-Identifier: Apache-2.0
"""What the image's own SDK knows of each service, made of its models when the root was built (`nexus-sdk-tables`).

A table lies under `tables/`, in a folder of the same path as the botocore that it was made of. In local mode it is made when it
is first needed, and kept.
"""

from __future__ import annotations

import os

from nexus_sdk import finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Format of the tables that this shim reads.
FORMAT = 1

_services: dict[str, dict[str, Any] | None] = {}
_folder: str | None = None
_site: str | None = None


def find(origin: str) -> str | None:
    """The folder of the tables for the SDK that the package at `origin` belongs to, or None."""
    global _folder, _site
    site = os.path.dirname(os.path.dirname(origin))
    if _folder is None:
        there = f"{finder.folder}/tables{site}/botocore"
        _folder = there if os.path.isdir(there) else _made(site)
        _site = site
    # Packages of two places are no SDK that the tables were made of.
    return _folder if _site == site else None


def _made(site: str) -> str | None:
    """The folder of tables that are made now, or were made before, where the program that makes them is at hand.

    That is so outside a VM; a guest has its tables in its root.
    """
    maker = f"{os.path.dirname(os.path.dirname(finder.folder))}/nexus-sdk-tables"
    if not os.access(maker, os.X_OK):
        return None
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    try:
        release = version(f"{site}/botocore/__init__.py")
        folder = f"{cache}/nexus/sdk-tables/{FORMAT}/{release}{site}/botocore"
        if not os.path.isdir(folder):
            child = os.posix_spawn(maker, [maker, f"{site}/botocore", folder], os.environ)
            _, status = os.waitpid(child, 0)
            if status != 0:
                return None
    except OSError:
        return None
    return folder


def version(origin: str) -> str | None:
    """What `__version__` of the package is, without running it."""
    with open(origin, "rb") as file:
        for line in file:
            if line.startswith(b"__version__"):
                return line.split(b"=")[1].strip().strip(b"'\"").decode()
    return None


def service(name: str) -> dict[str, Any] | None:
    """The table of a service, or None."""
    if name not in _services:
        _services[name] = _read(name)
    return _services[name]


def _read(name: str) -> dict[str, Any] | None:
    if _folder is None or not name.isidentifier():
        return None
    import marshal

    try:
        with open(f"{_folder}/{name}", "rb") as file:
            table: dict[str, Any] = marshal.loads(file.read())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return table if table["format"] == FORMAT else None
