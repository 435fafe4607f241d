# SPDX-License-Identifier: Apache-2.0
"""What the image's own SDK knows of each service, made of its models when the root was built (`nexus-sdk-tables`).

A table lies under `tables/`, in a folder of the same path as the botocore that it was made of.
"""

import os

from nexus_sdk import finder

# Format of the tables that this shim reads.
FORMAT = 1

_services = {}
_folder = None
_versions = {}


def find(origin):
    """The folder of the tables for the SDK that the package at `origin` belongs to, or None."""
    global _folder
    if _folder is None:
        site = os.path.dirname(os.path.dirname(origin))
        candidate = f"{finder.folder}/tables{site}/botocore"
        if os.path.isdir(candidate):
            _folder = candidate
    return _folder


def version(origin):
    """What `__version__` of the package is, without running it."""
    with open(origin, "rb") as file:
        for line in file:
            if line.startswith(b"__version__"):
                return line.split(b"=")[1].strip().strip(b"'\"").decode()
    return None


def service(name):
    """The table of a service, or None."""
    if name not in _services:
        _services[name] = _read(name)
    return _services[name]


def _read(name):
    if _folder is None or not name.isidentifier():
        return None
    import marshal

    try:
        with open(f"{_folder}/{name}", "rb") as file:
            table = marshal.loads(file.read())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return table if table["format"] == FORMAT else None
