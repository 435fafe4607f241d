# SPDX-License-Identifier: Apache-2.0
"""What stands for the packages boto3 and botocore until the real ones are needed.

A facade is a module of its real name and place. The first attribute that it lacks has the real `__init__` run inside the same
module object: whoever holds the module then holds the real one.
"""

import os
import sys

from nexus_sdk import tables

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
# Files that do.
_CONFIGURATION = (
    ("AWS_CONFIG_FILE", "~/.aws/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
)

_real = {}


class Loader:
    """Fills a facade in."""

    def __init__(self, real):
        self._real = real

    def create_module(self, spec):
        """The usual module object."""
        return

    def exec_module(self, module):
        """Makes `module` a facade."""
        name = module.__name__
        _real[name] = self._real
        module.__file__ = self._real.origin
        module.__version__ = tables.version(self._real.origin)
        module.__getattr__ = lambda attribute: _missing(module, attribute)
        if name == "boto3":
            module.client = _client
            module.DEFAULT_SESSION = None


def knows(real):
    """Whether there is a facade for this package: whether tables were made of the SDK that it belongs to."""
    return tables.find(real.origin) is not None


def become_real():
    """Makes real modules of all facades."""
    for name in ("botocore", "boto3"):
        module = sys.modules.get(name)
        if module is not None and name in _real:
            _load(module)


def real_client(arguments, keywords):
    """A client of the image's own SDK."""
    from nexus_sdk import finder

    finder.step_aside()
    import boto3

    return boto3.client(*arguments, **keywords)


def _missing(module, attribute):
    if attribute.startswith("__") and attribute not in ("__all__",):
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")
    from nexus_sdk import finder

    finder.step_aside()
    return getattr(module, attribute)


def _load(module):
    """Runs the real `__init__` inside the facade."""
    real = _real.pop(module.__name__)
    for name in ("__getattr__", "client", "DEFAULT_SESSION", "__version__"):
        module.__dict__.pop(name, None)
    module.__spec__ = real
    module.__loader__ = real.loader
    real.loader.exec_module(module)


def _client(*args, **kwargs):
    service = tables.service(args[0]) if len(args) == 1 and type(args[0]) is str else None
    if service is None or not _is_plain(kwargs) or sys.modules["boto3"].DEFAULT_SESSION is not None:
        return real_client(args, kwargs)
    region = kwargs.get("region_name") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        return real_client(args, kwargs)
    from nexus_sdk import client

    return client.make(service, region, args, kwargs)


_client.__name__ = _client.__qualname__ = "client"
_client.__module__ = "boto3"


def _is_plain(kwargs):
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
        if os.path.exists(environment.get(name) or os.path.expanduser(usual)):
            return False
    logging = sys.modules.get("logging")
    # Who logs at this level wants to see what botocore says.
    return logging is None or not logging.getLogger("botocore").isEnabledFor(logging.DEBUG)
