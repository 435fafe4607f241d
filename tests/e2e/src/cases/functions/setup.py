# SPDX-License-Identifier: Apache-2.0
"""What a guest with Linux' own network stack does before it becomes the function: variables, names, whom to trust.

Nexus guests have these from init. The function's entry point is the image's own.
"""

import json
import os
import pathlib
import sys
import urllib.request

HOST = os.environ["AWS_LAMBDA_RUNTIME_API"]
CERTIFICATE = "/etc/store.pem"

with urllib.request.urlopen(f"http://{HOST}/orders") as answer:
    orders = json.load(answer)
with pathlib.Path("/etc/hosts").open("a") as hosts:
    hosts.writelines(f"{orders['address']}\t{name}\n" for name in orders["names"])
pathlib.Path(CERTIFICATE).write_text(orders["certificate"])
for variable in ("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
    os.environ[variable] = CERTIFICATE
os.environ.update(orders["environment"])
image = json.loads(pathlib.Path("/.nexus/image.json").read_text())
os.execvp(image["entrypoint"][0], [*image["entrypoint"], *sys.argv[1:]])
