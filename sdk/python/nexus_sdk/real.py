# SPDX-License-Identifier: Apache-2.0
"""Calls of real clients by message: once the image's own SDK is loaded, its clients need not do what the gateway does anyway.

Every call of a client goes through `BaseClient._make_api_call`. In its place stands ours, with the original under it for
whatever is not covered here, or not as boto3 itself would have made it: a client with a configuration, keys, an endpoint or an
event handler of the program's own; an SDK in which somebody has put their function in place of one that we go around. Who wraps
ours is called as they expect.
"""

import sys
from _operator import attrgetter
from functools import wraps

from nexus_sdk import calls, config, facade, presign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Classes and functions of botocore and boto3 whose instances, methods or closures a client has for handlers from the start,
# beside those that are listed in `botocore.handlers`.
_HANDLERS = {
    "ClientCreator",
    "MaxAttemptsSeeder",
    "RequestSigner",
    "RetryHandler",
    "RetryQuotaChecker",
    "S3ExpressIdentityResolver",
    "S3RegionRedirector",
    "S3RegionRedirectorv2",
    "UserAgentString",
    "lazy_call",
}
# What botocore adds to a client's configuration, where the program says nothing.
_ADDED = {
    "_inject_host_prefix": True,
    "account_id_endpoint_mode": "preferred",
    "disable_request_compression": False,
    "request_checksum_calculation": "when_supported",
    "request_min_compression_size_bytes": 10240,
    "response_checksum_validation": "when_supported",
    "s3_disable_express_session_auth": False,
}
# Functions that a call would go through, and classes that it would use, where other packages put their own: module, class if it
# is in one, names.
_SEAMS = (
    ("botocore.awsrequest", "", ("AWSHTTPConnection", "AWSHTTPConnectionPool")),
    ("botocore.awsrequest", "AWSHTTPConnection", ("request", "_send_request", "getresponse")),
    ("botocore.awsrequest", "AWSHTTPConnectionPool", ("ConnectionCls", "urlopen")),
    ("botocore.client", "BaseClient", ("_convert_to_request_dict", "_emit_api_params", "_make_request")),
    ("botocore.endpoint", "", ("Endpoint", "URLLib3Session")),
    ("botocore.endpoint", "Endpoint", ("create_request", "make_request", "prepare_request")),
    ("botocore.endpoint", "Endpoint", ("_get_response", "_send", "_send_request")),
    ("botocore.hooks", "HierarchicalEmitter", ("emit", "emit_until_response", "_emit")),
    ("botocore.httpsession", "URLLib3Session", ("send",)),
    ("botocore.signers", "RequestSigner", ("handler", "sign")),
    ("botocore.validate", "ParamValidationDecorator", ("serialize_to_request",)),
)

# The functions as they were: class, what gives its functions, and those.
_intact: "list[tuple[Any, Callable[[Any], Any], Any]]" = []


def install(module: "Any") -> None:
    """Puts ours in its place. `module` is `botocore.client`, which has just been made."""
    if _intact:
        return
    original = module.BaseClient._make_api_call

    def _make_api_call(self: "Any", operation_name: str, api_params: "dict[str, Any]") -> "Any":
        operation = _operation(module, self, operation_name)
        if operation is not None:
            result = operation.run(api_params, self)
            if result is not None:
                return result
        return original(self, operation_name, api_params)

    _make_api_call.__module__ = module.__name__
    _make_api_call.__qualname__ = original.__qualname__
    _make_api_call.__wrapped__ = original  # type: ignore[attr-defined]
    module.BaseClient._make_api_call = _make_api_call
    _install_presign(module)
    _install_presign_post(module)
    _install_again()
    for name, kind, functions in _SEAMS:
        owner = sys.modules.get(name)
        owner = getattr(owner, kind, None) if kind else owner
        names = [function for function in functions if hasattr(owner, function)]
        if names:
            functions_of = attrgetter(*names)
            _intact.append((owner, functions_of, functions_of(owner)))


def _install_presign(module: "Any") -> None:
    """Has the gateway sign URLs. Classes of clients, which are made later, get the function from here."""
    signers = sys.modules["botocore.signers"]
    original = signers.generate_presigned_url

    def generate_presigned_url(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
        asked = presign.arguments(args, kwargs)
        if asked is not None:
            name = self.meta.method_to_api_mapping.get(asked[0])
            operation = _operation(module, self, name) if name else None
            url = presign.url(operation, *asked[1:]) if operation is not None else None
            if url is not None:
                return url
        return original(self, *args, **kwargs)

    generate_presigned_url.__module__ = signers.__name__
    generate_presigned_url.__qualname__ = original.__qualname__
    generate_presigned_url.__wrapped__ = original  # type: ignore[attr-defined]
    signers.generate_presigned_url = generate_presigned_url  # type: ignore[attr-defined]


def _install_presign_post(module: "Any") -> None:
    """Has the gateway sign forms."""
    signers = sys.modules["botocore.signers"]
    original = signers.generate_presigned_post

    def generate_presigned_post(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
        operation = _operation(module, self, "PutObject")
        if operation is not None:
            form = presign.form(operation.service, self.meta.region_name, args, kwargs)
            if form is not None:
                return form
        return original(self, *args, **kwargs)

    generate_presigned_post.__module__ = signers.__name__
    generate_presigned_post.__qualname__ = original.__qualname__
    generate_presigned_post.__wrapped__ = original  # type: ignore[attr-defined]
    signers.generate_presigned_post = generate_presigned_post  # type: ignore[attr-defined]


def _install_again() -> None:
    """Has the gateway sign anew what botocore signs with a placeholder: for clients that have something of their own."""
    signers = sys.modules["botocore.signers"]
    signer, poster = signers.RequestSigner, signers.S3PostPresigner
    sign_url, sign_form = signer.generate_presigned_url, poster.generate_presigned_post

    @wraps(sign_url)
    def generate_presigned_url(
        self: "Any", request_dict: "Any", operation_name: "Any", expires_in: "Any" = 3600, *args: "Any", **kwargs: "Any"
    ) -> "Any":
        url = sign_url(self, request_dict, operation_name, expires_in, *args, **kwargs)
        table = facade.service("s3")
        # What is signed for another region or service is not for the gateway.
        if table is None or self.signing_name != "s3" or type(expires_in) is not int or any((*args, *kwargs.values())):
            return url
        return presign.url_again(table, self.region_name, operation_name, request_dict, url, expires_in)

    @wraps(sign_form)
    def generate_presigned_post(
        self: "Any",
        request_dict: "Any",
        fields: "Any" = None,
        conditions: "Any" = None,
        expires_in: "Any" = 3600,
        *args: "Any",
        **kwargs: "Any",
    ) -> "Any":
        form = sign_form(self, request_dict, fields, conditions, expires_in, *args, **kwargs)
        table, region = facade.service("s3"), self._request_signer.region_name
        if table is None or type(expires_in) is not int or any((*args, *kwargs.values())):
            return form
        return presign.form_again(table, region, form, conditions or [], expires_in)

    signer.generate_presigned_url = generate_presigned_url
    poster.generate_presigned_post = generate_presigned_post


def _operation(module: "Any", client: "Any", name: str) -> "calls.Operation | None":
    """The operation that a client's call is, if it is to go by message."""
    try:
        meta = client.meta
        usual = meta.__dict__.get("_nexus")
        if usual is None or usual.handlers is not meta.events._emitter._lookup_cache:
            usual = meta.__dict__["_nexus"] = _Usual(client)
        if not usual.is_usual or usual.session is not client._endpoint.http_session or not _is_intact():
            return None
        # Who logs or records wants to see what botocore says.
        if module.history_recorder._enabled or module.logger.isEnabledFor(10):
            return None
        return usual.operation(name)  # type: ignore[no-any-return]
    except (AttributeError, KeyError, TypeError):
        # A release of botocore that is made in another way, or a program's own client.
        return None


def _is_intact() -> bool:
    """Whether all functions are botocore's that we go around: nobody waits there for calls to come by."""
    for owner, functions, values in _intact:  # noqa: SIM110
        if functions(owner) != values:
            return False
    return True


class _Usual:
    """What is known of a client, for as long as its handlers stay the same."""

    __slots__ = ("_operations", "_region", "_table", "handlers", "is_usual", "session")

    def __init__(self, client: "Any") -> None:
        # Another dictionary each time that a handler is registered, or taken away.
        self.handlers = client.meta.events._emitter._lookup_cache
        self.session = client._endpoint.http_session
        table = facade.service(client.meta.service_model.service_name)
        self.is_usual = table is not None and _is_usual(client)
        if table is None or not self.is_usual:
            return
        self._table = facade.patient(table, client.meta.config.read_timeout)
        self._region = client.meta.region_name
        names = client.meta.method_to_api_mapping
        # By the model's names: first Python's, then what is made of it at the first call.
        self._operations = {names[name]: name for name in table["operations"] if name in names}

    def operation(self, name: str) -> "calls.Operation | None":
        """The operation, if it is covered here."""
        known: Any = self._operations.get(name)
        if type(known) is str:
            known = self._operations[name] = calls.operation(self._table, self._region, known)
        return known  # type: ignore[no-any-return]


def _is_usual(client: "Any") -> bool:
    """Whether a client is as boto3 makes them without being told anything."""
    endpoint, signer = client._endpoint, client._request_signer
    if client.meta.endpoint_url != facade.GATEWAY or endpoint.host != facade.GATEWAY or not facade.is_plain({}):
        return False
    if type(signer._credentials).__name__ != "Credentials" or signer._credentials.method != "env":
        return False
    if type(endpoint.http_session) is not sys.modules["botocore.httpsession"].URLLib3Session:
        return False
    own = {name for _, _, names in _SEAMS for name in names}
    if not own.isdisjoint([*vars(client), *vars(endpoint), *vars(endpoint.http_session), *vars(signer)]):
        return False
    return config.is_plain(client.meta.config, _ADDED) and _are_usual(client.meta.events)


def _are_usual(events: "Any") -> bool:
    """Whether the handlers of a client are those that it is made with."""
    found = []
    nodes = [("", events._emitter._handlers._root)]
    while nodes:
        path, node = nodes.pop()
        if node["chunk"] is not None:
            path += ("." if path else "") + node["chunk"]
        if node["values"] is not None:
            found += [(path, handler) for part in node["values"] for handler in part]
        nodes += [(path, child) for child in node["children"].values()]
    listed = {
        (events._alias_event_name(name), handler) for name, handler, *_ in sys.modules["botocore.handlers"].BUILTIN_HANDLERS
    }
    if not listed <= set(found):
        return False
    return all(_is_botocores(handler, (path, handler) in listed) for path, handler in found)


def _is_botocores(handler: "Any", is_listed: bool) -> bool:
    """Whether a handler is one of those that clients have: what mocks put into the list is not."""
    # A method, a function, or an object that is called.
    named = handler if hasattr(handler, "__qualname__") else type(handler)
    if not named.__module__.startswith(("botocore.", "boto3.")):
        return False
    return is_listed or named.__qualname__.partition(".")[0] in _HANDLERS
