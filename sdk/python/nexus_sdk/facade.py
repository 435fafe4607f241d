# SPDX-License-Identifier: Apache-2.0
"""What stands for the packages boto3 and botocore, and for some of their modules, until the real ones are needed.

A facade is a module of its real name and place. The first attribute that it lacks has the real code run inside the same module
object: whoever holds the module then holds the real one. The attributes that it has are those that the real one will have, the
same objects; a real module that needs no more than these can be imported without the rest of the SDK.
"""

import _thread
import os
import sys
from _frozen_importlib import _gcd_import  # type: ignore[attr-defined]

import nexus_sdk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

# Variables that change what a client does: with one of them set, clients are the image's own.
_CHANGES = {
    b"AWS_PROFILE",
    b"AWS_DEFAULT_PROFILE",
    b"AWS_MAX_ATTEMPTS",
    b"AWS_RETRY_MODE",
    b"AWS_REQUEST_CHECKSUM_CALCULATION",
    b"AWS_RESPONSE_CHECKSUM_VALIDATION",
    b"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",
    b"AWS_S3_USE_ARN_REGION",
    b"AWS_USE_DUALSTACK_ENDPOINT",
    b"AWS_USE_FIPS_ENDPOINT",
    b"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    b"AWS_DATA_PATH",
    b"BOTO_EXPERIMENTAL__ADD_PROXY_HOST_HEADER",
    b"BOTOCORE_EXPERIMENTAL__PLUGINS",
    b"HTTP_PROXY",
    b"http_proxy",
    b"ALL_PROXY",
    b"all_proxy",
}
# The gateway, as clients know it.
GATEWAY = "http://169.254.170.2"
# What a region's name is made of.
_REGION = "abcdefghijklmnopqrstuvwxyz0123456789-"
# Files that do.
_CONFIGURATION = (
    ("AWS_CONFIG_FILE", "~/.aws/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
)

# Format of the tables that this shim reads.
_FORMAT = 6
# Services whose answers may take longer, by their names for programs.
_SLOW = {"lambda"}

# Tables of such services, by service and patience.
_patient: "dict[str, dict[str, Any]]" = {}
_services: "dict[str, dict[str, Any] | None]" = {}
_tables: "str | None" = None
_site: "str | None" = None
# Names in facades that are those of another module, which is imported when they are needed.
_ELSEWHERE = {("botocore.client", "Config"): "botocore.config", ("boto3", "Session"): "boto3.session"}
# Specs of the real modules that there are facades of.
waiting: "dict[str, ModuleSpec]" = {}
# Threads that run a real module's code, by its name.
loading: "dict[str, int]" = {}


class Loader:
    """Fills a facade in."""

    def __init__(self, real: "ModuleSpec") -> None:
        self._real = real

    def create_module(self, spec: "ModuleSpec") -> None:
        """The usual module object."""
        return

    def exec_module(self, module: "Any") -> None:
        """Makes `module` a facade."""
        name = module.__name__
        waiting[name] = self._real
        module.__file__ = self._real.origin
        module.__getattr__ = lambda attribute: _missing(module, attribute)
        _fill(name, module, self._real.origin)  # type: ignore[arg-type]


def knows(real: "ModuleSpec") -> bool:
    """Whether there is a facade for this package: whether tables were made of the SDK that it belongs to."""
    return find(real.origin) is not None  # type: ignore[arg-type]


def _fill(name: str, module: "Any", origin: str) -> None:
    """Gives a facade its attributes."""
    if name in ("boto3", "botocore"):
        module.__version__ = version(origin)
    if name == "boto3":
        module.client = _client
        module.resource = _resource
        module.DEFAULT_SESSION = None
    elif name == "boto3.session":
        from nexus_sdk import session

        module.Session = session.make(origin)
    elif name == "boto3.compat":
        import collections.abc

        module.collections_abc = collections.abc
    elif name == "botocore.compat":
        from collections import OrderedDict

        module.OrderedDict = OrderedDict
    elif name == "botocore.endpoint":
        module.__dict__.update(_numbers(origin, (b"DEFAULT_TIMEOUT", b"MAX_POOL_CONNECTIONS")))


def _numbers(origin: str, names: "tuple[bytes, ...]") -> "dict[str, int]":
    """The constants of these names, if they are numbers in so many words."""
    found = {}
    with open(origin, "rb") as file:
        for line in file:
            name, equals, value = line.partition(b" = ")
            if equals and name in names and value.strip().isdigit():
                found[name.decode()] = int(value)
    return found


def _missing(module: "ModuleType", attribute: str) -> "Any":
    special = attribute.startswith("__") and attribute not in ("__all__", "__author__")
    # The real module's own code asks while it runs.
    if special or loading.get(module.__name__) == _thread.get_ident():
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")
    if (module.__name__, attribute) in _ELSEWHERE and nexus_sdk.active:
        value = getattr(_gcd_import(_ELSEWHERE[module.__name__, attribute]), attribute)
        setattr(module, attribute, value)
        return value
    nexus_sdk.step_aside()
    return getattr(module, attribute)


def _client(*args: "Any", **kwargs: "Any") -> "Any":
    def real() -> "Any":
        return _real_boto3().client(*args, **kwargs)

    return client_of(args, kwargs, None, real) if _is_default() else real()


def _resource(*args: "Any", **kwargs: "Any") -> "Any":
    def real() -> "Any":
        return _real_boto3().resource(*args, **kwargs)

    return resource_of(args, kwargs, None, real) if _is_default() else real()


def _name_as(function: "Any", name: str) -> None:
    """Lets a function look as if it were boto3's."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = "boto3"
    function.__annotations__ = {}


_name_as(_client, "client")
_name_as(_resource, "resource")


def _real_boto3() -> "Any":
    nexus_sdk.step_aside()
    return sys.modules["boto3"]


def _is_default() -> bool:
    """Whether the default session is one as boto3 would make it now."""
    # Another thread may be importing the module just now: then nobody has touched its class.
    is_untouched = getattr(sys.modules.get("nexus_sdk.session"), "is_untouched", None)
    return sys.modules["boto3"].DEFAULT_SESSION is None and (is_untouched is None or is_untouched())


def client_of(args: "tuple[Any, ...]", kwargs: "dict[str, Any]", region: "str | None", real: "Callable[[], Any]") -> "Any":
    """A session's client: a facade, or what `real` makes. `region` is the session's."""
    settled = _settle(args, kwargs, region)
    if settled is None:
        return real()
    from nexus_sdk import client

    return client.make(*settled, real)


def resource_of(args: "tuple[Any, ...]", kwargs: "dict[str, Any]", region: "str | None", real: "Callable[[], Any]") -> "Any":
    """A session's resource: a facade, or what `real` makes. `region` is the session's."""
    settled = _settle(args, kwargs, region)
    if settled is None:
        return real()
    from nexus_sdk import resource

    return resource.make(args[0], *settled, real) if resource.has(args[0]) else real()


def _settle(args: "tuple[Any, ...]", kwargs: "dict[str, Any]", region: "str | None") -> "tuple[dict[str, Any], str] | None":
    """The table and the region of a client of these arguments, or None if only the image's own SDK can make it."""
    table = service(args[0]) if len(args) == 1 and type(args[0]) is str else None
    if table is None or not is_plain(kwargs):
        return None
    region = kwargs.get("region_name") or getattr(kwargs.get("config"), "region_name", None) or region
    region = region or os.environ.get("AWS_DEFAULT_REGION")
    if not region or region.strip(_REGION):
        return None
    return patient(table, getattr(kwargs.get("config"), "read_timeout", nexus_sdk.READ_TIMEOUT)), region


def patient(table: "dict[str, Any]", seconds: "float | None") -> "dict[str, Any]":
    """The table for a client that waits so long for an answer: another one where the gateway would wait longer."""
    if table["service"] not in _SLOW:
        return table
    key = f"{table['key']} {seconds}"
    if key not in _patient:
        _patient[key] = {**table, "key": key, "patience": seconds}
    return _patient[key]


def is_plain(kwargs: "dict[str, Any]") -> bool:
    """Whether a client of these arguments, in this environment, does what the gateway does."""
    for name, value in kwargs.items():
        if name == "config" and value is not None:
            from nexus_sdk import config

            if not config.is_plain(value, {}):
                return False
        elif value is not None and (name != "region_name" or type(value) is not str):
            return False
    environment = os.environ
    # As bytes: that decodes none of them.
    names = environment._data  # type: ignore[attr-defined]
    if not _CHANGES.isdisjoint(names) or b"\0AWS_ENDPOINT_URL_" in b"\0" + b"\0".join(names):
        return False
    if environment.get("AWS_ENDPOINT_URL") != GATEWAY:
        return False
    for name, usual in _CONFIGURATION:
        if os.path.exists(os.path.expanduser(environment.get(name) or usual)):
            return False
    # Who logs at the level DEBUG wants to see what botocore says. While logging itself is being imported nobody does.
    logger = getattr(sys.modules.get("logging"), "getLogger", None)
    return logger is None or not (logger("boto3").isEnabledFor(10) or logger("botocore").isEnabledFor(10))


def find(origin: str) -> "str | None":
    """The folder of the tables for the SDK that the package at `origin` belongs to, or None."""
    global _tables, _site
    site = os.path.dirname(os.path.dirname(origin))
    if _tables is None:
        there = f"{nexus_sdk.folder}/tables{site}/botocore"
        _tables = there if os.path.isdir(there) else _made(site)
        _site = site
    # Packages of two places are no SDK that the tables were made of.
    return _tables if _site == site else None


def _made(site: str) -> "str | None":
    """The folder of tables that are made now, or were made before, where the program that makes them is at hand.

    That is so outside a VM; a guest has its tables in its root.
    """
    maker = f"{os.path.dirname(os.path.dirname(nexus_sdk.folder))}/nexus-sdk-tables"
    if not os.access(maker, os.X_OK):
        return None
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    try:
        release = version(f"{site}/botocore/__init__.py")
        folder = f"{cache}/nexus/sdk-tables/{_FORMAT}/{release}{site}/botocore"
        if not os.path.isdir(folder):
            child = os.posix_spawn(maker, [maker, f"{site}/botocore", folder], os.environ)
            _, status = os.waitpid(child, 0)
            if status != 0:
                return None
    except OSError:
        return None
    return folder


def version(origin: str) -> "str | None":
    """What `__version__` of the package is, without running it."""
    with open(origin, "rb") as file:
        for line in file:
            if line.startswith(b"__version__"):
                return line.split(b"=")[1].strip().strip(b"'\"").decode()
    return None


def release(package: str) -> "str | None":
    """The version of a package that is installed beside the SDK."""
    try:
        return version(f"{_site}/{package}/__init__.py")
    except OSError:
        return None


def data(service: str, name: str) -> str:
    """What the SDK has in one of its own files on a service, in the newest version. Raises OSError if there is none."""
    folder = f"{_site}/botocore/data/{service}"
    with open(f"{folder}/{max(os.listdir(folder))}/{name}", encoding="utf-8") as file:
        return file.read()


def service(name: str) -> "dict[str, Any] | None":
    """The table of a service, or None."""
    if name not in _services:
        _services[name] = _read(name)
    return _services[name]


def _read(name: str) -> "dict[str, Any] | None":
    if _tables is None or not name.isidentifier():
        return None
    import marshal

    try:
        with open(f"{_tables}/{name}", "rb") as file:
            table: dict[str, Any] = marshal.loads(file.read())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    # Clients of one table are of one class.
    table["key"] = name
    return table if table["format"] == _FORMAT else None
