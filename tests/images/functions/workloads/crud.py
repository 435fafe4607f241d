# SPDX-License-Identifier: Apache-2.0
"""The back end of a small shop: its orders are items of a DynamoDB table."""

from __future__ import annotations

import decimal
import json
import os
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ.get("TABLE", "orders"))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Does what `action` says, and answers as behind an HTTP API."""
    try:
        status, result = ACTIONS[event["action"]](json.loads(json.dumps(event), parse_float=decimal.Decimal))
    except ClientError as error:
        refused = error.response["Error"]
        if refused["Code"] != "ConditionalCheckFailedException":
            raise
        status, result = 409, {"code": refused["Code"], "message": refused["Message"]}
    return {"status": status, "body": json.dumps(result, default=plain, sort_keys=True)}


def plain(value: object) -> Any:
    """What JSON does not know."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, set):
        return sorted(value)
    raise TypeError(value)


def create(event: dict[str, Any]) -> tuple[int, Any]:
    """Puts an order that there is not."""
    order = {**event["order"], "tags": set(event["order"]["tags"])}
    table.put_item(Item=order, ConditionExpression=Attr("customer").not_exists())
    return 201, order


def read(event: dict[str, Any]) -> tuple[int, Any]:
    """Gets an order."""
    found = table.get_item(Key=event["key"], ConsistentRead=True)
    return (200, found["Item"]) if "Item" in found else (404, None)


def load(event: dict[str, Any]) -> tuple[int, Any]:
    """Puts many orders, of which one is a repetition."""
    with table.batch_writer(overwrite_by_pkeys=["customer", "number"]) as batch:
        for order in event["orders"]:
            batch.put_item(Item=order)
    return 200, len(event["orders"])


def pay(event: dict[str, Any]) -> tuple[int, Any]:
    """Pays for an order that is open."""
    changed = table.update_item(
        Key=event["key"],
        UpdateExpression="SET #state = :paid, total = total - :discount ADD payments :one REMOVE note",
        ConditionExpression="#state = :open AND total >= :discount",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":paid": "paid", ":open": "open", ":one": 1, ":discount": event["discount"]},
        ReturnValues="ALL_NEW",
    )
    return 200, changed["Attributes"]


def search(event: dict[str, Any]) -> tuple[int, Any]:
    """A customer's orders of a range of numbers, the last first, with a page's end after each third."""
    found: list[Any] = []
    pages = 0
    parameters: dict[str, Any] = {
        "KeyConditionExpression": Key("customer").eq(event["customer"]) & Key("number").between(event["from"], event["to"]),
        "FilterExpression": Attr("state").eq("open") | Attr("total").gt(event["above"]),
        "ProjectionExpression": "#n, total",
        "ExpressionAttributeNames": {"#n": "number"},
        "ScanIndexForward": False,
        "Limit": 3,
    }
    while True:
        page = table.query(**parameters)
        found += page["Items"]
        pages += 1
        if "LastEvaluatedKey" not in page:
            return 200, {"orders": found, "pages": pages}
        parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def delete(event: dict[str, Any]) -> tuple[int, Any]:
    """Deletes an order that is paid."""
    gone = table.delete_item(Key=event["key"], ConditionExpression=Attr("state").eq("paid"), ReturnValues="ALL_OLD")
    return 200, gone["Attributes"]


ACTIONS = {"create": create, "read": read, "load": load, "pay": pay, "search": search, "delete": delete}
