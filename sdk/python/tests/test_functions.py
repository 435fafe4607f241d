# SPDX-License-Identifier: Apache-2.0
"""Functions under awslambdaric, with its extension and with what stands for it.

The Python that runs this has awslambdaric.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import unittest
from typing import Any, Sequence

from runtime_api import Reply, RuntimeApi, answer, event

FOLDER = pathlib.Path(__file__).parent
OK = answer(202, b'{"status":"OK"}\n')


class FunctionsTest(unittest.TestCase):
    """Runs functions both ways."""

    maxDiff = None

    def both(self, function: str, script: Sequence[Reply], **env: str) -> dict[str, Any]:
        """Runs a function until the script ends, and returns what both ways had to show."""
        extension = self._run(function, script, False, env)
        stand_in = self._run(function, script, True, env)
        self.assertEqual(extension, stand_in)
        return stand_in

    def _run(self, function: str, script: Sequence[Reply], with_stand_in: bool, more: dict[str, str]) -> dict[str, Any]:
        api = RuntimeApi(script)
        env = {**os.environ, "AWS_LAMBDA_RUNTIME_API": api.endpoint, **more}
        env.pop("PYTHONPATH", None)
        if with_stand_in:
            env["PYTHONPATH"] = str(FOLDER.parent)
        program = [sys.executable, "-m", "awslambdaric", function]
        done = subprocess.run(program, env=env, cwd=FOLDER, capture_output=True, timeout=60)
        api.close()
        # The way to an error is another one.
        error = done.stderr.decode().splitlines()[-1:]
        log = re.sub(r"\[\d{13}\]|\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]", done.stdout.decode())
        return {"requests": api.requests, "status": done.returncode, "error": error, "log": log}

    def answers(self, seen: dict[str, Any]) -> list[str]:
        """The bodies of what was posted."""
        return [body for _, lines, body in seen["requests"] if lines[0].startswith("POST")]

    def test_events_and_results(self) -> None:
        """Small ones, large ones, and what the context knows."""
        context = {
            "lambda_runtime_client_context": '{"custom": {"ä": 1}}',
            "lambda_runtime_trace_id": "Root=1",
            "lambda_runtime_aws_tenant_id": "t",
        }
        large = b'"' + b"x" * (6 << 20) + b'"'
        script = [[event('{"ä": "€"}'.encode())], [OK], [event(large)], [OK], [event(b"1", **context)], [OK]]
        seen = self.both("functions.echo", script)
        self.assertEqual(len(self.answers(seen)), 3)

    def test_bytes(self) -> None:
        """Events and results that are no JSON."""
        seen = self.both("functions.give_bytes", [[event()], [OK], [event(b"a\0b", content_type="image/png")], [OK]])
        self.assertEqual(self.answers(seen), [repr(b"\x00\xff"), repr(b"a\0b")])

    def test_failures(self) -> None:
        """Errors, events that cannot be read, and functions that end."""
        self.both("functions.fail", [[event(b'"luck"')], [OK], [event(b"no json")], [OK], [event(b'"exit"')], [OK]])

    def test_refused_results(self) -> None:
        """The runtime ends."""
        self.assertEqual(self.both("functions.echo", [[event()], [answer(413, b"{}")]])["status"], 1)

    def test_no_function(self) -> None:
        """The runtime says that it cannot start."""
        self.assertEqual(self.both("nothing.handler", [[OK]])["status"], 1)

    def test_snapshots(self) -> None:
        """A runtime that is restored before its first event."""
        seen = self.both("functions.echo", [[answer(200)], [event()], [OK]], AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
        self.assertIn("next", seen["requests"][0][1][0])

    def test_children(self) -> None:
        """Forks leave the connection alone."""
        seen = self.both("functions.fork", [[event()], [OK], [event()], [OK]])
        self.assertEqual(self.answers(seen), ["b'[768, 0]'"] * 2)

    def test_threads(self) -> None:
        """They run while the runtime waits, whichever thread does that."""
        script: Sequence[Reply] = [[event(b'"start"')], [OK], [0.5, event()], [OK]]
        for env in ({}, {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"}):
            seen = self.both("functions.tick", script, **env)
            self.assertEqual(self.answers(seen), ["b'false'", "b'true'"])


if __name__ == "__main__":
    unittest.main()
