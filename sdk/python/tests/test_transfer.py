# SPDX-License-Identifier: Apache-2.0
"""Downloads that do not go through."""

from __future__ import annotations

import io
import pathlib
import sys
import types
import unittest
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from nexus_sdk import channel, transfer


class Rung(Exception):
    """What a signal's handler raises."""


class BotoCoreError(Exception):
    """What a body raises that is not what it should be."""


class Body:
    """A body of ten bytes, of which the last ones do not come."""

    _content_length = 10

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._came = False

    def _readinto(self, room: memoryview) -> int:
        if self._came:
            raise self._error
        self._came = True
        room[:3] = b"123"
        return 3


class DownloadTest(unittest.TestCase):
    """Downloads into memory."""

    def setUp(self) -> None:
        """Has botocore's exceptions, for the Python that runs this has no botocore."""
        exceptions = types.ModuleType("botocore.exceptions")
        exceptions.BotoCoreError = BotoCoreError  # type: ignore[attr-defined]
        patch = mock.patch.dict(sys.modules, {"botocore": types.ModuleType("botocore"), "botocore.exceptions": exceptions})
        patch.start()
        self.addCleanup(patch.stop)

    def _download(self, error: Exception) -> io.BytesIO:
        """The file, if what comes of the error is raised."""
        file = io.BytesIO()
        raised: Any = type(error) if isinstance(error, Rung) else channel.HandOver
        with mock.patch.object(transfer, "_call", lambda *_: {"Body": Body(error)}), self.assertRaises(raised):
            transfer._download_fileobj(mock.Mock(), {}, "bucket", "key", file)
        return file

    def test_errors(self) -> None:
        """The real SDK tries again, from the beginning on."""
        for error in (BotoCoreError(), channel.HandOver(), OSError(28, "No space left on device")):
            self.assertEqual(self._download(error).tell(), 0)

    def test_signals(self) -> None:
        """What a signal's handler raises is the program's."""
        self.assertEqual(self._download(Rung()).getvalue(), b"123")


if __name__ == "__main__":
    unittest.main()
