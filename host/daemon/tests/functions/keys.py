# SPDX-License-Identifier: Apache-2.0
"""Hands out keys that are good for some seconds, as a container's endpoint, an instance's metadata and STS do; tells at /count how often
it did."""

from __future__ import annotations

import datetime
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

SESSION = "the-session"
IDENTITY = "the-identity"
METADATA = "/latest/meta-data/iam/security-credentials"


class Endpoint(BaseHTTPRequestHandler):
    """Answers all three."""

    asked = 0

    def do_GET(self) -> None:
        """A key for a container or an instance, or the count."""
        if self.path == "/count":
            return self._answer(json.dumps(Endpoint.asked))
        if self.path == "/keys":
            return self._answer(json.dumps(self._key()))
        if self.headers["X-aws-ec2-metadata-token"] != SESSION:
            return self._answer("", 401)
        if self.path.rstrip("/") == METADATA:
            return self._answer("worker")
        if self.path == METADATA + "/worker":
            return self._answer(json.dumps({"Code": "Success", "Type": "AWS-HMAC", **self._key()}))
        return self._answer("", 404)

    def do_PUT(self) -> None:
        """A session with the metadata (IMDSv2)."""
        self.send_response(200)
        self.send_header("X-aws-ec2-metadata-token-ttl-seconds", self.headers["X-aws-ec2-metadata-token-ttl-seconds"])
        self.send_header("Content-Length", str(len(SESSION)))
        self.end_headers()
        self.wfile.write(SESSION.encode())

    def do_POST(self) -> None:
        """A key for who has an identity (STS, AssumeRoleWithWebIdentity)."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form["Action"] != ["AssumeRoleWithWebIdentity"] or form["WebIdentityToken"] != [IDENTITY]:
            return self._answer("", 403)
        key = self._key()
        key["SessionToken"] = key.pop("Token")
        elements = "".join(f"<{name}>{value}</{name}>" for name, value in key.items())
        answer = f"<AssumeRoleWithWebIdentityResult><Credentials>{elements}</Credentials></AssumeRoleWithWebIdentityResult>"
        return self._answer(f"<AssumeRoleWithWebIdentityResponse>{answer}</AssumeRoleWithWebIdentityResponse>")

    def _key(self) -> dict[str, str]:
        Endpoint.asked += 1
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=float(sys.argv[1]))
        return {
            "AccessKeyId": "AKIDEXAMPLE",
            "SecretAccessKey": "secret",
            "Token": f"token-{Endpoint.asked}",
            "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _answer(self, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
print(server.server_port, flush=True)
server.serve_forever()
