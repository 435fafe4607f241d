# SPDX-License-Identifier: Apache-2.0
"""upload_file and its kin: what s3transfer does.

Larger uploads go in parts (`parts`). A download is one stream, whatever its size.
"""

import io
import os
from _stat import S_ISREG

import nexus_sdk
from nexus_sdk import calls, facade
from nexus_sdk.channel import HandOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

    from nexus_sdk.client import Client

# From this size on s3transfer uploads in parts (`TransferConfig.multipart_threshold`), in bytes.
_PARTS_FROM = 8 * 1024 * 1024
_PIECE = 1024 * 1024
# Files of which what s3transfer does with them is known: those that go up, and those that come down, with their modes.
_READ = (io.BytesIO, io.BufferedReader, io.BufferedRandom)
_WRITTEN = (io.BufferedWriter, io.BufferedRandom)
_MODES = ("wb", "xb", "rb+", "xb+")
# The first release of boto3 that is known to take `pathlib.Path`.
_WITH_PATHS = 28
# What may be said of an object that goes up, of what boto3 allows, as `put_object` takes it.
_EXTRA = {
    "ACL",
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "ExpectedBucketOwner",
    "Metadata",
    "RequestPayer",
    "SSEKMSKeyId",
    "ServerSideEncryption",
    "StorageClass",
    "Tagging",
    "WebsiteRedirectLocation",
}
# The same of one that comes down, as `head_object` and `get_object` take it.
_EXTRA_DOWN = {"ExpectedBucketOwner", "RequestPayer", "VersionId"}


def run(client: "Client", name: str, parameters: "tuple[str, ...]", args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> "Any":
    """Does what the method `name` of boto3's client does, here or by the image's own SDK."""
    arguments = dict(zip(parameters, args))
    plain = len(args) <= len(parameters) and not any(key in arguments or key not in parameters for key in kwargs)
    arguments.update(kwargs)
    plain = plain and all(key in arguments for key in parameters[:3])
    extra = arguments.get("ExtraArgs") or {}
    plain = plain and not any(arguments.get(key) for key in ("Callback", "Config"))
    known = _EXTRA if name.startswith("upload") else _EXTRA_DOWN
    plain = plain and (not extra or (type(extra) is dict and known.issuperset(extra)))
    if plain and nexus_sdk.active and "_nexus" in client.__dict__:
        try:
            return _WAYS[name](client, extra, **{key: arguments[key] for key in parameters[:3]})
        except HandOver:
            pass
    from nexus_sdk.client import become_real

    return getattr(become_real(client), name)(*args, **kwargs)


def _upload_file(client: "Client", extra: "dict[str, Any]", Filename: "Any", Bucket: "Any", Key: "Any") -> None:  # noqa: N803
    Filename = _path(Filename)  # noqa: N806
    try:
        status = os.stat(Filename)
        if not S_ISREG(status.st_mode):
            raise HandOver
        file = open(Filename, "rb")  # noqa: SIM115
    except (OSError, ValueError):
        raise HandOver from None
    with file:
        try:
            _upload(client, file, 0, status.st_size, {"Bucket": Bucket, "Key": Key}, extra)
        except HandOver:
            raise
        except Exception as error:
            from boto3.exceptions import S3UploadFailedError
            from botocore.exceptions import ClientError

            if not isinstance(error, ClientError):
                raise
            # boto3 names no cause.
            raise S3UploadFailedError(f"Failed to upload {Filename} to {Bucket}/{Key}: {error}")  # noqa: B904


def _upload_fileobj(client: "Client", extra: "dict[str, Any]", Fileobj: "Any", Bucket: "Any", Key: "Any") -> None:  # noqa: N803
    if type(Fileobj) not in _READ:
        raise HandOver
    try:
        start = Fileobj.tell()
        end = Fileobj.seek(0, os.SEEK_END)
        Fileobj.seek(start)
    except (OSError, ValueError):
        # It is closed, or can only be read from where it is.
        raise HandOver from None
    try:
        _upload(client, Fileobj, start, end - start, {"Bucket": Bucket, "Key": Key}, extra)
    except HandOver:
        Fileobj.seek(start)
        raise
    except BaseException:
        _leave(Fileobj, start, end)
        raise
    _leave(Fileobj, start, end)


def _leave(file: "IO[bytes]", start: int, end: int) -> None:
    """Leaves a file as s3transfer does, whatever became of the upload."""
    if end - start < _PARTS_FROM:
        file.close()
    else:
        file.seek(end)


def _upload(client: "Client", file: "Any", start: int, size: int, target: "dict[str, Any]", extra: "dict[str, Any]") -> None:
    """Uploads so much of a file, from `start` on, where it is."""
    if size >= _PARTS_FROM:
        from nexus_sdk import parts

        parts.upload(client, parts.source(file, start, size), target, extra)
        return
    try:
        data = file.read(size) if size >= 0 else None
    except OSError:
        data = None
    if data is None or len(data) != size:
        raise HandOver
    _call(client, "put_object", {**target, "Body": data, **extra})


def _download_file(client: "Client", extra: "dict[str, Any]", Bucket: "Any", Key: "Any", Filename: "Any") -> None:  # noqa: N803
    """The file appears with its whole content, or not at all."""
    Filename = _path(Filename)  # noqa: N806
    # Devices and pipes are written into, and not replaced.
    if os.path.exists(Filename) and not os.path.isfile(Filename):
        raise HandOver
    temporary = f"{Filename}{os.extsep}{os.urandom(4).hex()}"
    try:
        with open(temporary, "wb") as file:
            _download(client, {"Bucket": Bucket, "Key": Key, **extra}, file, _PIECE)
        os.replace(temporary, Filename)
    except BaseException as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        if isinstance(error, OSError):
            raise HandOver from None
        raise


def _download_fileobj(client: "Client", extra: "dict[str, Any]", Bucket: "Any", Key: "Any", Fileobj: "Any") -> None:  # noqa: N803
    is_file = type(Fileobj) in _WRITTEN and type(Fileobj.raw) is io.FileIO and Fileobj.raw.mode in _MODES
    if type(Fileobj) is not io.BytesIO and not is_file:
        raise HandOver
    try:
        # s3transfer writes from the beginning on, wherever the file is.
        is_there = Fileobj.tell() == 0
    except (OSError, ValueError):
        is_there = False
    if not is_there:
        raise HandOver
    try:
        # What is written at once may be seen in a file that is not closed yet.
        _download(client, {"Bucket": Bucket, "Key": Key, **extra}, Fileobj, _PIECE // 4)
    except (HandOver, OSError):
        Fileobj.seek(0)
        raise HandOver from None


_WAYS: "dict[str, Callable[..., None]]" = {
    "upload_file": _upload_file,
    "upload_fileobj": _upload_fileobj,
    "download_file": _download_file,
    "download_fileobj": _download_fileobj,
}


def _call(client: "Client", name: str, arguments: "dict[str, Any]") -> "dict[str, Any]":
    service, region, _ = client.__dict__["_nexus"]
    result: dict[str, Any] | None = calls.operation(service, region, name).run(arguments)
    if result is None:
        raise HandOver
    return result


def _path(name: "Any") -> str:
    """The name of a file."""
    if isinstance(name, os.PathLike) and _takes_paths():
        name = os.fspath(name)
    if type(name) is not str:
        raise HandOver
    return name


def _takes_paths() -> bool:
    """Whether the release is known to take paths that are no strings."""
    major, _, rest = (facade.release("boto3") or "").partition(".")
    minor = rest.partition(".")[0]
    return major == "1" and minor.isdigit() and int(minor) >= _WITH_PATHS


def _download(client: "Client", arguments: "dict[str, Any]", file: "IO[bytes]", piece: int) -> None:
    try:
        body = _call(client, "get_object", arguments)["Body"]
    except HandOver:
        raise
    except Exception:
        # s3transfer looks at the object first, and its errors are of that.
        _call(client, "head_object", arguments)
        raise
    length = body._content_length
    room = memoryview(bytearray(piece if length is None else min(piece, length + 1)))
    try:
        # The end is where length and checksum are looked at.
        while count := body._readinto(room):
            file.write(room[:count])
    except HandOver:
        raise
    except Exception as error:
        from botocore.exceptions import BotoCoreError

        if isinstance(error, (BotoCoreError, OSError)):
            raise HandOver from None
        # Of a signal's handler.
        raise
