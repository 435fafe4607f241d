# SPDX-License-Identifier: Apache-2.0
"""A bucket's objects, of a store that says what it is told to."""

from __future__ import annotations

import pathlib
import sys
import types
import unittest
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from nexus_sdk import collection, resource

PAGES: dict[Any, dict[str, Any]] = {
    None: {"IsTruncated": True, "Contents": [{"Key": "a", "Size": 1}, {"Key": "b", "Size": 2}]},
    "b": {"IsTruncated": True, "NextMarker": "x", "CommonPrefixes": [{"Prefix": "x"}]},
    "x": {"IsTruncated": False, "NextMarker": "y", "Contents": [{"Key": "z", "Size": 3}]},
}


class PaginationError(Exception):
    """The image's own SDK's."""


class CollectionTest(unittest.TestCase):
    """Goes through a bucket."""

    def setUp(self) -> None:
        """Has a bucket of a client that knows three pages."""
        self.asked: list[dict[str, Any]] = []
        self.deleted: list[Any] = []
        self.pages = dict(PAGES)
        client = types.SimpleNamespace(list_objects=self._list, delete_objects=self._delete)
        self.box: Any = resource.create("s3", "Bucket", client, ("box",), self._real)

    def _list(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        return self.pages[arguments.get("Marker")]

    def _delete(self, **arguments: Any) -> dict[str, Any]:
        self.deleted.append(arguments)
        return {"Deleted": len(self.deleted)}

    def _real(self) -> Any:
        raise AssertionError("the image's own SDK")

    def test_pages_follow_what_the_store_says(self) -> None:
        """By the last key, where there is no marker."""
        pages = [[item.key for item in page] for page in self.box.objects.filter(Prefix="p").page_size(2).pages()]
        self.assertEqual(pages, [["a", "b"], [], ["z"]])
        same = {"Bucket": "box", "Prefix": "p", "MaxKeys": 2}
        self.assertEqual(self.asked, [same, {**same, "Marker": "b"}, {**same, "Marker": "x"}])

    def test_nothing_is_asked_that_is_not_needed(self) -> None:
        """Neither before somebody goes through it, nor after the limit."""
        found = self.box.objects.limit(2)
        self.assertEqual(self.asked, [])
        self.assertEqual([item.size for item in found], [1, 2])
        self.assertEqual(self.asked, [{"Bucket": "box"}])
        self.assertEqual([item.key for item in self.box.objects.limit(1)], ["a"])

    def test_deleting_ends_with_an_empty_page(self) -> None:
        """As boto3 does."""
        self.assertEqual(self.box.objects.all().delete(Quiet=True), [{"Deleted": 1}])
        named = {"Objects": [{"Key": "a"}, {"Key": "b"}]}
        self.assertEqual(self.deleted, [{"Bucket": "box", "Delete": named, "Quiet": True}])

    def test_a_store_that_goes_round_in_circles(self) -> None:
        """Is not asked for ever."""
        self.pages["x"] = self.pages["b"]
        exceptions = types.ModuleType("botocore.exceptions")
        exceptions.PaginationError = lambda message: PaginationError(message)  # type: ignore[attr-defined]
        modules = {"botocore": types.ModuleType("botocore"), "botocore.exceptions": exceptions}
        known = "received twice: {'Marker': 'x'}"
        with mock.patch.dict(sys.modules, modules), self.assertRaisesRegex(PaginationError, known):
            list(self.box.objects.all())

    def test_a_manager_is_no_collection(self) -> None:
        """And says what it is."""
        with self.assertRaises(TypeError):
            iter(self.box.objects)
        self.assertEqual(repr(self.box.objects), "s3.Bucket.objectsCollectionManager(s3.Bucket(name='box'), s3.ObjectSummary)")
        self.assertIsInstance(self.box.objects, collection.ObjectsManager)


if __name__ == "__main__":
    unittest.main()
