# SPDX-License-Identifier: Apache-2.0
"""Returns its event; with certain fields in the event it misbehaves, or tells about the machine it runs in."""

from __future__ import annotations

import os
import pathlib
import socket
import sys
import time
from collections.abc import Callable
from typing import Any


def sleep(seconds: float) -> dict[str, Any]:
    """Takes its time."""
    time.sleep(seconds)
    return {"slept": seconds}


def leave(code: int) -> dict[str, Any]:
    """Ends the process without an answer."""
    sys.stdout.flush()
    os._exit(code)


def kill(number: int) -> dict[str, Any]:
    """Ends the process by a signal."""
    os.kill(os.getpid(), number)
    return {"survived": number}


def fail(message: str) -> dict[str, Any]:
    """Fails as functions do."""
    raise ValueError(message)


def large(size: int) -> dict[str, Any]:
    """Returns a string of so many bytes."""
    return {"large": "x" * size}


def log(text: str) -> dict[str, Any]:
    """Writes a line to each of the outputs."""
    print(text, flush=True)
    print(text, file=sys.stderr, flush=True)
    return {"logged": text}


def environ(_: object) -> dict[str, Any]:
    """The whole environment."""
    return {"environ": dict(os.environ)}


def identity(_: object) -> dict[str, Any]:
    """Who and where the process is."""
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "cwd": str(pathlib.Path.cwd()),
        "pid": os.getpid(),
        "hostname": socket.gethostname(),
        "argv": pathlib.Path("/proc/self/cmdline").read_bytes().decode().split("\0")[:-1],
    }


def files(_: object) -> dict[str, Any]:
    """Whether the root can be written to, and what is mounted."""
    scratch = pathlib.Path("/tmp/echo")
    scratch.write_text("written")
    return {
        "tmp": scratch.read_text(),
        "mounts": pathlib.Path("/proc/mounts").read_text().splitlines(),
    }


def resolve(name: str) -> dict[str, Any]:
    """The addresses of a name, or the resolver's error."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return {"error": error.errno, "message": error.strerror}
    return {"addresses": [entry[4][0] for entry in found]}


def connect(address: list[Any]) -> dict[str, Any]:
    """Connects to [host, port, seconds]; tells the errno if that fails."""
    host, port, timeout = address
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError as error:
        return {"errno": error.errno, "message": str(error)}
    return {"connected": True}


def trust(name: str) -> dict[str, Any]:
    """Who has signed for the server of that name, if the system trusts them; else the error."""
    import ssl

    context = ssl.create_default_context()
    try:
        plain = socket.create_connection((name, 443), timeout=60)
        with plain, context.wrap_socket(plain, server_hostname=name) as secure:
            peer = secure.getpeercert() or {}
    except OSError as error:
        return {"error": str(error)}
    return {"issuer": peer.get("issuer")}


def socket_family_owner(_: object) -> dict[str, Any]:
    """What answers socket(AF_INET): the guest kernel has no INET, so nobody but our driver can."""
    proc = pathlib.Path("/proc")
    modules = proc / "modules"
    protocols = proc / "net" / "protocols"
    families: dict[str, Any] = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.socket(family, socket.SOCK_STREAM).close()
            families[family.name] = "socket() succeeds"
        except OSError as error:
            families[family.name] = f"socket() fails: {error}"
    return {
        "kernel": os.uname().release,
        "modules": [line.split()[0] for line in modules.read_text().splitlines()] if modules.exists() else [],
        "protocols": [line.split()[0] for line in protocols.read_text().splitlines()[1:]] if protocols.exists() else [],
        "families": families,
        "has_proc_net_tcp": (proc / "net" / "tcp").exists(),
        "has_sysctl_ipv4": (proc / "sys" / "net" / "ipv4").exists(),
        "has_sysctl_ipv6": (proc / "sys" / "net" / "ipv6").exists(),
    }


MODES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "sleep": sleep,
    "exit": leave,
    "kill": kill,
    "raise": fail,
    "large": large,
    "log": log,
    "environ": environ,
    "identity": identity,
    "files": files,
    "resolve": resolve,
    "connect": connect,
    "trust": trust,
    "socket_family_owner": socket_family_owner,
}


def handler(event: Any, context: object) -> Any:
    """Runs the mode that the event names, else returns the event."""
    if isinstance(event, dict):
        for name, mode in MODES.items():
            if name in event:
                return mode(event[name])
    return event
