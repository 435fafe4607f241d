# SPDX-License-Identifier: Apache-2.0
"""Copies what is new below a prefix into a backup bucket. Written for an SDK from before there were variables for endpoints."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Copies the objects of `bucket` below `prefix` into `backup`, but for those that are there with the same content."""
    copied, kept = [], []
    listed = s3.list_objects(Bucket=event["bucket"], Prefix=event["prefix"], Delimiter="/")
    for entry in listed["Contents"]:
        key = entry["Key"]
        content = s3.get_object(Bucket=event["bucket"], Key=key)["Body"].read()
        digest = hashlib.sha256(content).hexdigest()
        if digest == stored_digest(event["backup"], key):
            kept.append(key)
            continue
        s3.put_object(Bucket=event["backup"], Key=key, Body=content, Metadata={"sha256": digest})
        copied.append(key)
    log = "\n".join(copied)
    s3.upload_fileobj(io.BytesIO(log.encode()), event["backup"], "log.txt", ExtraArgs={"ContentType": "text/plain"})
    folders = [entry["Prefix"] for entry in listed.get("CommonPrefixes", [])]
    return {"copied": copied, "kept": kept, "folders": folders, "sdk": boto3.__version__}


def stored_digest(bucket: str, key: str) -> str | None:
    """The digest that was noted with an object; none if there is no object."""
    try:
        stored: str | None = s3.head_object(Bucket=bucket, Key=key)["Metadata"].get("sha256")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    return stored
