# SPDX-License-Identifier: Apache-2.0
"""What is in a bucket, as boto3's resources have it: collections, and objects that know what was said of them."""

from __future__ import annotations

import copy
from typing import Any

from record import case, outcome


def _box(bucket: str) -> Any:
    """A bucket with eight objects."""
    import boto3

    box = boto3.resource("s3").Bucket(bucket)
    for name in ("a/1", "a/2", "a/3 +ä", "b/1", "b/2", "c", "d", "e & f"):
        box.put_object(Key=name, Body=name.encode(), ContentType="text/plain")
    return box


@case
def collections(s3: Any, bucket: str) -> Any:
    """All that a bucket holds, some of it, and in pages."""
    box = _box(bucket)
    seen: list[Any] = [[item.key for item in box.objects.all()]]
    for found in (
        box.objects.filter(Prefix="a/"),
        box.objects.filter(Prefix="a/").filter(Prefix="b/"),
        box.objects.filter(Prefix="a/").all().limit(2),
        box.objects.filter(Marker="b/1", MaxKeys=2),
        box.objects.filter(Delimiter="/"),
        box.objects.filter(Prefix="none"),
        box.objects.filter(Prefix="a/", EncodingType="url"),
        box.objects.limit(3),
        box.objects.limit(4).page_size(2),
        box.objects.limit(5).page_size(3),
        box.objects.page_size(3),
        box.objects.iterator(limit=1, page_size=1),
    ):
        seen.append([[item.key for item in page] for page in found.pages()])
        seen.append([item.size for item in found])
    seen.append([len(page) for page in box.objects.pages()])
    first = next(iter(box.objects.filter(Prefix="c")))
    seen += [first.bucket_name, first.key, first.size, first.e_tag, first.storage_class, type(first.last_modified).__name__]
    seen += [first.get()["Body"].read(), first.Object().get()["ContentType"], first.Bucket().name, first.Object().Bucket().name]
    seen += [repr(box.objects), repr(box.objects.all()), repr(first), repr(box), type(first).__name__]
    seen += [type(box.objects).__name__, type(box.objects.all()).__module__, callable(box.objects.filter)]
    seen.append(outcome(iter, box.objects))
    seen.append(box.objects.filter(Prefix="a/").delete())
    seen += [box.objects.filter(Prefix="a/").delete(), first.delete()["ResponseMetadata"]["HTTPStatusCode"]]
    return [*seen, [item.key for item in box.objects.all()], box.objects.page_size(2).delete(), list(box.objects.all())]


@case
def collections_refuse(s3: Any, bucket: str) -> Any:
    """What is wrong with a collection is said when it is gone through."""
    import boto3

    box = _box(bucket)
    nowhere = boto3.resource("s3").Bucket("nowhere").objects
    attempts = [
        lambda: [item.key for item in nowhere.all()],
        lambda: nowhere.filter(Prefix="x").delete(),
        lambda: list(box.objects.filter(Unknown=1)),
        lambda: list(box.objects.filter(Prefix=5)),
        lambda: list(box.objects.limit("x")),
        lambda: [item.key for item in box.objects.limit("2")],
        lambda: [item.key for item in box.objects.limit(0)],
        lambda: [item.key for item in box.objects.page_size(-1)],
        lambda: [item.key for item in box.objects.limit(True)],
        lambda: box.objects.filter("x"),
        lambda: box.objects.nothing,
        lambda: len(box.objects.all()),
        lambda: box.objects.filter(Prefix="d").delete(Unknown=1),
    ]
    return [outcome(attempt) for attempt in attempts]


@case
def attributes(s3: Any, bucket: str) -> Any:
    """What a store says of an object, when it is first asked for."""
    import boto3

    box, service = _box(bucket), boto3.resource("s3")
    one = box.Object("c")
    seen: list[Any] = [one.content_length, one.content_type, one.e_tag, one.metadata, one.version_id, one.expiration]
    seen += [one.load(), one.content_encoding, one.accept_ranges, one.cache_control, one.storage_class]
    seen += [one.put(Body=b"longer than that", Metadata={"a": "b"})["ResponseMetadata"]["HTTPStatusCode"]]
    seen += [one.content_length, one.metadata]
    s3.put_object(Bucket=bucket, Key="c", Body=b"")
    seen += [one.content_length, one.reload(), one.content_length, outcome(one.load, "positional")]
    seen += [outcome(box.Object("no").load), outcome(lambda: box.Object("no").content_length)]
    try:
        box.Object("no").load()
    except boto3.client("s3").exceptions.ClientError as error:
        seen.append(error.response["Error"]["Code"])
    return [*seen, service.Object(bucket, "d").Bucket().name, repr(one), repr(service), outcome(setattr, one, "key", "x")]


@case
def listed_and_real(s3: Any, bucket: str) -> Any:
    """What the SDK is loaded for while a collection is gone through."""
    box = _box(bucket)
    kept, begun = box.objects.filter(Prefix="a/"), iter(box.objects.page_size(3))
    first, second = next(begun), next(begun)
    # Only the real one has these.
    seen: list[Any] = [first.meta.data["Size"], first == second, hash(first) == hash(first), sorted(first.meta.identifiers)]
    seen += [first.size, second.size, second.e_tag, [item.key for item in begun], [item.key for item in kept]]
    seen += [first.Acl().bucket_name, box.objects.all() == kept, [item.key for item in kept.limit(1)], type(kept).__name__]
    third = copy.copy(second)
    seen += [third.key, third == second, third.size, [item.key for item in box.object_versions.limit(2)]]
    summary = box.meta.client and first.Bucket().Object("c")
    from boto3.resources.base import ServiceResource
    from boto3.resources.collection import CollectionManager, ResourceCollection

    seen += [isinstance(first, ServiceResource), isinstance(summary, ServiceResource), isinstance(kept, ResourceCollection)]
    return [*seen, isinstance(box.objects, CollectionManager), isinstance(kept, CollectionManager)]
