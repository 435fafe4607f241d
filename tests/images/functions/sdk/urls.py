# SPDX-License-Identifier: Apache-2.0
"""Signed URLs, by what is in them: with the shim they are signed with another key, and for another address."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from record import case, note_key, outcome

# What depends on when it was signed, and with which key.
_SIGNED = {"X-Amz-Credential", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Signature"}


def _shown(url: str) -> Any:
    """A URL without what is different each time."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    named = dict(query)
    note_key(named.get("X-Amz-Credential") or named["AWSAccessKeyId"])
    return [parts.path, sorted(pair for pair in query if pair[0] not in _SIGNED)]


def _asked(bucket: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Methods, their parameters and what else is said of a URL."""
    at: dict[str, Any] = {"Bucket": bucket, "Key": "a b/ü+%&.txt"}
    said = {"ContentType": "text/plain", "Metadata": {"a": "1", "B": "2 +"}, "CacheControl": "no-cache", "ACL": "private"}
    return [
        ("get_object", at, {}),
        ("get_object", {**at, "VersionId": "1", "ResponseContentType": "text/plain; charset=utf-8"}, {"ExpiresIn": 60}),
        ("head_object", at, {}),
        ("put_object", at, {"ExpiresIn": 604_800}),
        ("put_object", {**at, **said}, {}),
        ("upload_part", {**at, "UploadId": "a/b", "PartNumber": 2}, {}),
        ("delete_object", at, {}),
        ("list_objects_v2", {"Bucket": bucket, "Prefix": "a b/"}, {}),
    ]


def _of_botocore(bucket: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The same of what only botocore makes."""
    at = {"Bucket": bucket, "Key": "k"}
    return [("get_object", {**at, "Range": "bytes=0-1"}, {"HttpMethod": "HEAD"}), ("get_object_tagging", at, {})]


def _of(client: Any, asked: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> list[Any]:
    """The URLs that a client makes."""
    return [
        outcome(lambda name=name, params=params, more=more: _shown(client.generate_presigned_url(name, params, **more)))
        for name, params, more in asked
    ]


@case
def urls(s3: Any, bucket: str) -> Any:
    """URLs for calls of all kinds, of the signature that every store knows."""
    import boto3
    from botocore.config import Config

    return _of(boto3.client("s3", config=Config(signature_version="s3v4")), _asked(bucket))


@case
def urls_of_others(s3: Any, bucket: str) -> Any:
    """URLs and forms of clients that have something of their own."""
    import boto3
    from botocore.config import Config

    def note(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["x-amz-expected-bucket-owner"] = "123456789012"

    client = boto3.client("s3", config=Config(signature_version="s3v4"))
    seen: list[Any] = [_of(client, _of_botocore(bucket))]
    for config in ({"max_pool_connections": 3}, {"s3": {"payload_signing_enabled": False}}):
        client = boto3.client("s3", config=Config(signature_version="s3v4", **config))
        client.meta.events.register("before-call.s3.GetObject", note)
        client.meta.events.register("provide-client-params.s3.GetObject", lambda params, **_: {**params, "Range": "bytes=1-2"})
        seen.append(_of(client, _asked(bucket) + _of_botocore(bucket)))
        form = client.generate_presigned_post(bucket, "k", {"Content-Type": "text/plain"}, [{"Content-Type": "text/plain"}], 60)
        note_key(form["fields"]["x-amz-credential"])
        seen.append([list(form), sorted(form["fields"].keys() - {"x-amz-security-token"}), urlsplit(form["url"]).path])
    # In the first of its versions, a signature is good for headers that follow from the URL.
    client = boto3.client("s3", config=Config(signature_version="s3"))
    url = client.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    return [
        *seen,
        _shown(url)[0],
        _shown(client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, 1))[0],
    ]
