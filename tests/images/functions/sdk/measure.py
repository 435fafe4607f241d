# SPDX-License-Identifier: Apache-2.0
"""Makes calls whose cost somebody else looks at: in a guest as a function, outside as a program that also tells its own share.

    measure.py start bare|import|client|first [PID]     what it takes to get that far
    measure.py get|put SIZE COUNT [PID]                  calls after some to warm up

PID is the backend's, whose processor time is told beside this process's.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time
from typing import Any

BUCKET = "measured"
# Until a connection stands and everything has been used once.
WARM_UP = int(os.environ.get("WARM_UP", "3"))


def client(authority: str | None = None) -> Any:
    """A client as programs make it; or, with the file of a certificate authority, one that goes to the service's own name."""
    import boto3

    if authority is None:
        return boto3.client("s3")
    return boto3.client("s3", endpoint_url="https://s3.us-east-1.amazonaws.com", verify=authority)


def calls(s3: Any, what: str, size: int, count: int) -> None:
    """Gets or puts an object of `size` bytes, `count` times."""
    if what == "put":
        body = bytes(size)
        for _ in range(count):
            s3.put_object(Bucket=BUCKET, Key=f"put-{size}", Body=body)
        return
    for _ in range(count):
        body = s3.get_object(Bucket=BUCKET, Key=f"get-{size}")["Body"].read()
        if len(body) != size:
            raise ValueError(len(body))


def handler(event: dict[str, Any]) -> None:
    """The calls that an event asks for."""
    authority = os.environ["NODE_EXTRA_CA_CERTS"] if event["tls"] else None
    s3 = _clients.get(authority)
    if s3 is None:
        s3 = _clients[authority] = client(authority)
    calls(s3, event["what"], event["size"], event["count"])


_clients: dict[str | None, Any] = {}


def start(stage: str) -> None:
    """Goes as far as `stage`."""
    if stage == "import":
        import boto3  # noqa: F401
    elif stage == "client":
        client()
    elif stage == "first":
        calls(client(), "get", 1024, 1)


def memory_kib(kind: str) -> int:
    """Memory of a kind: `Private_Dirty` was written to. Clean pages of files may be shared with others, or not."""
    # By as little code as it takes, whose memory would count.
    rollup = os.open("/proc/self/smaps_rollup", os.O_RDONLY)
    text = os.read(rollup, 4096)
    os.close(rollup)
    return int(text.split(f"{kind}:".encode())[1].split()[0])


def touched_kib(s3: Any, what: str, size: int) -> int:
    """Memory that one more call reads or writes."""
    # Proc, clear_refs: pages are marked from now on when they are used.
    marks = os.open("/proc/self/clear_refs", os.O_WRONLY)
    os.write(marks, b"1")
    calls(s3, what, size, 1)
    return memory_kib("Referenced")


def backend_ns(pid: str | None) -> int:
    """Processor time of all threads of a process."""
    if pid is None:
        return 0
    threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def spent(before: int, pid: str | None, backend: int) -> dict[str, int]:
    """Processor time since then, of this process and of the backend."""
    return {"cpu_ns": time.process_time_ns() - before, "backend_ns": backend_ns(pid) - backend}


def main(what: str, *arguments: str) -> None:
    """Measures and tells."""
    if what == "start":
        stage, pid = arguments[0], arguments[1] if len(arguments) > 1 else None
        before, backend = 0, backend_ns(pid)
        start(stage)
        figures = spent(before, pid, backend)
        figures["memory_kib"] = memory_kib("Private_Dirty")
    else:
        size, count = int(arguments[0]), int(arguments[1])
        pid = arguments[2] if len(arguments) > 2 else None
        s3 = client()
        calls(s3, what, size, WARM_UP)
        before, backend = time.process_time_ns(), backend_ns(pid)
        calls(s3, what, size, count)
        figures = spent(before, pid, backend)
        figures["memory_kib"] = touched_kib(s3, what, size)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
