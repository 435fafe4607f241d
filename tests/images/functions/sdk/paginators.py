# SPDX-License-Identifier: Apache-2.0
"""Calls whose results come in pages, gone through by paginators."""

from __future__ import annotations

from typing import Any

from record import case, outcome

_NAMES = ["a/1", "a/2", "a/b/3", "a/b/4", "b 4", "c", "ü5"]


def _fill(s3: Any, bucket: str) -> None:
    for name in _NAMES:
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())


def _named(items: Any) -> list[Any]:
    return [type(items).__name__, *[item["Key"] for item in items]]


@case
def pages(s3: Any, bucket: str) -> Any:
    """All pages of a bucket's objects, of all sizes."""
    _fill(s3, bucket)
    paginator = s3.get_paginator("list_objects_v2")
    seen: list[Any] = [type(paginator).__name__, type(paginator).__module__]
    for size in (None, 1, 2, 7, 8):
        config = {"PageSize": size} if size else {}
        seen.append(list(paginator.paginate(Bucket=bucket, PaginationConfig=config)))
    seen += list(paginator.paginate(Bucket=bucket, Prefix="a/", Delimiter="/", PaginationConfig={"PageSize": 2}))
    seen += list(paginator.paginate(Bucket=bucket, Prefix="nothing"))
    seen += [[page["KeyCount"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, MaxKeys=3)]]
    return seen


@case
def pages_of_versions(s3: Any, bucket: str) -> Any:
    """Two tokens say where to go on."""
    _fill(s3, bucket)
    paginator = s3.get_paginator("list_object_versions")
    return list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 3}))


@case
def pages_in_one(s3: Any, bucket: str) -> Any:
    """All results together."""
    _fill(s3, bucket)
    paginator = s3.get_paginator("list_objects_v2")
    seen: list[Any] = []
    for size, most in ((2, None), (2, 3), (2, 4), (3, 100), (None, 2), (1, 0), ("2", None), (2, "3")):
        config = {"PageSize": size, "MaxItems": most}
        seen.append(outcome(paginator.paginate(Bucket=bucket, PaginationConfig=config).build_full_result))
    delimited = paginator.paginate(Bucket=bucket, Prefix="a/", Delimiter="/", PaginationConfig={"PageSize": 1})
    return [*seen, delimited.build_full_result(), type(delimited).__name__]


@case
def limited_pages(s3: Any, bucket: str) -> Any:
    """No more than so many results, and from there on the others."""
    _fill(s3, bucket)
    paginator = s3.get_paginator("list_objects_v2")
    seen: list[Any] = []
    for most in (0, 1, 2, 3, 4, 6, 7, 8):
        limited = paginator.paginate(Bucket=bucket, PaginationConfig={"MaxItems": most, "PageSize": 2})
        seen.append([_named(page.get("Contents", [])) for page in limited])
        token = limited.resume_token
        seen.append(type(token).__name__)
        rest = {"StartingToken": token, "PageSize": 2}
        seen.append([_named(page.get("Contents", [])) for page in paginator.paginate(Bucket=bucket, PaginationConfig=rest)])
    return seen


@case
def searched_pages(s3: Any, bucket: str) -> Any:
    """What an expression finds in pages."""
    _fill(s3, bucket)
    paginator = s3.get_paginator("list_objects_v2")
    seen: list[Any] = []
    for expression in ("Contents[?Size > `4`].Key", "Contents[].Key", "KeyCount", "Nothing", "Contents[0]", "[", 5):
        pages = paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
        seen.append(outcome(lambda pages=pages, expression=expression: list(pages.search(expression))))
    return [*seen, type(pages.search("x")).__name__, type(iter(pages)).__name__]


@case
def pages_twice(s3: Any, bucket: str) -> Any:
    """Pages that are gone through again, or in part."""
    _fill(s3, bucket)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
    seen: list[Any] = [[page["KeyCount"] for page in pages], [page["KeyCount"] for page in pages]]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3}):
        seen.append(_named(page["Contents"]))
        break
    begun = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
    going = iter(begun)
    seen.append(_named(next(going)["Contents"]))
    # The real ones take their places from here on.
    seen.append([str(key.expression) for key in begun.result_keys])
    seen += [[_named(page["Contents"]) for page in going], begun.build_full_result(), begun.resume_token]
    keys, prefixes = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket).result_key_iters()
    return [*seen, _named(list(keys)), list(prefixes)]


@case
def pages_kinds(s3: Any, bucket: str) -> Any:
    """What paginators are."""
    paginator = s3.get_paginator("list_objects_v2")
    pages = paginator.paginate(Bucket=bucket)
    from botocore.paginate import PageIterator, Paginator

    seen: list[Any] = [isinstance(paginator, Paginator), isinstance(pages, PageIterator), isinstance(pages, Paginator)]
    return [*seen, list(pages)]


@case
def wrong_pages(s3: Any, bucket: str) -> Any:
    """What is refused, and when."""
    seen = [outcome(s3.get_paginator, "put_object"), outcome(s3.get_paginator, 5), outcome(s3.get_paginator)["error"]["types"]]
    paginator = s3.get_paginator(operation_name="list_objects_v2")
    seen.append(outcome(paginator.paginate, bucket))
    configs = (None, 5, {"PageSize": "x"}, {"MaxItems": "x"}, {"MaxItems": -1}, {"Other": 1}, {"StartingToken": "no"})
    seen += [
        outcome(lambda config=config: list(paginator.paginate(Bucket=bucket, PaginationConfig=config))) for config in configs
    ]
    for arguments in ({}, {"Bucket": 5}, {"Bucket": "elsewhere"}, {"Bucket": bucket, "Unknown": 1}):
        pages = paginator.paginate(**arguments)
        seen += [outcome(list, pages), outcome(pages.build_full_result)]
    return seen
