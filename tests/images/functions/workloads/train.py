# SPDX-License-Identifier: Apache-2.0
"""Fits a linear model to a table in an object store, and puts the model back."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import boto3
import numpy as np

DIGITS = 6

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Reads `key`, a CSV with names in its first line, and explains its column `target` by the others."""
    table = s3.get_object(Bucket=event["bucket"], Key=event["key"])
    rows = list(csv.DictReader(io.TextIOWrapper(table["Body"], encoding="utf-8")))
    target = event["target"]
    features = [name for name in rows[0] if name != target]
    values = np.array([[float(row[name]) for name in features] for row in rows])
    wanted = np.array([float(row[target]) for row in rows])
    design = np.column_stack([np.ones(len(rows)), values])
    coefficients, *_ = np.linalg.lstsq(design, wanted, rcond=None)
    residual = wanted - design @ coefficients
    explained = 1 - float(residual @ residual) / float(np.sum((wanted - wanted.mean()) ** 2))
    names = ["intercept", *features]
    model = {name: round(float(value), DIGITS) for name, value in zip(names, coefficients, strict=True)}
    s3.put_object(
        Bucket=event["bucket"],
        Key=event["output_key"],
        Body=json.dumps(model, sort_keys=True),
        ContentType="application/json",
        Metadata={"rows": str(len(rows)), "explained": f"{explained:.{DIGITS}f}", "source": event["key"]},
    )
    return {"model": model, "rows": len(rows), "explained": round(explained, DIGITS), "source": table.get("Metadata")}
