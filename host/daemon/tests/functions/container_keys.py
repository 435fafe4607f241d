# SPDX-License-Identifier: Apache-2.0
"""Hands out keys that are good for some seconds, as a container's endpoint for credentials does; tells at /count how often it did."""

from __future__ import annotations

import datetime
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint(BaseHTTPRequestHandler):
    """Answers GET."""

    asked = 0

    def do_GET(self) -> None:
        """A key, or the count."""
        if self.path == "/count":
            return self._answer(Endpoint.asked)
        Endpoint.asked += 1
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=float(sys.argv[1]))
        key = {
            "AccessKeyId": "AKIDEXAMPLE",
            "SecretAccessKey": "secret",
            "Token": f"token-{Endpoint.asked}",
            "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return self._answer(key)

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
print(server.server_port, flush=True)
server.serve_forever()
