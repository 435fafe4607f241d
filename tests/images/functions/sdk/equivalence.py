# SPDX-License-Identifier: Apache-2.0
"""What programs see of boto3, call by call, written down as plain data.

Run once with the shim and once with the image's own SDK, against the same kind of store: what is written down has to be the
same. Each case gets a client and a bucket of its own; what it returns is written down, or the exception that it raises, and at
the end what the bucket then holds.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import clients  # noqa: F401
import forms  # noqa: F401
import listings  # noqa: F401
import objects  # noqa: F401
import paginators  # noqa: F401
import real_clients  # noqa: F401
import transfers  # noqa: F401
import urls  # noqa: F401
from record import CASES, PLACEHOLDERS, outcome

__all__ = ["CASES", "bucket_of", "run"]


def bucket_of(prefix: str, name: str) -> str:
    """The bucket of a case."""
    return prefix + name.replace("_", "-")


def run(prefix: str, only: str | None = None) -> dict[str, Any]:
    """Runs all cases, or that of the bucket `only`.

    Each is in a process of its own, since one that looks deep changes the process for those after it.
    Their buckets, whose names begin with `prefix`, are there.
    """
    if os.environ.get("NEXUS_SDK") == "off":
        # Once for all processes, since it takes long and nothing is to be seen of it.
        import boto3  # noqa: F401
    names = [name for name in CASES if only is None or bucket_of("", name) == only]
    return {name: in_a_child(partial(_run_one, name, bucket_of(prefix, name))) for name in names}


def in_a_child(function: Callable[[], Any]) -> Any:
    """What a function returns in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as pipe:
                json.dump(function(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if status == 0 else {"died": status}


def _run_one(name: str, bucket: str) -> dict[str, Any]:
    import boto3

    seen = outcome(CASES[name], boto3.client("s3"), bucket)
    s3 = boto3.client("s3")
    left = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    seen["left"] = [[item["Key"], outcome(_look, s3, bucket, item["Key"])] for item in left]
    # Whether the real SDK had to be loaded, and whether a URL or form was signed with a placeholder: all that may differ.
    seen["loaded"] = "botocore.session" in sys.modules
    if PLACEHOLDERS:
        seen["placeholder"] = any(PLACEHOLDERS)
    return seen


def _look(s3: Any, bucket: str, key: str) -> Any:
    return s3.head_object(Bucket=bucket, Key=key)
