# SPDX-License-Identifier: Apache-2.0
"""Writes layers and images as the OCI image specification has them, with nothing in them that changes from build to build."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclasses.dataclass(frozen=True)
class Layer:
    """A compressed layer in the cache."""

    path: pathlib.Path
    digest: str
    diff_id: str
    size: int


class Hashed(io.RawIOBase):
    """Passes bytes on and hashes them."""

    def __init__(self, inner: IO[bytes] | gzip.GzipFile) -> None:
        self.inner = inner
        self.hash = hashlib.sha256()

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def write(self, data: Any) -> int:
        """Hashes and passes on."""
        self.hash.update(data)
        return self.inner.write(data)


def key(*inputs: object) -> str:
    """A short name for a set of inputs."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:16]


def cached_layer(cache: pathlib.Path, name: str, write: Callable[[tarfile.TarFile], None]) -> Layer:
    """The layer `name` from the cache; else what `write` puts into it."""
    path = cache / f"{name}.tar.gz"
    note = cache / f"{name}.json"
    if not (path.exists() and note.exists()):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            blob = pathlib.Path(folder) / "blob"
            with blob.open("wb") as file:
                stored = Hashed(file)
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stored, mtime=0) as packed:
                    plain = Hashed(packed)
                    with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                        write(tar)
            digests = {"digest": stored.hash.hexdigest(), "diff_id": plain.hash.hexdigest()}
            blob.rename(path)
            # Last, so that a note means a whole layer.
            draft = pathlib.Path(folder) / "note"
            draft.write_text(json.dumps(digests))
            draft.rename(note)
    digests = json.loads(note.read_text())
    return Layer(path, digests["digest"], digests["diff_id"], path.stat().st_size)


def add_tree(tar: tarfile.TarFile, folder: pathlib.Path, prefix: str) -> None:
    """Adds what is in `folder` below `prefix`, with the directories of the prefix; all owned by root."""
    parts = prefix.split("/")
    for depth in range(1, len(parts) + 1):
        tar.addfile(plain_entry(tarfile.TarInfo("/".join(parts[:depth])), directory=True))
    for path in sorted(folder.rglob("*")):
        entry = plain_entry(tar.gettarinfo(path, f"{prefix}/{path.relative_to(folder)}"), directory=path.is_dir())
        if entry.isreg():
            with path.open("rb") as file:
                tar.addfile(entry, file)
        else:
            tar.addfile(entry)


def plain_entry(entry: tarfile.TarInfo, *, directory: bool) -> tarfile.TarInfo:
    """Takes from an entry what depends on who built it and when."""
    entry.mtime = 0
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    if directory:
        entry.type = tarfile.DIRTYPE
    entry.mode = 0o755 if directory or entry.mode & 0o100 else 0o644
    return entry


def write_image(output: pathlib.Path, layers: Iterable[Layer], config: dict[str, Any]) -> str:
    """Writes an image, as an archive if `output` ends in .tar, else as a layout folder; returns its digest."""
    layers = list(layers)
    with tempfile.TemporaryDirectory(dir=output.absolute().parent) as folder:
        layout = pathlib.Path(folder) / "layout"
        digest = write_layout(layout, layers, config)
        if output.suffix == ".tar":
            archive = pathlib.Path(folder) / "archive"
            with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
                for path in sorted(layout.rglob("*")):
                    entry = tar.gettarinfo(path, str(path.relative_to(layout)))
                    entry = plain_entry(entry, directory=path.is_dir())
                    with path.open("rb") if entry.isreg() else io.BytesIO() as file:
                        tar.addfile(entry, file)
            archive.rename(output)
        else:
            if output.exists():
                shutil.rmtree(output)
            layout.rename(output)
    return digest


def write_layout(layout: pathlib.Path, layers: list[Layer], config: dict[str, Any]) -> str:
    """Writes an image as a layout folder; returns its digest."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: dict[str, Any], media_type: str) -> dict[str, Any]:
        data = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    for layer in layers:
        target = blobs / layer.digest
        try:
            os.link(layer.path, target)
        except OSError:
            shutil.copyfile(layer.path, target)
    image = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(image, CONFIG),
        "layers": [{"mediaType": LAYER, "digest": f"sha256:{layer.digest}", "size": layer.size} for layer in layers],
    }
    descriptor = blob(manifest, MANIFEST)
    descriptor["platform"] = {"architecture": "amd64", "os": "linux"}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}
    (layout / "index.json").write_text(json.dumps(index, sort_keys=True))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return str(descriptor["digest"])


def entries(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """The entries of an archive with their contents."""
    for entry in tar:
        yield entry, tar.extractfile(entry) if entry.isreg() else None
