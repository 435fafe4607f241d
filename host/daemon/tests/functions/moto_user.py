# SPDX-License-Identifier: Apache-2.0
"""Makes a user in moto's server who may do everything, and prints its key: the three actions that need no signature. As this user it
makes a role that may use queues."""

import json
import sys

import boto3


def client(key_id: str, secret: str):
    """A client of IAM with a key."""
    return boto3.client(
        "iam",
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )


def allow(action: str) -> str:
    """A policy that allows an action."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


iam = client("nobody", "nothing")
iam.create_user(UserName="host")
iam.put_user_policy(UserName="host", PolicyName="all", PolicyDocument=allow("*"))
key = iam.create_access_key(UserName="host")["AccessKey"]

iam = client(key["AccessKeyId"], key["SecretAccessKey"])
role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=allow("sts:AssumeRole"))["Role"]
iam.put_role_policy(RoleName="worker", PolicyName="queues", PolicyDocument=allow("sqs:*"))
made = {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"], "Role": role["Arn"]}
print(json.dumps(made))
