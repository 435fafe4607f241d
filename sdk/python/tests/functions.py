# SPDX-License-Identifier: Apache-2.0
"""Functions whose runtime is awslambdaric. What they return is always the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

_ticks = 0


def echo(event: Any, context: Any) -> Any:
    """Its event, and what the context knows."""
    known = [context.aws_request_id, context.invoked_function_arn, getattr(context, "tenant_id", None)]
    return [event, known, repr(context.client_context), os.environ.get("_X_AMZN_TRACE_ID")]


def give_bytes(event: Any, context: object) -> bytes:
    """What is no JSON, as it came."""
    return event if isinstance(event, bytes) else b"\x00\xff"


def fail(event: Any, context: object) -> None:
    """Fails, or ends the process."""
    print("about to fail")
    if event == "exit":
        sys.exit(7)
    raise ValueError(f"no {event}")


def fork(event: Any, context: object) -> list[int]:
    """Has children, of all kinds."""
    child = os.fork()
    if child == 0:
        os._exit(3)
    return [os.waitpid(child, 0)[1], subprocess.run(["/bin/true"], check=True).returncode]


def tick(event: Any, context: object) -> bool:
    """Whether a thread has run since the last event."""
    global _ticks
    before, _ticks = _ticks, 0
    if event == "start":
        threading.Thread(target=_count, daemon=True).start()
    return before > 3


def _count() -> None:
    global _ticks
    while True:
        time.sleep(0.02)
        _ticks += 1
