# SPDX-License-Identifier: Apache-2.0
"""Scales a picture in an object store: the function of the demo.

Written as such functions are: the client at module level, so that it lives as long as the instance, and no line about where the
store is or which keys open it.
"""

from __future__ import annotations

import io
from typing import Any

import boto3
from PIL import Image, ImageOps

DEFAULT_WIDTH = 256

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Reads `key` from `bucket`, writes it `width` pixels wide to `output_key`, and tells what it made."""
    bucket = event["bucket"]
    key = event["key"]
    width = int(event.get("width", DEFAULT_WIDTH))
    output_key = event.get("output_key", f"thumbnails/{key}")

    original = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with Image.open(io.BytesIO(original)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        source_width, source_height = upright.size
        height = max(1, round(source_height * width / source_width))
        scaled = upright.resize((width, height), Image.Resampling.LANCZOS)
    output = io.BytesIO()
    scaled.save(output, format="JPEG", quality=85)
    body = output.getvalue()
    s3.put_object(Bucket=bucket, Key=output_key, Body=body, ContentType="image/jpeg")
    return {
        "bucket": bucket,
        "key": output_key,
        "width": width,
        "height": height,
        "bytes": len(body),
        "source": {"key": key, "width": source_width, "height": source_height, "bytes": len(original)},
    }
