# SPDX-License-Identifier: Apache-2.0
"""Forms for uploads, by what is in them: with the shim they are signed with another key, and for another address."""

from __future__ import annotations

import base64
import json
from typing import Any

from record import case, note_key, outcome

# What depends on when it was signed, and with which key.
_SIGNED = ("x-amz-credential", "x-amz-date", "x-amz-signature")
_TOKEN = "x-amz-security-token"


def _shown(form: dict[str, Any]) -> Any:
    """A form without what is different each time."""
    note_key(form["fields"]["x-amz-credential"])
    fields = {name: "signed" if name in _SIGNED else value for name, value in form["fields"].items() if name != _TOKEN}
    text = base64.b64decode(fields["policy"]).decode()
    policy = json.loads(text)
    conditions = [
        {name: "signed" if name in _SIGNED else value for name, value in condition.items()}
        if isinstance(condition, dict)
        else condition
        for condition in policy["conditions"]
        if not (isinstance(condition, dict) and _TOKEN in condition)
    ]
    # As Python's json writes it, to the last space.
    fields["policy"] = [text == json.dumps(policy), list(policy), len(policy["expiration"]), conditions]
    return [list(form), fields]


@case
def forms(s3: Any, bucket: str) -> Any:
    """Forms for a key and for many, with fields and conditions."""
    import boto3
    from botocore.config import Config

    # The signature that every store knows.
    client = boto3.client("s3", config=Config(signature_version="s3v4"))
    typed = {"Content-Type": "text/plain", "success_action_status": "201"}
    asked: list[dict[str, Any]] = [
        {"Bucket": bucket, "Key": "plain"},
        {"Bucket": bucket, "Key": "a b/ü+%&.txt", "ExpiresIn": 60},
        {"Bucket": bucket, "Key": "in/${filename}", "Fields": typed},
        {
            "Bucket": bucket,
            "Key": "k",
            "Fields": typed,
            "Conditions": [
                {"Content-Type": "text/plain"},
                ["content-length-range", 1, 100],
                ["starts-with", "$x-amz-meta-ü", '"\\/\u007f\n😀'],
                ("eq", "$success_action_status", "201"),
                {"bucket": bucket},
            ],
        },
    ]
    seen = [_shown(client.generate_presigned_post(**arguments)) for arguments in asked]
    seen.append(_shown(client.generate_presigned_post(bucket, "k", None, None, 10)))
    # What was given stays as it was.
    seen.append([typed, asked[3]["Conditions"]])
    return seen


@case
def wrong_forms(s3: Any, bucket: str) -> Any:
    """What botocore refuses, or has to make itself."""
    wrong: list[dict[str, Any]] = [
        {},
        {"Bucket": bucket},
        {"Bucket": bucket, "Key": "k", "Other": 1},
        {"Bucket": bucket, "Key": "k", "ExpiresIn": "60"},
        {"Bucket": "not a bucket", "Key": "k"},
    ]
    return [outcome(lambda arguments=arguments: s3.generate_presigned_post(**arguments)) for arguments in wrong]
