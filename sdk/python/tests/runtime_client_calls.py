# SPDX-License-Identifier: Apache-2.0
"""Makes calls of awslambdaric's `runtime_client`, and tells what each gave.

They come as JSON in the first argument: lists of a function's name and its arguments, where {"bytes": N} stands for N bytes
and {"text": N} for a text as long; a number is a pause in seconds. What they gave goes to the file in the second argument.
The extension itself writes to the output. Calls of `alarm` and `die_of_sigpipe` are the program's own.
"""

from __future__ import annotations

import json
import pathlib
import signal
import sys
import time
from typing import Any

# What the image's program would import.
from awslambdaric import lambda_runtime_client
from runtime_api import shown


def argument(value: Any) -> Any:
    """An argument that JSON has no form of."""
    if not isinstance(value, dict):
        return value
    if "text" in value:
        return "x" * value["text"]
    return (b"0123456789abcdef" * (value["bytes"] // 16 + 1))[: value["bytes"]]


def described(value: Any) -> Any:
    """A result with its types."""
    if isinstance(value, tuple):
        return [described(item) for item in value]
    if isinstance(value, bytes):
        return shown(value)
    if isinstance(value, dict):
        return [[name, repr(item)] for name, item in value.items()]
    return repr(value)


def too_late(*_: object) -> None:
    """What programs do to whom takes too long."""
    raise TimeoutError("too late")


def alarm(seconds: float) -> None:
    """Has that happen in so many seconds."""
    signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def die_of_sigpipe() -> None:
    """As programs in a pipeline do."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


OWN: dict[str, Any] = {"alarm": alarm, "die_of_sigpipe": die_of_sigpipe}


def main() -> None:
    """Makes the calls."""
    client = lambda_runtime_client.runtime_client
    gave: list[Any] = []
    for call in json.loads(sys.argv[1]):
        if isinstance(call, float):
            time.sleep(call)
            continue
        name, *arguments = call
        try:
            function = OWN.get(name) or getattr(client, name)
            gave.append(described(function(*map(argument, arguments))))
        except Exception as error:
            gave.append([type(error).__name__, str(error), repr(error.__cause__)])
    ours = type(client.next).__name__ == "method"
    loaded = ours and client.next.__self__._real is not None
    pathlib.Path(sys.argv[2]).write_text(json.dumps({"gave": gave, "ours": ours, "extension": loaded or not ours}))


main()
