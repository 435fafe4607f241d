# SPDX-License-Identifier: Apache-2.0
"""Tells what its boto3 does, call by call: once with the shim and once without, to be compared on the host."""

from __future__ import annotations

import json
from typing import Any

import equivalence
import measure


def handler(event: dict[str, Any], context: object) -> Any:
    """The names of all cases, as their buckets have them; for a `prefix` of buckets, what became of each.

    Of one alone, if it is the `only` one asked for. The same of other `services`; or the calls that are to be measured.
    """
    if "what" in event:
        return measure.handler(event)
    if "services" in event:
        # What it does not look at, others do.
        import services

        return services.run(event["services"])
    prefix = event.get("prefix")
    if prefix is None:
        return [equivalence.bucket_of("", name) for name in equivalence.CASES]
    # Buckets have names of their own, which must not be a difference.
    return json.loads(json.dumps(equivalence.run(prefix, event.get("only"))).replace(prefix, "of-"))
