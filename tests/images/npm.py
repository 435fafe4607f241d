# SPDX-License-Identifier: Apache-2.0
"""A layer with the packages of a Node function's package-lock.json, beside its code."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import oci

FILES = ("package.json", "package-lock.json")


def layer(cache: pathlib.Path, function: pathlib.Path, place: str) -> oci.Layer:
    """The packages, installed by npm unless they are in the cache."""
    name = f"npm-{oci.key([(function / file).read_text() for file in FILES], place)}"

    def install(tar: tarfile.TarFile) -> None:
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            for file in FILES:
                shutil.copyfile(function / file, work / file)
            npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(npm, check=True, cwd=work, stdout=subprocess.DEVNULL)
            (work / "node_modules" / ".package-lock.json").unlink(missing_ok=True)
            oci.add_tree(tar, work / "node_modules", f"{place}/node_modules")

    return oci.cached_layer(cache, name, install)
