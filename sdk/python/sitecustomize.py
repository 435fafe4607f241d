# SPDX-License-Identifier: Apache-2.0
"""Brings the SDK shim into a Python process, whose PYTHONPATH begins with this folder.

It leaves no trace that a program would stumble over: the folder is off `sys.path` and out of `os.environ` again before
the program starts (its children inherit it all the same), and a `sitecustomize` of the image runs as if it had been found
first.
"""

import os
import sys


def _leave() -> str:
    """Takes this folder off the path, and returns it."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != folder]
    # Not by `del os.environ[...]`, which would change what children inherit.
    values = os.environ._data  # type: ignore[attr-defined]
    rest = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != folder]
    if rest:
        values[b"PYTHONPATH"] = os.pathsep.join(rest).encode(errors="surrogateescape")
    else:
        values.pop(b"PYTHONPATH", None)
    return folder


def _install(folder: str) -> None:
    """Has imports of the SDK come to the shim."""
    sys.path.insert(0, folder)
    try:
        import nexus_sdk
    finally:
        sys.path.remove(folder)
    nexus_sdk.install(folder)


def _run_the_next() -> None:
    """Runs the image's own `sitecustomize`, if it has one."""
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401  # type: ignore[import-not-found]
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


_install(_leave())
_run_the_next()
