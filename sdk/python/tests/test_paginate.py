# SPDX-License-Identifier: Apache-2.0
"""Pages, as a release's own rules have them."""

from __future__ import annotations

import copy
import json
import marshal
import pathlib
import sys
import unittest
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from nexus_sdk import facade, paginate

VERSIONS = {
    "input_token": ["KeyMarker", "VersionIdMarker"],
    "output_token": ["NextKeyMarker", "NextVersionIdMarker"],
    "limit_key": "MaxKeys",
    "more_results": "IsTruncated",
    "result_key": ["Versions", "DeleteMarkers"],
}
PAGES = {
    None: {"IsTruncated": True, "NextKeyMarker": "k1", "NextVersionIdMarker": "v1", "Versions": [1, 2], "Prefix": "p"},
    "k1": {"IsTruncated": True, "NextKeyMarker": "k2", "NextVersionIdMarker": "", "DeleteMarkers": [3], "Prefix": "q"},
    "k2": {"IsTruncated": False, "NextKeyMarker": "k3", "Versions": [4]},
}


class RealPaginator:
    """A paginator of the image's own SDK, as far as it is looked at."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def paginate(self, **kwargs: Any) -> RealPages:
        """The real pages."""
        self.given.append(kwargs)
        return RealPages()


class RealPages:
    """What takes the place of pages."""

    def __init__(self) -> None:
        self.resume_token = None
        self._op_kwargs: dict[str, Any] = {}


class PaginateTest(unittest.TestCase):
    """Goes through pages."""

    def setUp(self) -> None:
        """Has a release with these rules, and a client that knows three pages."""
        self.asked: list[dict[str, Any]] = []
        self.real = RealPaginator()
        self.extras = {"merge": {"pagination": {"ListObjectVersions": {"non_aggregate_keys": ["Prefix", "Owner"]}}}}
        self._files = {
            "paginators-1.json": {"pagination": {"ListObjectVersions": VERSIONS}},
            "paginators-1.sdk-extras.json": self.extras,
        }
        for module, name, value in ((facade, "data", self._data), (paginate, "_rules", {})):
            patch = mock.patch.object(module, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def _data(self, service: str, name: str) -> str:
        self.assertEqual(service, "s3")
        if name not in self._files:
            raise FileNotFoundError(name)
        return json.dumps(self._files[name])

    def _paginator(self) -> Any:
        client = mock.Mock()
        client.list_object_versions = self._list
        client.get_paginator.return_value = self.real
        service = {
            "key": "s3",
            "class": "S3",
            "operations": {"list_object_versions": marshal.dumps({"name": "ListObjectVersions"})},
        }
        with mock.patch("nexus_sdk.client.become_real", lambda client: client):
            return paginate.make(client, service, "list_object_versions")

    def _list(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        return copy.deepcopy(PAGES[arguments.get("KeyMarker")])

    def test_pages(self) -> None:
        """Each begins where the last one ended; a token that there is no more goes."""
        pages = self._paginator().paginate(Bucket="b", PaginationConfig={"PageSize": 5})
        self.assertEqual(list(pages), list(PAGES.values()))
        first = {"Bucket": "b", "MaxKeys": 5}
        second = {**first, "KeyMarker": "k1", "VersionIdMarker": "v1"}
        self.assertEqual(self.asked, [first, second, {**first, "KeyMarker": "k2"}])

    def test_full_result(self) -> None:
        """Results together, and what is as in the first page."""
        whole = self._paginator().paginate(Bucket="b").build_full_result()
        self.assertEqual(whole, {"Versions": [1, 2, 4], "DeleteMarkers": [3], "Prefix": "p", "Owner": None})

    def test_limit(self) -> None:
        """A page is cut, and the place kept for who asks for it."""
        pages = self._paginator().paginate(Bucket="b", PaginationConfig={"MaxItems": 3})
        self.assertEqual(list(pages), list(PAGES.values()))
        pages = self._paginator().paginate(Bucket="b", PaginationConfig={"MaxItems": 1})
        self.assertEqual([page["Versions"] for page in pages], [[1]])
        self.assertEqual(self.real.given, [])
        token = {"KeyMarker": None, "VersionIdMarker": None, "boto_truncate_amount": 1}
        with mock.patch("nexus_sdk.client.become_real", lambda client: client):
            self.assertEqual(pages.resume_token, token)
        self.assertIs(type(pages), RealPages)
        self.assertEqual(pages._op_kwargs, {"Bucket": "b"})
        self.assertEqual(self.real.given, [{"Bucket": "b", "PaginationConfig": {"MaxItems": 1}}])

    def test_no_extras(self) -> None:
        """Releases need not have them."""
        del self._files["paginators-1.sdk-extras.json"]
        self.assertNotIn("Prefix", self._paginator().paginate(Bucket="b").build_full_result())

    def test_rules_that_are_not_plain(self) -> None:
        """Then the paginator is the real one."""
        for name, value in (
            ("output_token", ["NextKeyMarker || Versions[-1].Key", "x"]),
            ("result_key", "a.b"),
            ("more_results", "!x"),
        ):
            paginate._rules.clear()
            self._files["paginators-1.json"] = {"pagination": {"ListObjectVersions": {**VERSIONS, name: value}}}
            self.assertIs(self._paginator(), self.real)


if __name__ == "__main__":
    unittest.main()
