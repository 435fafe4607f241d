# SPDX-License-Identifier: Apache-2.0
"""Which `botocore.config.Config` leaves calls as they are: by what it says, the gateway does what it does anyway."""

import sys

import nexus_sdk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Of connections, which are the gateway's; and of names for the program, which it does not pass on.
_INDIFFERENT = {
    "_supplied_user_agent",
    "connect_timeout",
    "max_pool_connections",
    "tcp_keepalive",
    "user_agent",
    "user_agent_appid",
    "user_agent_extra",
}
_NOTHING = object()


def is_plain(config: "Any", added: "dict[str, Any]") -> bool:
    """Whether clients with this configuration make the calls that others make. What is `added` to it goes without saying."""
    module = sys.modules.get("botocore.config")
    if module is None or type(config) is not module.Config:
        return False
    usual = config.OPTION_DEFAULTS
    for name, value in vars(config).items():
        if name == "_user_provided_options" or name in _INDIFFERENT or added.get(name, _NOTHING) == value:
            continue
        if name == "_inject_host_prefix":
            # Of the newer releases, which have no other word for what nobody has set.
            if value != "UNSET":
                return False
        elif name not in usual or (value != usual[name] and not _is_harmless(name, value)):
            return False
    return True


def _is_harmless(name: str, value: "Any") -> bool:
    if name == "region_name":
        return type(value) is str
    if name == "signature_version":
        return value in ("s3v4", "v4")
    if name == "s3":
        return set(value) <= {"addressing_style"}
    if name == "read_timeout":
        # Who wants less gets it from the image's own SDK.
        return value is None or value >= nexus_sdk.READ_TIMEOUT
    if name == "retries":
        return _retries(value)
    return False


def _retries(value: "Any") -> bool:
    """Whether a call may be made once more, as it is when it is handed over."""
    if not set(value) <= {"max_attempts", "mode", "total_max_attempts"} or value.get("mode") == "adaptive":
        return False
    return bool(value.get("max_attempts", 1) >= 1 and value.get("total_max_attempts", 2) >= 2)
