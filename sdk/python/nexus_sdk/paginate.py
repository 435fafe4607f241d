# SPDX-License-Identifier: Apache-2.0
"""What stands for paginators of botocore, and for the pages that they give, until more is asked of them than there is here.

Pages are the client's calls, one after the other. The rules for what comes next are botocore's own, quirks included: the tokens
stay in the arguments, so that who goes through the pages once more begins with the last one.
"""

import marshal

import nexus_sdk
from nexus_sdk import client as clients
from nexus_sdk import facade, shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


# Methods whose results come in pages: what limits a page is a number, and what a page has is a list above all.
_METHODS = {"get_parameters_by_path", "list_object_versions", "list_objects_v2", "query", "scan"}
# By service and method, what is known of them.
_rules: "dict[tuple[str, str], _Rules | None]" = {}


class _Rules:
    """How to go through the pages of an operation, in the image's release."""

    def __init__(self, name: str, given: "dict[str, Any]") -> None:
        self.name = name
        # For each parameter that says where to go on the member that it comes from.
        self.tokens: dict[str, str] = dict(zip(_list(given["input_token"]), _list(given["output_token"])))
        # The parameter that limits a page.
        self.limit: str = given["limit_key"]
        # The member that says whether there is more, if it is not what one goes on from.
        self.more: str | None = given.get("more_results")
        # Members that have a page's results. Of the first there may be a limit.
        self.results = _list(given["result_key"])
        # Members that are as in the first page.
        self.same = _list(given.get("non_aggregate_keys", []))
        members = [*self.tokens.values(), *self.results, *self.same]
        self.is_plain = all(name.isidentifier() for name in members) and (self.more or "x").isidentifier()


def _list(value: "Any") -> "list[str]":
    return value if type(value) is list else [value]


def make(client: "clients.Client", service: "dict[str, Any]", name: "Any") -> "Any":
    """The paginator of a client's method: a facade, or the real one."""
    rules = _rules_of(service, name) if nexus_sdk.active and type(name) is str else None
    if rules is None:
        return clients.become_real(client).get_paginator(name)
    paginator = type(f"{service['class']}.Paginator.{rules.name}", (Paginator,), {"__module__": "botocore.client"})()
    paginator.__dict__.update(
        _nexus=lambda: clients.become_real(client).get_paginator(name), _nexus_rules=rules, _nexus_method=getattr(client, name)
    )
    return paginator


def _rules_of(service: "dict[str, Any]", name: str) -> "_Rules | None":
    key = service["key"], name
    if key not in _rules:
        _rules[key] = _read(service, name) if name in _METHODS and name in service["operations"] else None
    return _rules[key]


def _read(service: "dict[str, Any]", name: str) -> "_Rules | None":
    folder = service["key"].partition(" ")[0]
    operation = marshal.loads(service["operations"][name])["name"]
    try:
        given = shapes.loads(facade.data(folder, "paginators-1.json"))["pagination"][operation]
        try:
            more = shapes.loads(facade.data(folder, "paginators-1.sdk-extras.json"))["merge"]["pagination"]
        except FileNotFoundError:
            more = {}
        rules = _Rules(operation, {**given, **more.get(operation, {})})
    except (OSError, KeyError, ValueError):
        return None
    return rules if rules.is_plain else None


class _Facade:
    """What is to become real, in its own place."""

    @property  # type: ignore[misc]
    def __class__(self) -> "type[Any]":
        """The real class, for whoever asks by isinstance(): once there is one, since nobody holds it before."""
        # Not by taking its place, as with clients.
        return type(self) if nexus_sdk.active else type(_real(self))

    def __getattr__(self, name: str) -> "Any":
        return getattr(_take_over(self), name)

    def __dir__(self) -> "list[str]":
        return dir(_take_over(self))


class Paginator(_Facade):
    """What stands for a paginator."""

    def paginate(self, *args: "Any", **kwargs: "Any") -> "Any":
        """As botocore's."""
        limits = kwargs.get("PaginationConfig", {})
        if args or not nexus_sdk.active or not _is_plain(limits):
            return _take_over(self).paginate(*args, **kwargs)
        make_real, pages = self.__dict__["_nexus"], PageIterator()
        given = dict(kwargs)
        kwargs.pop("PaginationConfig", None)
        pages.__dict__.update(
            _nexus=lambda: make_real().paginate(**given),
            _nexus_rules=self.__dict__["_nexus_rules"],
            _nexus_method=self.__dict__["_nexus_method"],
            _nexus_limits=(limits.get("MaxItems"), limits.get("PageSize")),
            _op_kwargs=kwargs,
        )
        return pages


class PageIterator(_Facade):
    """What stands for the pages of a paginator."""

    __module__ = "botocore.paginate"

    def __iter__(self) -> "Iterator[Any]":
        if not nexus_sdk.active:
            yield from _take_over(self)
            return
        rules, method = self.__dict__["_nexus_rules"], self.__dict__["_nexus_method"]
        most, size = self.__dict__["_nexus_limits"]
        arguments = self._op_kwargs
        if size is not None:
            arguments[rules.limit] = size
        total, before, is_first = 0, dict.fromkeys(rules.tokens), True
        while True:
            page = method(**arguments)
            if is_first:
                self._non_aggregate_part: dict[str, Any] = {name: page.get(name) for name in rules.same}
                is_first = False
            items = page.get(rules.results[0]) or []
            total += len(items)
            if most is not None and total > most:
                left = most - total + len(items)
                page[rules.results[0]] = items[:left]
                self.resume_token = {**before, "boto_truncate_amount": left}
                yield page
                return
            yield page
            after = {name: page.get(member) or None for name, member in rules.tokens.items()}
            if (rules.more and not page.get(rules.more)) or not any(token is not None for token in after.values()):
                return
            if total == most:
                self.resume_token = after
                return
            if after == before:
                from botocore.exceptions import PaginationError

                raise PaginationError(message=f"The same next token was received twice: {after}")
            for name, token in after.items():
                if token is not None and token != "None":
                    arguments[name] = token
                else:
                    arguments.pop(name, None)
            before = after

    def search(self, expression: "Any") -> "Iterator[Any]":
        """As botocore's."""
        import jmespath

        compiled = jmespath.compile(expression)
        for page in self:
            found = compiled.search(page)
            if isinstance(found, list):
                yield from found
            else:
                yield found

    def build_full_result(self) -> "Any":
        """As botocore's."""
        if not nexus_sdk.active or self.__dict__["_nexus_limits"][0] is not None:
            # It may say where to go on, which is encoded in a way of botocore's own.
            return _take_over(self).build_full_result()
        results = self.__dict__["_nexus_rules"].results
        whole: dict[str, Any] = {}
        for page in self:
            for name in results:
                value = page.get(name)
                if value is None:
                    continue
                if whole.get(name) is None:
                    whole[name] = value
                elif isinstance(value, list):
                    whole[name].extend(value)
                else:
                    whole[name] += value
        return {**whole, **self._non_aggregate_part}

    def _set_resume_token(self, token: "dict[str, Any]") -> None:
        if all(value is None or type(value) in (str, int) for value in token.values()):
            self.__dict__["_nexus_token"] = token
        else:
            # botocore encodes it now, and some cannot be encoded.
            _take_over(self).resume_token = token

    # Which of botocore's takes its place with the class.
    resume_token = property(lambda self: _take_over(self).resume_token, _set_resume_token)


def _is_plain(limits: "Any") -> bool:
    if type(limits) is not dict or not set(limits) <= {"MaxItems", "PageSize"}:
        return False
    return all(value is None or (type(value) is int and value >= 0) for value in limits.values())


def _real(facade: "Any") -> "Any":
    """What is to take the facade's place, or has taken it."""
    with clients.lock:
        own = facade.__dict__
        if "_nexus" not in own:
            return facade
        if "_nexus_real" not in own:
            own["_nexus_real"] = own["_nexus"]()
        return own["_nexus_real"]


def _take_over(facade: "Any") -> "Any":
    """Puts the real one in the facade's place, as far as that has come. Returns it, the same object."""
    with clients.lock:
        real, own = _real(facade), facade.__dict__
        if real is not facade:
            state = {name: value for name, value in own.items() if not name.startswith("_nexus")}
            facade.__dict__ = {**real.__dict__, **state}
            object.__dict__["__class__"].__set__(facade, type(real))
            if "_nexus_token" in own:
                facade.resume_token = own["_nexus_token"]
    return facade
