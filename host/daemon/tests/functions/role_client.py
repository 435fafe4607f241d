# SPDX-License-Identifier: Apache-2.0
"""What a function with a role sees of services: it acts in the role, may do what that allows, and holds no key. Is told the gateway's URL."""

import os
import sys

os.environ.update(
    AWS_ENDPOINT_URL=sys.argv[1],
    AWS_ACCESS_KEY_ID="placeholder",
    AWS_SECRET_ACCESS_KEY="placeholder",
    AWS_DEFAULT_REGION="us-east-1",
)

import boto3  # noqa: E402 - reads the variables
import botocore.exceptions  # noqa: E402

arn = boto3.client("sts").get_caller_identity()["Arn"]
assert arn.endswith(":assumed-role/worker/nexus-f"), arn
boto3.client("sqs").create_queue(QueueName="of-the-role")
try:
    boto3.client("dynamodb").list_tables()
except botocore.exceptions.ClientError as error:
    # The function's policy allows it, and the role's does not: moto says so itself, always as XML.
    assert "assumed-role/worker/nexus-f is not authorized to perform: dynamodb:ListTables" in str(error), error
else:
    raise SystemExit("the role does not count")
print("all of it")
