# SPDX-License-Identifier: Apache-2.0
"""What stands for awslambdaric's extension against the extension: the same calls and answers, and all else the same.

The Python that runs this has awslambdaric.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from typing import Any, List, Sequence, Union

from runtime_api import Reply, RuntimeApi, answer, event

FOLDER = pathlib.Path(__file__).parent
ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
MIB = 1 << 20
OK = answer(202, b'{"status":"OK"}\n')
# More arguments than older releases take, which say so then.

Call = Union[List[Any], float]


def has_invocation_id() -> bool:
    """Whether the functions take a fourth argument."""
    from awslambdaric import __version__

    major, minor, patch = __version__.split(".")
    return (int(major), int(minor), int(patch)) >= (4, 0, 2)


def result(body: int = 2, content_type: str = "application/json", request_id: str = ID) -> list[Any]:
    """A call that answers with a result of so many bytes."""
    return ["post_invocation_result", request_id, {"bytes": body}, content_type, *([None] if has_invocation_id() else [])]


def error(text: str = '{"errorMessage": "m"}', cause: Any = "") -> list[Any]:
    """A call that answers with an error."""
    return ["post_error", ID, text, cause, *([None] if has_invocation_id() else [])]


NEXT: list[Any] = ["next"]


class RuntimeClientTest(unittest.TestCase):
    """Makes calls with both."""

    maxDiff = None

    def both(
        self, calls: Sequence[Call], script: Sequence[Reply], by_extension: bool = False, same_connections: bool = True
    ) -> dict[str, Any]:
        """Makes calls by the extension and by what stands for it, and returns what both saw.

        `by_extension`: it hands over. Without `same_connections`, nobody looks at which connection a request takes.
        """
        extension = self._run(calls, script, False)
        stand_in = self._run(calls, script, True)
        self.assertEqual((extension.pop("ours"), stand_in.pop("ours")), (False, True))
        self.assertTrue(extension.pop("extension"))
        self.assertEqual(stand_in.pop("extension"), by_extension)
        if not same_connections:
            for seen in (extension, stand_in):
                seen["requests"] = [request[1:] for request in seen["requests"]]
        self.assertEqual(extension, stand_in)
        return stand_in

    def _run(self, calls: Sequence[Call], script: Sequence[Reply], with_stand_in: bool) -> dict[str, Any]:
        api = RuntimeApi(script)
        path = [str(FOLDER)]
        if with_stand_in:
            path.insert(0, str(FOLDER.parent))
        env = {**os.environ, "AWS_LAMBDA_RUNTIME_API": api.endpoint, "PYTHONPATH": os.pathsep.join(path)}
        if not script:
            api.close()
        with tempfile.TemporaryDirectory() as folder:
            gave = pathlib.Path(folder) / "gave"
            program = [sys.executable, str(FOLDER / "runtime_client_calls.py"), json.dumps(calls), str(gave)]
            done = subprocess.run(program, env=env, capture_output=True, timeout=60, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            seen = json.loads(gave.read_text())
        if script:
            api.close()
        return {**seen, "requests": api.requests, "log": re.sub(r"\[\d{13}\]", "[time]", done.stdout)}

    def test_events(self) -> None:
        """Of all sizes, on one connection."""
        sizes = [0, 1, 1024, 65000, 65536, 65537, 200_000, 6 * MIB]
        bodies = [bytes([97 + size % 26]) * size for size in sizes] + ['{"ä": "€ 😀"}'.encode(), b"a\0b", b"\xff\xfe"]
        seen = self.both([NEXT] * len(bodies), [[event(body)] for body in bodies])
        self.assertEqual({request[0] for request in seen["requests"]}, {0})

    def test_what_is_said_of_events(self) -> None:
        """Headers that are there, are not, are empty, come twice, or are no numbers."""
        said: list[dict[str, Any]] = [
            {"lambda_runtime_trace_id": "Root=1-5bef4de7;Parent=ad9b;Sampled=1"},
            {"lambda_runtime_client_context": '{"custom": {"ä": 1}}', "lambda_runtime_cognito_identity": '{"id": "x"}'},
            {"lambda_runtime_aws_tenant_id": "tenant", "lambda_runtime_invocation_id": "invocation"},
            {"lambda_runtime_client_context": "", "lambda_runtime_trace_id": "  ", "lambda_runtime_aws_tenant_id": ""},
            {"lambda_runtime_invoked_function_arn": None, "lambda_runtime_deadline_ms": None},
            {"lambda_runtime_invoked_function_arn": "", "content_type": "text/plain; charset=utf-8"},
            {"lambda_runtime_aws_request_id": "", "LAMBDA_RUNTIME_TRACE_ID": "loud"},
            {"lambda_runtime_aws_request_id": None, "Lambda_Runtime_Aws_Request_Id": "\t padded \t"},
            {"lambda_runtime_trace_id": "one", "Lambda_Runtime_Trace_Id": "two", "Content_Type": "text/html"},
            {"lambda_runtime_trace_id": "a:b: c", "x_other": "1"},
            {"lambda_runtime_client_context": "\udcff\udcfe"},
            {"lambda_runtime_aws_request_id": "\udce4"},
            {"lambda_runtime_deadline_ms": "12abc"},
        ]
        self.both([NEXT] * len(said), [[event(b"{}", **fields)] for fields in said])

    def test_events_in_pieces(self) -> None:
        """However slowly an event comes."""
        whole = event(b"x" * 100_000, lambda_runtime_trace_id="t" * 300)
        ends = [1, 30, 200, 500, 700, 5000, 70_000, len(whole)]
        slowly = [part for start, end in zip([0, *ends], ends) for part in (whole[start:end], 0.05)]
        self.both([NEXT, NEXT], [slowly, [b"HTTP/1.1 100 Continue\r\n\r\n", 0.05, event(b"after")]])

    def test_events_of_unknown_length(self) -> None:
        """In chunks, or until the connection ends."""
        head = event(content_length=None).partition(b"\r\n\r\n")[0]
        chunked = head + b"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        replies: Sequence[Reply] = ([chunked], [head + b"\r\n\r\nabc", None])
        for reply in replies:
            api = [reply, reply, [OK], [event(b"2")]]
            seen = self._run([NEXT, result(), NEXT], api, True)
            self.assertEqual(seen["gave"][0], self._run([NEXT, result(), NEXT], api[1:], False)["gave"][0])
            self.assertEqual((seen["extension"], seen["gave"][1], seen["gave"][2][0]), (True, "None", "b'2'"))

    def test_signals(self) -> None:
        """A handler that raises what the system might, and one that a program would die of."""
        self.both([["alarm", 0.3], result()], [[1.0, OK]], same_connections=False)
        calls: list[Call] = [["die_of_sigpipe"], NEXT, 0.3, result(8 * MIB), result()]
        self.both(calls, [[event(b"{}"), None], [OK], [OK]], same_connections=False)

    def test_refusals(self) -> None:
        """Answers that are no event."""
        refused = b'{"errorMessage": "no", "errorType": "InvalidStateTransition"}\n'
        statuses = [403, 500, 413, 301, 404]
        self.both(
            [NEXT] * (len(statuses) + 3),
            [
                *([answer(status, refused)] for status in statuses),
                [answer(202, b"", lambda_runtime_aws_request_id=ID)],
                [answer(200, b"{}")],
                [event()],
            ],
        )

    def test_connections_that_end(self) -> None:
        """While it waits, on a new connection and on one that was used; between two calls; in the middle of an answer."""
        self.both([NEXT, NEXT], [[None], [event()]])
        self.both([NEXT, NEXT, NEXT], [[event()], [0.2, None], [event(b"2")], [event(b"3")]])
        self.both([NEXT, NEXT, NEXT], [[event()], [None], [None], [event()]])
        self.both([NEXT, 0.2, NEXT], [[event(), None], [event(b"2")]])
        self.both([NEXT, NEXT, NEXT], [[event(b"x" * 100)[:-1], None], [event()[:20], None], [event()]])
        self.both([NEXT, NEXT], [[event(b"x" * 200_000)[:-1], None], [event()]])
        self.both([NEXT, NEXT], [[event(connection="close"), None], [event(b"2")]])
        self.both([NEXT, 0.2, result(), NEXT], [[event(), None], [OK], [event()]])
        self.both([NEXT, 0.2, result(6 * MIB), NEXT], [[event(), None], [OK], [event()]])
        self.both([result(), NEXT], [[None], [event()]])
        self.both([error(), NEXT], [[OK[:-1], None], [event()]])

    def test_nobody_listens(self) -> None:
        """No runtime API."""
        self.both([NEXT, result(), error()], [])

    def test_results(self) -> None:
        """Of all sizes and types."""
        calls = [result(size) for size in (0, 1, 1024, 65536, 200_000, 6 * MIB)]
        calls += [result(2, text) for text in ("application/unknown", "text/plain; charset=utf-8", "", "ä")]
        seen = self.both([NEXT, *calls, NEXT], [[event()], *([OK] for _ in calls), [event()]])
        self.assertEqual({request[0] for request in seen["requests"]}, {0})

    def test_errors(self) -> None:
        """With and without a cause."""
        calls = [
            error(),
            error(""),
            error("{}", '{"a": "b c"}'),
            error("ä€😀", '{"ä": 1}'),
            error("{}", {"text": 900_000}),
        ]
        self.both([*calls, NEXT], [*([OK] for _ in calls), [event()]])

    def test_refused_results(self) -> None:
        """What the runtime API says of a result goes into the log."""
        refused = b'{"errorMessage": "too large", "errorType": "RequestEntityTooLarge"}\n'
        statuses = [413, 403, 400, 500, 302, 200, 299]
        calls = [call for _ in statuses for call in (result(), error())]
        script: Sequence[Reply] = [[answer(status, refused)] for status in statuses for _ in "12"]
        # curl takes another connection after a refusal.
        self.both([*calls, NEXT], [*script, [event()]], same_connections=False)

    def test_odd_texts(self) -> None:
        """What curl has a word in is the extension's."""
        for call in (
            result(2, "text/plain\r\nx-more: 1"),
            result(2, "  "),
            result(2, "text/plain", "a/b?c#d"),
            result(2, "text/plain", ""),
            result(2, "text/plain", "a b"),
            error("{}", "a\nb"),
        ):
            self.both([NEXT, call, NEXT], [[event()], [OK], [event()]], by_extension=True, same_connections=False)

    def test_one_more_id(self) -> None:
        """Later releases send the invocation's id back."""
        if has_invocation_id():
            calls = [[*call[:4], given] for call in (result(), error()) for given in ("abc", "", None)]
            self.both([*calls, NEXT], [*([OK] for _ in calls), [event()]])

    def test_wrong_arguments(self) -> None:
        """Neither sends anything."""
        more = [None] if has_invocation_id() else []
        self.both(
            [
                ["post_invocation_result", ID],
                ["post_invocation_result", ID, "text", "type", *more],
                ["post_invocation_result", None, {"bytes": 1}, "type", *more],
                ["post_invocation_result", ID, {"bytes": 1}, None, *more],
                ["post_invocation_result", ID, {"bytes": 1}, "a\0b", *more],
                ["post_invocation_result", ID, {"bytes": 1}, "\udc80", *more],
                ["post_invocation_result", ID, {"bytes": 1}, "type", *more, None],
                ["post_invocation_result", ID, {"bytes": 1}, "type"] + ([] if more else [1]),
                ["post_error", ID],
                ["post_error", ID, {"bytes": 1}, "", *more],
                ["post_error", ID, "{}", 1, *more],
                ["post_error", ID, "{}", "", *more, None],
                ["initialize_client", 1],
            ],
            [[event()]],
        )


if __name__ == "__main__":
    unittest.main()
