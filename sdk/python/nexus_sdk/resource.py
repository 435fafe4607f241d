# SPDX-License-Identifier: Apache-2.0
"""What stands for a resource of boto3 (`boto3.resource("s3").Bucket(name)`) until the real one is needed.

A resource is an identifier or two, a client, and what a service has said of it. Its actions are the client's calls, with the
identifiers as arguments; whatever else it has, the real one does, which takes its place: the same object, from then on of the
real class.
"""

import nexus_sdk
from nexus_sdk import client as clients

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Identifiers and actions of an object, wherever it was found.
_OBJECT = (("bucket_name", "Bucket"), ("key", "Key"))
_OF_OBJECTS = {"delete": "delete_object", "get": "get_object", "put": "put_object"}
# Kinds of resources: identifiers, with the name of the argument that each is; actions, with the call that each makes; and kinds
# of resources that one gets from it, whose first identifiers are its own. As the models of boto3 have it, in all its releases.
_KINDS: "dict[str, dict[str, Any]]" = {
    "s3": {
        "ServiceResource": ((), {}, ("Bucket", "Object", "ObjectSummary")),
        "Bucket": ((("name", "Bucket"),), {}, ("Object",)),
        "Object": (_OBJECT, _OF_OBJECTS, ("Bucket",)),
        "ObjectSummary": (_OBJECT, _OF_OBJECTS, ("Bucket", "Object")),
    },
    "dynamodb": {
        "ServiceResource": ((), {name: name for name in ("batch_get_item", "batch_write_item")}, ("Table",)),
        "Table": (
            (("name", "TableName"),),
            {name: name for name in ("delete_item", "get_item", "put_item", "query", "scan", "update_item")},
            (),
        ),
    },
}
# What boto3 adds to resources of S3: each method's parameters in order, of which the first are required.
_TRANSFERS = {
    "upload_file": ("Filename", "Key"),
    "upload_fileobj": ("Fileobj", "Key"),
    "download_file": ("Key", "Filename"),
    "download_fileobj": ("Key", "Fileobj"),
}
_OPTIONS = ("ExtraArgs", "Callback", "Config")
# Attributes of an object, with the members of `head_object`'s result, and those of one in a list. All others the real one has.
_ATTRIBUTES = {
    "Object": {
        "accept_ranges": "AcceptRanges",
        "cache_control": "CacheControl",
        "content_disposition": "ContentDisposition",
        "content_encoding": "ContentEncoding",
        "content_language": "ContentLanguage",
        "content_length": "ContentLength",
        "content_type": "ContentType",
        "e_tag": "ETag",
        "expiration": "Expiration",
        "last_modified": "LastModified",
        "metadata": "Metadata",
        "server_side_encryption": "ServerSideEncryption",
        "storage_class": "StorageClass",
        "version_id": "VersionId",
    },
    "ObjectSummary": {
        "e_tag": "ETag",
        "last_modified": "LastModified",
        "owner": "Owner",
        "size": "Size",
        "storage_class": "StorageClass",
    },
}
_classes: "dict[tuple[str, str], type[Resource]]" = {}


def has(service: str) -> bool:
    """Whether there are resources of a service here."""
    return service in _KINDS


def make(service: str, table: "dict[str, Any]", region: str, real: "Callable[[], Any]") -> "Resource":
    """A service's resource, in a region. `real` makes the real one."""
    if service == "dynamodb":
        # Its clients take and give other values than those that are made without a resource.
        table = {**table, "key": "dynamodb resource"}
    client = clients.make(table, region, lambda: _real(root).meta.client)
    root = create(service, "ServiceResource", client, (), real)
    return root


class Resource:
    """The base of all facades."""

    _nexus_service: "tuple[str, list[str]]"

    @property
    def meta(self) -> "Any":
        """As boto3's."""
        state = self.__dict__
        if "_nexus_meta" not in state:
            from nexus_sdk.meta import ResourceMeta

            state["_nexus_meta"] = ResourceMeta(self, *self._nexus_service)
        return state["_nexus_meta"]

    @property  # type: ignore[misc]
    def __class__(self) -> "type[Any]":
        """The real class, for whoever asks by isinstance(): once there is one, since nobody holds it before."""
        return type(self) if nexus_sdk.active else type(_real(self))

    def __getattr__(self, name: str) -> "Any":
        return getattr(become_real(self), name)

    def __dir__(self) -> "list[str]":
        return dir(become_real(self))

    def __repr__(self) -> str:
        named = zip(self._nexus_service[1], self.__dict__["_nexus_identifiers"])
        return f"{type(self).__name__}({', '.join([f'{name}={value!r}' for name, value in named])})"

    def __eq__(self, other: object) -> bool:
        return bool(become_real(self) == other)

    def __hash__(self) -> int:
        return hash(become_real(self))

    def __reduce_ex__(self, protocol: "Any") -> "Any":
        return become_real(self).__reduce_ex__(protocol)


def become_real(resource: "Any") -> "Any":
    """Makes the real resource and puts it in the facade's place. Returns it, the same object."""
    # The same lock, since resources and clients become real by way of each other.
    with clients.lock:
        # Another thread may have done it meanwhile.
        if not issubclass(type(resource), Resource):
            return resource
        own = resource.__dict__
        real = _real(resource)
        client = own["_nexus_client"]
        clients.become_real(client)
        # The client that a program may hold already is the resource's from now on.
        real.meta.client = client
        if "_nexus_data" in own:
            real.meta.data = own["_nexus_data"]
        state = {name: value for name, value in own.items() if not name.startswith("_nexus")}
        resource.__dict__ = {**real.__dict__, **state}
        object.__dict__["__class__"].__set__(resource, type(real))
    return resource


def _real(resource: "Any") -> "Any":
    """The real resource that is to take the facade's place, or has taken it."""
    with clients.lock:
        if not issubclass(type(resource), Resource):
            return resource
        own = resource.__dict__
        if "_nexus_real" not in own:
            own["_nexus_real"] = own["_nexus"]()
        return own["_nexus_real"]


def _class(service: str, kind: str) -> "type[Resource]":
    if (service, kind) not in _classes:
        _classes[service, kind] = _make_class(service, kind)
    return _classes[service, kind]


def _make_class(service: str, kind: str) -> "type[Resource]":
    identifiers, actions, children = _KINDS[service][kind]
    names: list[str] = [name for name, _ in identifiers]
    members: dict[str, Any] = {name: _identifier(place) for place, name in enumerate(names)}
    arguments = [argument for _, argument in identifiers]
    members.update({name: _action(name, arguments, call) for name, call in actions.items()})
    members.update({child: _child(service, child) for child in children})
    members.update({name: _attribute(name, member) for name, member in _ATTRIBUTES.get(kind, {}).items()})
    if kind == "Object":
        members.update({name: _load(name) for name in ("load", "reload")})
    if kind in ("Bucket", "Object"):
        members.update({name: _transfer(name, arguments, own) for name, own in _TRANSFERS.items()})
        if kind == "Bucket":
            members["put_object"] = _put_object
            members["objects"] = property(_objects)
    if kind == "Table":
        members["batch_writer"] = _batch_writer
    members["__module__"] = "boto3.resources.factory"
    members["_nexus_service"] = (service, names)
    return type(f"{service}.{kind}", (Resource,), members)


def _identifier(place: int) -> property:
    return property(lambda self: self.__dict__["_nexus_identifiers"][place])


def _named(method: "Any", name: str) -> "Any":
    method.__name__ = name
    method.__annotations__ = {}
    return method


def _action(name: str, arguments: "list[str]", call: str) -> "Any":
    def do_action(self: Resource, *args: "Any", **kwargs: "Any") -> "Any":
        given = dict(zip(arguments, self.__dict__["_nexus_identifiers"]))
        given.update(kwargs)
        result = getattr(self.__dict__["_nexus_client"], call)(*args, **given)
        # What was said of it may be true no more.
        self.__dict__.pop("_nexus_data", None)
        return result

    return _named(do_action, name)


def _load(name: str) -> "Any":
    head = _action(name, [argument for _, argument in _OBJECT], "head_object")

    def do_action(self: Resource, *args: "Any", **kwargs: "Any") -> None:
        self.__dict__["_nexus_data"] = head(self, *args, **kwargs)

    return _named(do_action, name)


def _attribute(name: str, member: str) -> property:
    def property_loader(self: "Any") -> "Any":
        if "_nexus_data" not in self.__dict__:
            if not hasattr(type(self), "load"):
                return getattr(become_real(self), name)
            self.load()
        return self.__dict__["_nexus_data"].get(member)

    return property(property_loader)


def _objects(self: "Any") -> "Any":
    from nexus_sdk.collection import ObjectsManager

    return ObjectsManager(self)


def _put_object(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
    (bucket,) = self.__dict__["_nexus_identifiers"]
    self.__dict__["_nexus_client"].put_object(*args, **{"Bucket": bucket, **kwargs})
    return self.Object(kwargs["Key"])


_named(_put_object, "put_object")


def _batch_writer(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
    from boto3.dynamodb.table import BatchWriter

    if args or any(name != "overwrite_by_pkeys" for name in kwargs):
        return become_real(self).batch_writer(*args, **kwargs)
    return BatchWriter(self.name, self.meta.client, **kwargs)


_named(_batch_writer, "batch_writer")


def _transfer(name: str, arguments: "list[str]", own: "tuple[str, ...]") -> "Any":
    # An object's methods have no key among their parameters, for it is one of its identifiers.
    parameters = (*(parameter for parameter in own if parameter not in arguments), *_OPTIONS)
    required = len(parameters) - len(_OPTIONS)

    def method(self: Resource, *args: "Any", **kwargs: "Any") -> "Any":
        given = dict(zip(parameters, args))
        fits = len(args) <= len(parameters) and all(key in parameters and key not in given for key in kwargs)
        given.update(kwargs)
        if not fits or not all(parameter in given for parameter in parameters[:required]):
            # It says what is wrong.
            return getattr(become_real(self), name)(*args, **kwargs)
        given.update(zip(arguments, self.__dict__["_nexus_identifiers"]))
        return getattr(self.__dict__["_nexus_client"], name)(**given)

    return _named(method, name)


def _child(service: str, kind: str) -> "Any":
    wanted = [name for name, _ in _KINDS[service][kind][0]]

    def create_resource(self: Resource, *args: "Any", **kwargs: "Any") -> "Any":
        first = self.__dict__["_nexus_identifiers"][: len(wanted)]
        given = dict(zip(wanted[len(first) :], args))
        fits = len(first) + len(args) <= len(wanted) and not any(name in given for name in kwargs)
        given.update(kwargs)
        fits = fits and list(given) == wanted[len(first) :] and all(type(value) is str for value in given.values())
        if not fits:
            return getattr(become_real(self), kind)(*args, **kwargs)
        own = self.__dict__
        identifiers = (*first, *given.values())
        return create(
            service, kind, own["_nexus_client"], identifiers, lambda: getattr(become_real(self), kind)(*args, **kwargs)
        )

    return _named(create_resource, kind)


def create(service: str, kind: str, client: "Any", identifiers: "tuple[str, ...]", real: "Callable[[], Any]") -> "Resource":
    """A resource of a kind. `real` makes the real one."""
    made = _class(service, kind)()
    made.__dict__.update(_nexus=real, _nexus_client=client, _nexus_identifiers=identifiers)
    return made
