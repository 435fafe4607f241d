# SPDX-License-Identifier: Apache-2.0
"""The SDK shim: boto3's common calls by a message to the gateway, all others by the image's own SDK.

- `finder`: has `import boto3` find the shim where the image has a boto3, and steps aside where a program looks deeper.
- `facade`: what stands for the modules boto3 and botocore until the real ones are needed.
- `client`: what stands for a client until a call needs the real one.
- `calls`: one operation, from keyword arguments to a result.
- `body`: what stands for a StreamingBody.
- `errors`: botocore's own exceptions, made of an answer.
- `transfer`: upload_file and its kin.
- `channel`: connections to the gateway.
"""
