# SPDX-License-Identifier: Apache-2.0
"""A custom runtime for AWS Lambda's runtime API, and a function that does what its event says.

It needs nothing but Python, so that the daemon's tests run it on any machine.
"""

import http.client
import json
import os
import sys
import time

API = "/2018-06-01/runtime"


def main():
    """Serves events until the process is told to leave."""
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def post(path, value):
        connection.request("POST", API + path, json.dumps(value))
        connection.getresponse().read()

    if "INIT_ERROR" in os.environ:
        error = {"errorType": "Runtime.ImportModuleError", "errorMessage": "no module named app"}
        post("/init/error", error)
        sys.exit(1)
    print("loaded", flush=True)
    count = 0
    while True:
        connection.request("GET", API + "/invocation/next")
        response = connection.getresponse()
        event = json.loads(response.read())
        invocation = "/invocation/" + response.headers["Lambda-Runtime-Aws-Request-Id"]
        count += 1
        if "print" in event:
            print(event["print"], flush=True)
        if "sleep" in event:
            time.sleep(event["sleep"])
        if "exit" in event:
            sys.exit(event["exit"])
        if "raise" in event:
            post(invocation + "/error", {"errorType": "ValueError", "errorMessage": event["raise"]})
        else:
            headers = {name.lower(): value for name, value in response.headers.items()}
            post(invocation + "/response", {"event": event, "count": count, "headers": headers})
        if "leave" in event:
            sys.exit(event["leave"])


main()
