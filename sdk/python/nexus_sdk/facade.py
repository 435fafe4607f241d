# SPDX-License-Identifier: Apache-2.0
"""What stands for the packages boto3 and botocore until the real ones are needed.

A facade is a module of its real name and place. The first attribute that it lacks has the real `__init__` run inside the same
module object: whoever holds the module then holds the real one.
"""

from __future__ import annotations

import _thread
import os
import sys
from _frozen_importlib import _ModuleLockManager  # type: ignore[attr-defined]

from nexus_sdk import tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

# Variables that change what a client does: with one of them set, clients are the image's own.
_CHANGES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",
    "AWS_S3_USE_ARN_REGION",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_DATA_PATH",
    "BOTO_EXPERIMENTAL__ADD_PROXY_HOST_HEADER",
    "BOTOCORE_EXPERIMENTAL__PLUGINS",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)
# What a region's name is made of.
_REGION = "abcdefghijklmnopqrstuvwxyz0123456789-"
# Files that do.
_CONFIGURATION = (
    ("AWS_CONFIG_FILE", "~/.aws/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
)

_real: dict[str, ModuleSpec] = {}
# Threads that run a real `__init__`, by its module.
_loading: dict[str, int] = {}


class Loader:
    """Fills a facade in."""

    def __init__(self, real: ModuleSpec) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual module object."""
        return

    def exec_module(self, module: Any) -> None:
        """Makes `module` a facade."""
        name = module.__name__
        _real[name] = self._real
        module.__file__ = self._real.origin
        module.__version__ = tables.version(self._real.origin)  # type: ignore[arg-type]
        module.__getattr__ = lambda attribute: _missing(module, attribute)
        if name == "boto3":
            module.client = _client
            module.DEFAULT_SESSION = None


def knows(real: ModuleSpec) -> bool:
    """Whether there is a facade for this package: whether tables were made of the SDK that it belongs to."""
    return tables.find(real.origin) is not None  # type: ignore[arg-type]


def become_real() -> None:
    """Makes real modules of all facades."""
    for name in ("botocore", "boto3"):
        module = sys.modules.get(name)
        if module is None:
            continue
        # The lock that an import of it would take: other threads wait for a whole module, and the import system looks after
        # those that wait for each other.
        with _ModuleLockManager(name):
            if name in _real:
                _load(module)
    errors = sys.modules.get("nexus_sdk.errors")
    if errors is not None:
        errors.share()


def real_client(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """A client of the image's own SDK."""
    from nexus_sdk import finder

    finder.step_aside()
    import boto3

    return boto3.client(*arguments, **keywords)


def _missing(module: ModuleType, attribute: str) -> Any:
    special = attribute.startswith("__") and attribute not in ("__all__", "__author__")
    # The real module's own code asks while it runs.
    if special or _loading.get(module.__name__) == _thread.get_ident():
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")
    from nexus_sdk import finder

    finder.step_aside()
    return getattr(module, attribute)


def _load(module: ModuleType) -> None:
    """Runs the real `__init__` inside the facade."""
    name = module.__name__
    real = _real.pop(name)
    _loading[name] = _thread.get_ident()
    module.__spec__ = real
    module.__loader__ = real.loader
    try:
        real._initializing = True  # type: ignore[attr-defined]
        real.loader.exec_module(module)  # type: ignore[union-attr]
    finally:
        real._initializing = False  # type: ignore[attr-defined]
        module.__dict__.pop("__getattr__", None)
        del _loading[name]


def _client(*args: Any, **kwargs: Any) -> Any:
    service = tables.service(args[0]) if len(args) == 1 and type(args[0]) is str else None
    if service is None or not _is_plain(kwargs) or sys.modules["boto3"].DEFAULT_SESSION is not None:
        return real_client(args, kwargs)
    region = kwargs.get("region_name") or os.environ.get("AWS_DEFAULT_REGION")
    if not region or region.strip(_REGION):
        return real_client(args, kwargs)
    from nexus_sdk import client

    return client.make(service, region, args, kwargs)


_client.__name__ = _client.__qualname__ = "client"
_client.__module__ = "boto3"
_client.__annotations__ = {}


def _is_plain(kwargs: dict[str, Any]) -> bool:
    """Whether a client of these arguments, in this environment, does what the gateway does."""
    for name, value in kwargs.items():
        if value is not None and (name != "region_name" or type(value) is not str):
            return False
    environment = os.environ
    for name in _CHANGES:
        if name in environment:
            return False
    for name in environment:
        if name.startswith("AWS_ENDPOINT_URL_"):
            return False
    if environment.get("AWS_ENDPOINT_URL") != "http://169.254.170.2":
        return False
    for name, usual in _CONFIGURATION:
        if os.path.exists(os.path.expanduser(environment.get(name) or usual)):
            return False
    # Who logs at the level DEBUG wants to see what botocore says. While logging itself is being imported nobody does.
    logger = getattr(sys.modules.get("logging"), "getLogger", None)
    return logger is None or not logger("botocore").isEnabledFor(10)
