# SPDX-License-Identifier: Apache-2.0
"""The services of the cases `functions`: moto's server, what it is to hold at first, and what it holds in the end.

Prints its port and a certificate. The server answers there, and as the services themselves do, by TLS on port 443. Then
answers each line of JSON on standard input by one: `{"prepare": SCENARIO}` empties the server, puts the scenario's inputs
there, which are always the same, and gives its steps, a handler's module and an event each; `{"state": null}` gives what the
server holds, and who has spoken to it since.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Steps = list[tuple[str, dict[str, Any]]]

WORDS = ["guest", "host", "socket", "page", "ring", "Queue", "byte", "clock", "event", "store", "key", "bucket", "it's", "two"]
# Of S3's own names, as SDKs form them for buckets in us-east-1.
NAMES = ["s3.amazonaws.com", "*.s3.amazonaws.com", "s3.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com"]

backend = DomainDispatcherApplication(create_backend_app)
# What those who made a request call themselves.
agents: set[str] = set()


class Quiet(WSGIRequestHandler):  # type: ignore[misc]
    """Says nothing about requests."""

    def log_request(self, *_arguments: Any) -> None:
        """Nothing."""


def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """moto, with a note of who asks."""
    agents.add(environ.get("HTTP_USER_AGENT", ""))
    answer: Iterable[bytes] = backend(environ, start)
    return answer


def serve(port: int, certificate: tuple[str, str] | None = None) -> int:
    """Starts a server and returns its port."""
    server = make_server("0.0.0.0", port, application, threaded=True, request_handler=Quiet, ssl_context=certificate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_port)


def certified(folder: str) -> tuple[str, str]:
    """Files of a certificate for S3's names, which is its own authority, and of its key."""
    certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2", "-subj", "/CN=S3"]
    names = ",".join(f"DNS:{name}" for name in NAMES)
    more = ["-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", "req", *kind, *more], check=True, stderr=subprocess.DEVNULL)
    return certificate, key


port = serve(0)
url = f"http://127.0.0.1:{port}"
keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
s3 = boto3.client("s3", endpoint_url=url, **keys)
dynamodb = boto3.resource("dynamodb", endpoint_url=url, **keys)

SCENARIOS: dict[str, Callable[[random.Random], Steps]] = {}


def scenario(make: Callable[[random.Random], Steps]) -> Callable[[random.Random], Steps]:
    """Registers one. It gets randomness that is the same in each run."""
    SCENARIOS[make.__name__] = make
    return make


def put(bucket: str, objects: dict[str, bytes | str], **more: Any) -> None:
    """Makes a bucket with these objects."""
    s3.create_bucket(Bucket=bucket)
    for key, content in objects.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content, **more)


@scenario
def thumbnail(_random: random.Random) -> Steps:
    """A picture of 320 to 240, scaled twice; one that is not there; one that is none."""
    pixels = bytes(value for row in range(240) for column in range(320) for value in (column % 256, row, 128))
    put("photos", {"in/one.ppm": b"P6 320 240 255\n" + pixels, "in/none.ppm": "no picture"})
    event = {"bucket": "photos", "key": "in/one.ppm", "width": 64}
    return [
        ("thumbnail", event),
        ("thumbnail", {**event, "width": 33, "output_key": "out/small.jpg"}),
        ("thumbnail", {**event, "key": "in/missing.ppm"}),
        ("thumbnail", {**event, "key": "in/none.ppm"}),
    ]


@scenario
def compress(random: random.Random) -> Steps:
    """Files of many sizes, among them one that is fetched and an archive that is put in parts."""
    sizes = {"empty": 0, "one": 1, "docs/small.txt": 1000, "docs/späte Notiz.txt": 70_000, "data/large.bin": 9 << 20, "z": 5}
    put("files", {f"project/{name}": random.randbytes(size) for name, size in sizes.items()})
    put("other", {})
    event = {"bucket": "files", "prefix": "project/", "output_key": "archives/project.zip"}
    return [("compress", event), ("compress", {**event, "prefix": "project/docs/", "output_key": "archives/docs.zip"})]


@scenario
def train(random: random.Random) -> Steps:
    """A table whose last column follows from the others, but for some noise."""
    lines = ["rooms,area,age,price"]
    for _ in range(400):
        rooms, area, age = random.randint(1, 6), random.uniform(20, 200), random.randint(0, 80)
        lines.append(f"{rooms},{area:.3f},{age},{20_000 * rooms + 1500.5 * area - 300 * age + random.gauss(0, 900):.2f}")
    put("houses", {"train.csv": "\n".join(lines)}, Metadata={"season": "spring"})
    return [("train", {"bucket": "houses", "key": "train.csv", "target": "price", "output_key": "models/price.json"})]


@scenario
def words(random: random.Random) -> Steps:
    """A text in lines, counted in three parts; its sum, and that it is there already."""
    text = "\n".join(" ".join(random.choices(WORDS, k=random.randint(0, 12))) for _ in range(900)).encode()
    put("words", {"text.txt": text})
    bounds = [0, 7001, 20_000, len(text)]
    parts: Steps = [
        ("mapper", {"key": "text.txt", "job": "first", "start": start, "end": end}) for start, end in itertools.pairwise(bounds)
    ]
    return [*parts, ("reducer", {"job": "first"}), ("reducer", {"job": "first"})]


@scenario
def crud(random: random.Random) -> Steps:
    """Orders, and what becomes of them."""
    dynamodb.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "number", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    key: dict[str, Any] = {"customer": "Ada Ü", "number": 1}
    order = {
        **key,
        "state": "open",
        "total": 99.95,
        "note": "ring twice",
        "tags": ["b", "a"],
        "lines": [{"sku": "x", "count": 2}],
    }
    many: list[dict[str, Any]] = [
        {"customer": "Bo", "number": number, "state": random.choice(["open", "paid"]), "total": random.randint(1, 100)}
        for number in range(40)
    ]
    actions: list[tuple[str, dict[str, Any]]] = [
        ("create", {"order": order}),
        ("create", {"order": order}),
        ("read", {"key": key}),
        ("read", {"key": {**key, "number": 2}}),
        ("load", {"orders": [*many, many[0]]}),
        ("pay", {"key": key, "discount": 4.5}),
        ("pay", {"key": key, "discount": 4.5}),
        ("search", {"customer": "Bo", "from": 5, "to": 25, "above": 50}),
        ("delete", {"key": key}),
        ("delete", {"key": key}),
        ("delete", {"key": {"customer": "Ada Ü"}}),
    ]
    return [("crud", {"action": action, **event}) for action, event in actions]


@scenario
def backup(random: random.Random) -> Steps:
    """Some objects, copied to another bucket; and again, when some of them are others."""
    put("source", {f"home/{name}": random.randbytes(3000) for name in ("a b", "c+d", "ü", "sub/deep")})
    put("target", {})
    event = {"bucket": "source", "prefix": "home/", "backup": "target"}
    changes: list[dict[str, str]] = [{}, {}, {"prefix": "home/sub/"}, {"bucket": "no"}]
    return [("backup", {**event, **change}) for change in changes]


@scenario
def pictures(_random: random.Random) -> Steps:
    """A PNG of 96 to 64, scaled; one that is not there; one that is none."""
    rows = b"".join(b"\0" + bytes(v for x in range(96) for v in (x * 2, y * 3, (x * y) % 256, 255)) for y in range(64))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 64, 8, 6, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    put("photos", {"in/one.png": png, "in/none.png": "no picture"})
    event = {"bucket": "photos", "key": "in/one.png", "width": 32}
    return [("thumbnail", {**event, "key": f"in/{name}.png"}) for name in ("one", "missing", "none")]


@scenario
def report(random: random.Random) -> Steps:
    """Log files in two folders, and what is made of them; and a bucket that is not there."""
    lines = [f"{random.choice(['GET', 'PUT'])} /{random.choice(WORDS)} {random.choice([200, 404])}" for _ in range(600)]
    logs: dict[str, bytes | str] = {f"logs/{day}.log": "\n".join(lines[day::7]) for day in range(7)}
    put("logs", logs)
    event = {"bucket": "logs", "prefix": "logs/", "output_key": "reports/week"}
    return [("report", event), ("report", {**event, "bucket": "no"})]


def prepare(name: str) -> Steps:
    """Empties the server and puts a scenario's inputs there; returns its steps."""
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
    steps = SCENARIOS[name](random.Random(name))
    agents.clear()
    return steps


def state(_nothing: None) -> dict[str, Any]:
    """What the server holds, and who has spoken to it."""
    asked = sorted(agents)
    objects = {}
    for bucket in s3.list_buckets()["Buckets"]:
        for entry in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            found = s3.get_object(Bucket=bucket["Name"], Key=entry["Key"])
            seen = {"type": found["ContentType"], "metadata": found["Metadata"]}
            objects[f"{bucket['Name']}/{entry['Key']}"] = {**seen, **digest(found["Body"].read())}
    tables = {table.name: sorted(map(repr, table.scan()["Items"])) for table in dynamodb.tables.all()}
    return {"objects": objects, "tables": tables, "agents": asked}


def digest(content: bytes) -> dict[str, Any]:
    """A content's digest; of an archive, which holds times, those of what is in it."""
    if not content.startswith(b"PK"):
        return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {"files": {name: digest(archive.read(name)) for name in archive.namelist()}}


def main() -> None:
    """Answers until there are no more lines."""
    with tempfile.TemporaryDirectory() as folder:
        files = certified(folder)
        serve(443, files)
        print(json.dumps({"port": port, "certificate": pathlib.Path(files[0]).read_text()}), flush=True)
    commands: dict[str, Callable[[Any], Any]] = {"prepare": prepare, "state": state}
    for line in sys.stdin:
        ((command, argument),) = json.loads(line).items()
        print(json.dumps(commands[command](argument)), flush=True)


main()
