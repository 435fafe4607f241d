# SPDX-License-Identifier: Apache-2.0
"""What stands for `Bucket.objects` of boto3's resources, and for what one gets of it, until the real ones are needed.

A collection is a call whose pages hold resources. Pages follow each other as botocore's rules for `list_objects` have it. What
the shim does not do, the real collection does, which is made when something reaches that far.
"""

import nexus_sdk
from nexus_sdk import resource as resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class _Objects:
    """What managers and collections have in common."""

    def __init__(self, parent: "Any", params: "dict[str, Any] | None" = None) -> None:
        own = parent.__dict__
        # They stay when the bucket becomes real.
        self.__dict__.update(
            _nexus_parent=parent,
            _nexus_client=own["_nexus_client"],
            _nexus_bucket=own["_nexus_identifiers"][0],
            _nexus_params=params or {},
        )

    @property  # type: ignore[misc]
    def __class__(self) -> "type[Any]":
        return type(self) if nexus_sdk.active else type(self._nexus_real())

    def __getattr__(self, name: str) -> "Any":
        if name.startswith("_nexus"):
            # One that is being copied has nothing yet.
            raise AttributeError(name)
        return getattr(self._nexus_real(), name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._nexus_parent!r}, s3.ObjectSummary)"

    def _nexus_real(self) -> "Any":
        """The real one."""
        if "_nexus_real_one" not in self.__dict__:
            self.__dict__["_nexus_real_one"] = self._nexus_make()
        return self.__dict__["_nexus_real_one"]

    def _nexus_make(self) -> "Any":
        return resources.become_real(self._nexus_parent).objects

    def _nexus_with(self, **params: "Any") -> "Any":
        """A collection with more parameters; the real one if they are not plain."""
        if not all(type(value) in (str, int, bool) for value in params.values()):
            return self._nexus_real().filter(**params)
        if not issubclass(type(self._nexus_parent), resources.Resource):
            return self._nexus_real().filter(**params)
        return _Collection(self._nexus_parent, {**self._nexus_params, **params})

    def all(self) -> "Any":
        """All objects."""
        return self._nexus_with()

    def filter(self, **kwargs: "Any") -> "Any":
        """Those that the call has with these parameters."""
        return self._nexus_with(**kwargs)

    def limit(self, count: int) -> "Any":
        """So many at most."""
        return self._nexus_with(limit=count)

    def page_size(self, count: int) -> "Any":
        """So many in a page."""
        return self._nexus_with(page_size=count)

    def pages(self) -> "Iterator[list[Any]]":
        """Lists of objects, one for each answer of the store's."""
        params = {"Bucket": self._nexus_bucket, **self._nexus_params}
        limit, size = params.pop("limit", None), params.pop("page_size", None)
        if not all(value is None or (type(value) is int and value > 0) for value in (limit, size)):
            yield from self._nexus_real().pages()
            return
        if size is not None:
            params["MaxKeys"] = size
        for found in _answers(self._nexus_client, params):
            found = found[:limit]
            yield self._nexus_page(found)
            if limit is not None:
                limit -= len(found)
                if limit == 0:
                    return

    def _nexus_page(self, found: "list[dict[str, Any]]") -> "list[Any]":
        parent, page = self._nexus_parent, []
        for item in found:
            made = resources.create(
                "s3",
                "ObjectSummary",
                self._nexus_client,
                (self._nexus_bucket, item["Key"]),
                lambda item=item: _handled(parent, [item])[0],  # type: ignore[misc]
            )
            made.__dict__["_nexus_data"] = item
            page.append(made)
        # The SDK may have been loaded meanwhile.
        return page if issubclass(type(parent), resources.Resource) else _handled(parent, found)

    def delete(self, *args: "Any", **kwargs: "Any") -> "list[dict[str, Any]]":
        """Deletes them, page by page. Returns what the store says of each."""
        responses = []
        for page in self.pages():
            if not page:
                break
            given = {"Bucket": self._nexus_bucket, "Delete": {"Objects": [{"Key": item.key} for item in page]}}
            responses.append(self._nexus_client.delete_objects(*args, **{**given, **kwargs}))
        return responses


class _Collection(_Objects):
    """Objects of a bucket."""

    def __iter__(self) -> "Iterator[Any]":
        for page in self.pages():
            yield from page

    def _nexus_make(self) -> "Any":
        return super()._nexus_make().iterator(**self._nexus_params)


class ObjectsManager(_Objects):
    """All objects of a bucket, of which there may be collections."""

    def iterator(self, **kwargs: "Any") -> "Any":
        """A collection."""
        return self._nexus_with(**kwargs)


for _kind, _name in ((_Collection, "Collection"), (ObjectsManager, "CollectionManager")):
    _kind.__name__ = _kind.__qualname__ = f"s3.Bucket.objects{_name}"
    _kind.__module__ = "boto3.resources.collection"


def _answers(client: "Any", params: "dict[str, Any]") -> "Iterator[list[dict[str, Any]]]":
    """What is in each answer to `list_objects`."""
    marker = None
    while True:
        answer = client.list_objects(**params)
        found = answer.get("Contents") or []
        yield found
        following = answer.get("IsTruncated") and (answer.get("NextMarker") or (found[-1]["Key"] if found else None))
        if not following:
            return
        if following == marker:
            from botocore.exceptions import PaginationError

            token = {"Marker": following}
            raise PaginationError(message=f"The same next token was received twice: {token}")
        params["Marker"] = marker = following


def _handled(parent: "Any", found: "list[dict[str, Any]]") -> "list[Any]":
    """The real resources that a bucket makes of what was found."""
    bucket = resources.become_real(parent)
    return bucket.objects._handler(bucket, {}, {"Contents": found})  # type: ignore[no-any-return]
