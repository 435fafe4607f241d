# SPDX-License-Identifier: Apache-2.0
"""Packs all objects below a prefix into one zip archive beside them."""

from __future__ import annotations

import hashlib
import pathlib
import tempfile
import zipfile
from typing import Any

import boto3

PAGE = 4

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Packs `bucket`/`prefix` into `output_key`, and tells what is in it."""
    bucket, prefix, output_key = event["bucket"], event["prefix"], event["output_key"]
    with tempfile.TemporaryDirectory() as folder:
        files = download(bucket, prefix, pathlib.Path(folder) / "files")
        archive = pathlib.Path(folder) / "archive.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for name, path in files.items():
                packed.write(path, name)
        s3.upload_file(str(archive), bucket, output_key, ExtraArgs={"ContentType": "application/zip"})
        contents = hashlib.sha256()
        for name, path in files.items():
            contents.update(name.encode() + b"\0" + path.read_bytes())
        sizes = {name: path.stat().st_size for name, path in files.items()}
    stored = s3.head_object(Bucket=bucket, Key=output_key)
    return {"key": output_key, "type": stored["ContentType"], "files": sizes, "contents": contents.hexdigest()}


def download(bucket: str, prefix: str, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Fetches the objects below a prefix into files, by their names without the prefix."""
    files = {}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE})
    for page in pages:
        for entry in page.get("Contents", []):
            name = entry["Key"].removeprefix(prefix)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, entry["Key"], str(path))
            files[name] = path
    return files
