# SPDX-License-Identifier: Apache-2.0
"""Makes a user in moto's server who may do everything, and prints its key: the three actions that need no signature."""

import json
import sys

import boto3

iam = boto3.client(
    "iam",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="nobody",
    aws_secret_access_key="nothing",
)
everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.create_user(UserName="host")
iam.put_user_policy(UserName="host", PolicyName="all", PolicyDocument=json.dumps(everything))
key = iam.create_access_key(UserName="host")["AccessKey"]
print(json.dumps({"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}))
