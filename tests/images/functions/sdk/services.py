# SPDX-License-Identifier: Apache-2.0
"""What programs see of services other than S3, as `equivalence` writes it down of S3.

Prints it. The services are servers that keep nothing from the run before: moto, and a Lambda that answers with what it is
given.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import equivalence
from record import VOLATILE, outcome

# Their documents hold times.
VOLATILE.add("content-length")

CASES: dict[str, Callable[[], Any]] = {}


def case(function: Callable[[], Any]) -> Callable[[], Any]:
    """Registers a case."""
    CASES[function.__name__] = function
    return function


def prepare() -> None:
    """Makes what the cases need."""
    import boto3
    from botocore.config import Config

    # In emulation a service may take minutes to start, and what is made twice is an error.
    patient = Config(read_timeout=600, retries={"max_attempts": 0})
    client = partial(boto3.client, config=patient)
    dynamodb = client("dynamodb")
    for name in CASES:
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
            BillingMode="PAY_PER_REQUEST",
        )
    client("sqs").create_queue(QueueName="queue")
    client("sns").create_topic(Name="topic")
    secrets = client("secretsmanager")
    secrets.create_secret(Name="text", SecretString="hidden")
    secrets.create_secret(Name="bytes", SecretBinary=b"\0hidden")
    client("ssm").put_parameter(Name="/app/one", Value="first", Type="String")


@case
def items() -> Any:
    """Items of a table, one at a time."""
    import boto3

    dynamodb = boto3.client("dynamodb")
    key = {"id": {"S": 'ä"\\\n\u2028😀'}, "n": {"N": "1.50"}}
    value = {
        "b": {"B": b"\0bytes"},
        "bs": {"BS": [b"1", b"2"]},
        "m": {"M": {"x": {"L": [{"S": ""}, {"NULL": True}, {"BOOL": False}]}, "y y": {"M": {}}}},
        "ss": {"SS": ["a", "b"]},
    }
    seen = [dynamodb.put_item(TableName="items", Item={**key, **value}, ReturnConsumedCapacity="TOTAL")]
    seen.append(dynamodb.get_item(TableName="items", Key=key, ConsistentRead=True))
    seen.append(dynamodb.get_item(TableName="items", Key={"id": {"S": "no"}, "n": {"N": "1"}}))
    seen.append(
        dynamodb.update_item(
            TableName="items",
            Key=key,
            UpdateExpression="SET #c = if_not_exists(#c, :zero) + :one REMOVE m",
            ExpressionAttributeNames={"#c": "count"},
            ExpressionAttributeValues={":one": {"N": "1"}, ":zero": {"N": "0"}},
            ReturnValues="ALL_NEW",
        )
    )
    seen.append(
        dynamodb.query(TableName="items", KeyConditions={"id": {"AttributeValueList": [key["id"]], "ComparisonOperator": "EQ"}})
    )
    seen.append(dynamodb.scan(TableName="items", Limit=5, Select="COUNT"))
    seen.append(dynamodb.delete_item(TableName="items", Key=key, ReturnValues="ALL_OLD"))
    return seen


@case
def tables() -> Any:
    """Items as Python's values, of a table that is a resource."""
    import boto3
    from boto3.dynamodb.conditions import Attr, Key

    service = boto3.resource("dynamodb")
    table = service.Table("tables")
    item = {
        "id": "a",
        "n": Decimal("1.5"),
        "int": 7,
        "bytes": b"\0b",
        "sets": {"x", "y"},
        "numbers": {1, 2},
        "nested": {"list": [None, True, {"deep": Decimal("-0.1")}], "empty": ""},
    }
    seen: list[Any] = [table.put_item(Item=item), table.get_item(Key={"id": "a", "n": Decimal("1.50")})]
    seen.append(item["int"])
    seen.append(table.get_item(Key={"id": "no", "n": 0}).get("Item"))
    with table.batch_writer() as batch:
        for number in range(30):
            batch.put_item(Item={"id": "many", "n": number, "even": number % 2 == 0})
        batch.delete_item(Key={"id": "many", "n": 29})
    seen.append(table.query(KeyConditionExpression=Key("id").eq("many") & Key("n").between(3, 6)))
    seen.append(table.query(KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": "a"})["Count"])
    filtered = Attr("even").eq(True) & Attr("n").lt(5)
    seen.append(sorted(found["n"] for found in table.scan(FilterExpression=filtered)["Items"]))
    seen.append(
        table.update_item(
            Key={"id": "a", "n": Decimal("1.5")},
            UpdateExpression="SET #i = #i + :one",
            ConditionExpression=Attr("int").exists() & Attr("sets").contains("x"),
            ExpressionAttributeNames={"#i": "int"},
            ExpressionAttributeValues={":one": 1},
            ReturnValues="UPDATED_NEW",
        )
    )
    seen.append(service.batch_get_item(RequestItems={"tables": {"Keys": [{"id": "a", "n": Decimal("1.5")}]}}))
    client = service.meta.client
    seen.append(client.get_item(TableName="tables", Key={"id": "many", "n": 1}))
    seen.append([table.name, type(table).__name__, table.meta.client is client])
    seen.append(table.delete_item(Key={"id": "a", "n": Decimal("1.5")}, ReturnValues="ALL_OLD"))
    return seen


@case
def tables_refuse() -> Any:
    """What boto3 and a service refuse of a table."""
    import boto3
    from boto3.dynamodb.conditions import Attr, Key

    service = boto3.resource("dynamodb")
    table = service.Table("tables_refuse")
    seen: list[Any] = [
        outcome(lambda: table.put_item(Item={"id": "a", "n": 1.5})),
        outcome(lambda: table.put_item(Item={"id": "a", "n": range(3)})),
        outcome(lambda: table.put_item(Item="text")),
        outcome(lambda: table.query(KeyConditionExpression=Attr("id").eq("a"))),
        outcome(lambda: table.get_item()),
        outcome(lambda: table.get_item("positional")),
        outcome(lambda: table.put_item(Item={"id": "a", "n": 1}, ConditionExpression=Attr("id").exists())),
    ]
    seen += [repr(table), table.table_status, table.item_count, [found.name for found in service.tables.limit(1)]]
    table.put_item(Item={"id": "a", "n": 1})
    return [*seen, table.query(KeyConditionExpression=Key("id").eq("a"))]


@case
def batches() -> Any:
    """Items of a table, many at a time."""
    import boto3

    dynamodb = boto3.client("dynamodb")
    puts = [{"PutRequest": {"Item": {"id": {"S": "a"}, "n": {"N": str(number)}}}} for number in range(5)]
    seen = [dynamodb.batch_write_item(RequestItems={"batches": puts})]
    keys = [{"id": {"S": "a"}, "n": {"N": str(number)}} for number in range(3)]
    seen.append(dynamodb.batch_get_item(RequestItems={"batches": {"Keys": keys}}))
    seen.append(dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": "batches", "Key": keys[0]}}]))
    pages = dynamodb.get_paginator("scan").paginate(TableName="batches", PaginationConfig={"PageSize": 2})
    return [*seen, [len(page["Items"]) for page in pages]]


@case
def refusals() -> Any:
    """What botocore refuses, and what a service does."""
    import boto3

    dynamodb = boto3.client("dynamodb")
    key = {"id": {"S": "a"}, "n": {"N": "1"}}
    attempts: list[Callable[[], Any]] = [
        lambda: dynamodb.get_item(TableName="refusals"),
        lambda: dynamodb.get_item(TableName="refusals", Key={"id": {"S": 5}}),
        lambda: dynamodb.get_item(TableName="refusals", Key={"id": {"X": "a"}}),
        lambda: dynamodb.get_item(TableName="refusals", Key=[]),
        lambda: dynamodb.get_item(TableName="", Key=key),
        lambda: dynamodb.get_item(TableName="refusals", Key=key, Unknown=1),
        lambda: dynamodb.query(TableName="refusals", Limit=0),
        lambda: dynamodb.query(TableName="refusals", Limit="5"),
        lambda: dynamodb.put_item(TableName="refusals", Item={"id": "plain"}),
        lambda: dynamodb.get_item(TableName="nothing", Key=key),
        lambda: dynamodb.put_item(TableName="refusals", Item=key, ConditionExpression="attribute_exists(id)"),
        lambda: boto3.client("sqs").send_message(QueueUrl="http://127.0.0.1/123456789012/no", MessageBody="x"),
        lambda: boto3.client("secretsmanager").get_secret_value(SecretId="no"),
        lambda: boto3.client("ssm").get_parameter(Name="no"),
        lambda: boto3.client("sns").publish(TopicArn="arn:aws:sns:us-east-1:123456789012:no", Message="x"),
    ]
    seen = [outcome(attempt) for attempt in attempts]
    try:
        dynamodb.put_item(TableName="refusals", Item=key, ConditionExpression="attribute_exists(id)")
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        seen.append({"caught": error.response["Error"]["Code"]})
    return seen


@case
def failures() -> Any:
    """Errors that a service ends a call with, of each protocol."""
    import boto3

    dynamodb, sqs, sns = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("sns")
    secrets, ssm, lambdas = boto3.client("secretsmanager"), boto3.client("ssm"), boto3.client("lambda")
    key = {"id": {"S": "a"}, "n": {"N": "1"}}
    there = {"TableName": "failures", "ConditionExpression": "attribute_not_exists(id)"}
    dynamodb.put_item(**there, Item={**key, "b": {"B": b"\0"}, "l": {"L": [{"NULL": True}]}})
    given = "ReturnValuesOnConditionCheckFailure"
    table = boto3.resource("dynamodb").Table("failures")
    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    arn = "arn:aws:sns:us-east-1:123456789012:no"
    attempts: list[Callable[[], Any]] = [
        lambda: dynamodb.put_item(**there, Item=key),
        lambda: dynamodb.put_item(**there, Item=key, **{given: "ALL_OLD"}),
        lambda: dynamodb.delete_item(TableName="failures", Key=key, ConditionExpression="attribute_exists(x1)"),
        lambda: table.put_item(Item={"id": "a", "n": 1}, ConditionExpression="attribute_not_exists(id)", **{given: "ALL_OLD"}),
        lambda: dynamodb.get_item(TableName="nothing", Key=key),
        lambda: list(dynamodb.get_paginator("scan").paginate(TableName="nothing")),
        lambda: sqs.get_queue_url(QueueName="no"),
        lambda: sqs.send_message(QueueUrl=url.replace("queue", "no"), MessageBody="x"),
        lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle="no"),
        lambda: sqs.send_message_batch(QueueUrl=url, Entries=[]),
        lambda: sns.publish(TopicArn=arn, Message="x"),
        lambda: sns.publish(TopicArn="no", Message="x"),
        lambda: secrets.get_secret_value(SecretId="no"),
        lambda: secrets.get_secret_value(SecretId="text", VersionStage="no"),
        lambda: ssm.get_parameter(Name="/no"),
        lambda: ssm.put_parameter(Name="/app/one", Value="again", Type="String"),
        lambda: lambdas.invoke(FunctionName="no"),
    ]
    seen = [outcome(attempt) for attempt in attempts]
    for client, name in ((dynamodb, "ConditionalCheckFailedException"), (sqs, "QueueDoesNotExist"), (ssm, "ParameterNotFound")):
        kind = getattr(client.exceptions, name)
        caught = []
        for number, attempt in enumerate(attempts):
            try:
                attempt()
            except kind:
                caught.append(number)
            except Exception:
                continue
        seen.append({name: caught})
    return seen


@case
def queue() -> Any:
    """Messages of a queue."""
    import boto3

    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    attributes = {
        "text": {"DataType": "String", "StringValue": "x & y"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\0"},
    }
    seen = [sqs.send_message(QueueUrl=url, MessageBody='hé"llo <&>', MessageAttributes=attributes, DelaySeconds=0)]
    got = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=1)
    seen.append(got)
    handle = got["Messages"][0]["ReceiptHandle"]
    seen.append(sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=30))
    seen += [sqs.delete_message(QueueUrl=url, ReceiptHandle=handle), sqs.receive_message(QueueUrl=url)]
    entries = [{"Id": str(number), "MessageBody": "m"} for number in range(3)]
    seen.append(sqs.send_message_batch(QueueUrl=url, Entries=entries))
    return [*seen, len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"])]


@case
def topic() -> Any:
    """Messages of a topic."""
    import boto3

    sns = boto3.client("sns")
    arn = "arn:aws:sns:us-east-1:123456789012:topic"
    attributes = {"a": {"DataType": "String", "StringValue": "x=1&y"}, "b": {"DataType": "Number", "StringValue": "5"}}
    seen = [sns.publish(TopicArn=arn, Message="hé <&> +%", Subject="s", MessageAttributes=attributes)]
    entries = [{"Id": str(number), "Message": "m"} for number in range(2)]
    return [*seen, sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)]


@case
def secrets_and_parameters() -> Any:
    """What is kept for a program."""
    import boto3

    secrets, ssm = boto3.client("secretsmanager"), boto3.client("ssm")
    return [
        secrets.get_secret_value(SecretId="text"),
        secrets.get_secret_value(SecretId="bytes", VersionStage="AWSCURRENT"),
        ssm.get_parameter(Name="/app/one", WithDecryption=True),
        ssm.get_parameters(Names=["/app/one", "/no"]),
        ssm.get_parameters_by_path(Path="/app", Recursive=True),
    ]


@case
def paginators() -> Any:
    """Results in pages, whose tokens are keys or texts."""
    import boto3

    dynamodb, table = boto3.client("dynamodb"), boto3.resource("dynamodb").Table("paginators")
    for number in range(7):
        table.put_item(Item={"id": "a", "n": number, "even": number % 2 == 0})
    scan, query = dynamodb.get_paginator("scan"), table.meta.client.get_paginator("query")
    asked = {
        "TableName": "paginators",
        "KeyConditionExpression": "id = :a",
        "ExpressionAttributeValues": {":a": "a"},
        "ReturnConsumedCapacity": "TOTAL",
    }
    seen: list[Any] = [type(query).__name__]
    for config in ({}, {"PageSize": 3}, {"PageSize": 3, "MaxItems": 4}, {"MaxItems": 3, "PageSize": 3}):
        # A token that is a number of boto3's cannot be encoded.
        seen.append(outcome(list, query.paginate(**asked, PaginationConfig=config)))
        seen += [outcome(query.paginate(**asked, PaginationConfig=config).build_full_result)]
        pages = scan.paginate(TableName="paginators", PaginationConfig=config)
        seen += [list(pages.search("Items[].n.N")), pages.resume_token if "MaxItems" in config else None]
    begun = query.paginate(**asked, PaginationConfig={"PageSize": 2})
    seen += [next(iter(begun)), begun.non_aggregate_part, list(begun)]
    ssm = boto3.client("ssm")
    for number in range(5):
        ssm.put_parameter(Name=f"/pages/{number}", Value="x", Type="String")
    parameters = ssm.get_paginator("get_parameters_by_path").paginate(Path="/pages", PaginationConfig={"PageSize": 2})
    return [*seen, [[item["Name"] for item in page["Parameters"]] for page in parameters]]


@case
def functions() -> Any:
    """Calls of a function."""
    import boto3

    lambdas = boto3.client("lambda")
    seen = [lambdas.invoke(FunctionName="f", Payload=json.dumps({"a": [1, None]}))]
    seen.append(
        lambdas.invoke(FunctionName="arn:aws:lambda:us-east-1:123456789012:function:f", Payload=b"{}", Qualifier="$LATEST")
    )
    seen.append(lambdas.invoke(FunctionName="f", InvocationType="Event", LogType="None", Payload=bytearray(b"[]")))
    return [
        *seen,
        outcome(lambda: lambdas.invoke(FunctionName="")),
        outcome(lambda: lambdas.invoke(FunctionName="f", Payload=5)),
    ]


def run(name: str | None) -> Any:
    """The names of all cases, before the first of which something is made; or what became of one, in a process of its own."""
    if name is not None:
        return equivalence.in_a_child(partial(_run_one, name))
    if equivalence.in_a_child(prepare) is not None:
        message = "what the cases need could not be made: see standard error"
        raise RuntimeError(message)
    return list(CASES)


def _run_one(name: str) -> dict[str, Any]:
    seen = outcome(CASES[name])
    seen["loaded"] = "botocore.session" in sys.modules
    return seen


if __name__ == "__main__":
    for name in [name for name in CASES if len(sys.argv) > 1 and name not in sys.argv]:
        del CASES[name]
    if os.environ.get("NEXUS_SDK") == "off":
        import boto3  # noqa: F401
    json.dump({name: run(name) for name in run(None)}, sys.stdout, indent=1)
