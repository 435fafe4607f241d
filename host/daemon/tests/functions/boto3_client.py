# SPDX-License-Identifier: Apache-2.0
"""Calls the Invoke API at the address given, by boto3, and checks what boto3 makes of the answers."""

import base64
import json
import sys

import boto3
import botocore.config
import botocore.exceptions

client = boto3.client(
    "lambda",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    config=botocore.config.Config(retries={"total_max_attempts": 1}),
)


def error_code(**arguments):
    """The code of the exception that a call raises."""
    try:
        client.invoke(**arguments)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], type(error).__name__
    raise AssertionError("no exception")


answer = client.invoke(FunctionName="f", Payload=json.dumps({"print": "seen"}), LogType="Tail")
assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
assert "FunctionError" not in answer
assert json.load(answer["Payload"])["event"] == {"print": "seen"}
assert b"seen\nEND RequestId" in base64.b64decode(answer["LogResult"])

arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
assert json.load(client.invoke(FunctionName=arn)["Payload"])["event"] == {}
assert json.load(client.invoke(FunctionName="f", Qualifier="$LATEST")["Payload"])["count"] == 3

context = base64.b64encode(b'{"custom": {"a": 1}}').decode()
seen = json.load(client.invoke(FunctionName="f", ClientContext=context)["Payload"])
assert json.loads(seen["headers"]["lambda-runtime-client-context"]) == {"custom": {"a": 1}}

failed = client.invoke(FunctionName="f", Payload=b'{"raise": "no"}')
assert failed["StatusCode"] == 200 and failed["FunctionError"] == "Unhandled"
assert json.load(failed["Payload"]) == {"errorType": "ValueError", "errorMessage": "no"}
late = client.invoke(FunctionName="f", Payload=b'{"sleep": 60}')
assert json.load(late["Payload"])["errorType"] == "Sandbox.Timedout"

assert client.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202
assert client.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204

not_found = ("ResourceNotFoundException", "ResourceNotFoundException")
assert error_code(FunctionName="nobody") == not_found
assert error_code(FunctionName="f", Qualifier="v7") == not_found
content = ("InvalidRequestContentException", "InvalidRequestContentException")
assert error_code(FunctionName="f", Payload=b"{nonsense") == content
large = ("RequestTooLargeException", "RequestTooLargeException")
assert error_code(FunctionName="f", Payload=b'"' + b"x" * 7_000_000 + b'"') == large
