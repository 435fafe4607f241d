# SPDX-License-Identifier: Apache-2.0
"""The second half of a word count: adds up what the mappers have counted, and tidies up after them."""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

BUCKET = os.environ.get("BUCKET", "words")

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Merges the counts of `job` into `results/JOB.json`, unless there are some already."""
    job = event["job"]
    output_key = f"results/{job}.json"
    try:
        s3.head_object(Bucket=BUCKET, Key=output_key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
    else:
        return {"key": output_key, "done": "before"}
    counts: collections.Counter[str] = collections.Counter()
    parts = list(keys(f"jobs/{job}/"))
    for key in parts:
        counts.update(json.load(s3.get_object(Bucket=BUCKET, Key=key)["Body"]))
    result = json.dumps(dict(sorted(counts.items())), indent=1)
    s3.put_object(Bucket=BUCKET, Key=output_key, Body=result, ContentType="application/json")
    deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in parts]})
    return {
        "key": output_key,
        "parts": parts,
        "deleted": sorted(entry["Key"] for entry in deleted["Deleted"]),
        "errors": deleted.get("Errors", []),
        "left": list(keys(f"jobs/{job}/")),
        "common": counts.most_common(5),
    }


def keys(prefix: str) -> Iterator[str]:
    """The keys below a prefix, a few at a time."""
    parameters: dict[str, Any] = {"Bucket": BUCKET, "Prefix": prefix, "MaxKeys": 2}
    while True:
        page = s3.list_objects_v2(**parameters)
        for entry in page.get("Contents", []):
            yield entry["Key"]
        if not page["IsTruncated"]:
            return
        parameters["ContinuationToken"] = page["NextContinuationToken"]
