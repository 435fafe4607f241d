# SPDX-License-Identifier: Apache-2.0
"""Calls services through a gateway by boto3 with a placeholder key, as a function does, and checks what comes of it."""

import os
import sys

os.environ["AWS_ENDPOINT_URL"] = sys.argv[1]
os.environ["AWS_ACCESS_KEY_ID"] = "NEXUSPLACEHOLDER0000"
os.environ["AWS_SECRET_ACCESS_KEY"] = "placeholder"
os.environ["AWS_SESSION_TOKEN"] = "placeholder"
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
os.environ["AWS_MAX_ATTEMPTS"] = "1"

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError


def refused(call, **arguments):
    """The error code of a call that fails."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError(f"{call} was not refused")


# Without a signature of the host's key moto refuses: so what works below is signed.
direct = boto3.client("sqs", endpoint_url=sys.argv[2])
assert refused(direct.list_queues) == "403"

dynamodb = boto3.resource("dynamodb")
table = dynamodb.create_table(
    TableName="things",
    KeySchema=[{"AttributeName": "owner", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
    AttributeDefinitions=[
        {"AttributeName": "owner", "AttributeType": "S"},
        {"AttributeName": "id", "AttributeType": "N"},
    ],
    BillingMode="PAY_PER_REQUEST",
)
with table.batch_writer() as batch:
    for number in range(30):
        batch.put_item(Item={"owner": "me", "id": number, "text": "ü" * number})
assert table.get_item(Key={"owner": "me", "id": 7})["Item"]["text"] == "ü" * 7
assert table.query(KeyConditionExpression=Key("owner").eq("me") & Key("id").lt(5))["Count"] == 5
table.update_item(
    Key={"owner": "me", "id": 7}, UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": 1}
)
condition = {"ConditionExpression": "attribute_not_exists(id)"}
code = refused(table.put_item, Item={"owner": "me", "id": 7}, **condition)
assert code == "ConditionalCheckFailedException", code
try:
    table.put_item(Item={"owner": "me", "id": 7}, **condition)
except dynamodb.meta.client.exceptions.ConditionalCheckFailedException:
    pass

sqs = boto3.client("sqs")
queue = sqs.create_queue(QueueName="q")["QueueUrl"]
sqs.send_message(QueueUrl=queue, MessageBody="hello & <goodbye>")
message = sqs.receive_message(QueueUrl=queue)["Messages"][0]
assert message["Body"] == "hello & <goodbye>"
sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
assert "Messages" not in sqs.receive_message(QueueUrl=queue)

sns = boto3.client("sns")
topic = sns.create_topic(Name="t")["TopicArn"]
assert sns.publish(TopicArn=topic, Message="a=b&c=d", Subject="s")["MessageId"]
assert refused(sns.publish, TopicArn=topic + "x", Message="m") in ("NotFound", "NotFoundException")

secrets = boto3.client("secretsmanager")
secrets.create_secret(Name="s", SecretString="open")
assert secrets.get_secret_value(SecretId="s")["SecretString"] == "open"
assert refused(secrets.get_secret_value, SecretId="no") == "ResourceNotFoundException"
# Policy names Get* and CreateSecret.
assert refused(secrets.delete_secret, SecretId="s") == "AccessDeniedException"

ssm = boto3.client("ssm")
ssm.put_parameter(Name="/a/b", Value="v", Type="String")
assert ssm.get_parameter(Name="/a/b")["Parameter"]["Value"] == "v"
assert refused(ssm.get_parameters_by_path, Path="/a") == "AccessDeniedException"

lambdas = boto3.client("lambda")
for name in ("f", "arn:aws:lambda:us-east-1:123456789012:function:f"):
    answer = lambdas.invoke(FunctionName=name, Payload=b'{"to": "the other"}')
    assert answer["StatusCode"] == 200 and answer["Payload"].read() == b'{"to": "the other"}', name
# The gateway knows no other action of a REST protocol, and this policy names actions.
assert refused(lambdas.list_functions) == "AccessDeniedException"

sts = boto3.client("sts")
assert sts.get_caller_identity()["Arn"].endswith("user/host")
# Whose answer would be a key: never, whatever policy says.
role = {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session"}
assert refused(sts.assume_role, **role) == "AccessDenied"
assert refused(sts.get_session_token) == "AccessDenied"

assert refused(boto3.client("kms").list_keys) == "AccessDeniedException"
print("all of it")
