# SPDX-License-Identifier: Apache-2.0
"""A Lambda that checks signatures by botocore's own code, and answers an invocation with what it was given.

There is no function of the name `no`.

Takes the key's id and secret, and a port if it is to have that one. Prints its port. moto's check knows no signatures of paths that hold encoded characters.
"""

import http.server
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

credentials = Credentials(sys.argv[1], sys.argv[2])


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802
        """Answers with the body, or with 403."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        given = self.headers["Authorization"]
        fields = dict(field.strip().split("=", 1) for field in given.split(" ", 1)[1].split(","))
        _, _, region, service, _ = fields["Credential"].split("/")
        signed = {name: self.headers[name] for name in fields["SignedHeaders"].split(";")}
        request = AWSRequest("POST", f"http://{self.headers['Host']}{self.path}", signed, body)
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        signer = SigV4Auth(credentials, service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        is_right = signer.signature(text, request) == fields["Signature"]
        is_there = "/functions/no/" not in self.path
        self.send_response(403 if not is_right else 200 if is_there else 404)
        answer = body if is_right else b'{"Message": "wrong signature"}'
        if is_right and not is_there:
            answer = b'{"Type": "User", "Message": "Function not found: no"}'
            self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Says nothing."""


port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
