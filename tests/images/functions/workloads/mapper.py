# SPDX-License-Identifier: Apache-2.0
"""The first half of a word count: counts the words in a part of a text."""

from __future__ import annotations

import collections
import json
import os
import re
from typing import Any

import boto3

WORD = re.compile(rb"[a-z]+")
BUCKET = os.environ.get("BUCKET", "words")

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Counts in the lines of `key` that begin in the bytes from `start` to before `end`; the counts are an object."""
    start, end = int(event["start"]), int(event["end"])
    size = s3.head_object(Bucket=BUCKET, Key=event["key"])["ContentLength"]
    counts: collections.Counter[str] = collections.Counter()
    # One byte more, by which a line is known to begin at the first.
    at = first = max(start - 1, 0)
    body = s3.get_object(Bucket=BUCKET, Key=event["key"], Range=f"bytes={first}-{size - 1}")["Body"]
    lines = 0
    for number, line in enumerate(body.iter_lines(chunk_size=4096, keepends=True)):
        begins, at = at, at + len(line)
        if number == 0 and start > 0:
            continue
        if begins >= end:
            break
        lines += 1
        counts.update(word.decode() for word in WORD.findall(line.lower()))
    body.close()
    key = f"jobs/{event['job']}/{start:09d}.json"
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(counts, sort_keys=True).encode())
    return {"key": key, "lines": lines, "words": sum(counts.values())}
