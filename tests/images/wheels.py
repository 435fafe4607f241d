# SPDX-License-Identifier: Apache-2.0
"""Layers with Python packages for a test suite, and with the tests that their sources have."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tarfile
import tempfile
from typing import Any

import oci
import suite


def layer(cache: pathlib.Path, python: dict[str, Any]) -> oci.Layer:
    """The layer, made by pip unless it is in the cache."""
    name = f"wheels-{oci.key(python)}"
    return oci.cached_layer(cache, name, lambda tar: collect(tar, python))


def collect(tar: tarfile.TarFile, python: dict[str, Any]) -> None:
    """Installs the wheels, and takes the folders of tests out of the sources."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "target"
        install = [*pip, "install", "--no-compile", "--only-binary=:all:", "--root-user-action=ignore", "--target", str(target)]
        subprocess.run([*install, *python["wheels"]], check=True)
        for source, tests in python["tests"].items():
            unpacked = pathlib.Path(folder) / "sources"
            download = [*pip, "download", "--no-deps", "--no-binary=:all:", "--dest", str(unpacked), source]
            subprocess.run(download, check=True)
            (archive,) = unpacked.glob("*.tar.gz")
            with tarfile.open(archive) as sources:
                sources.extractall(unpacked, filter="data")
            archive.unlink()
            (found,) = unpacked.glob(f"*/{tests}")
            found.rename(target / found.name)
        oci.add_tree(tar, target, suite.FOLDER)
