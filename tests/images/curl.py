# SPDX-License-Identifier: Apache-2.0
"""A layer with curl, its own tests and their servers, built from the upstream release that Debian's package is made of."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
from typing import Any

import debian
import oci
import suite

# With TLS, and without what would need further packages.
CONFIGURE = (
    "--disable-shared",
    "--with-openssl",
    "--disable-ldap",
    "--without-brotli",
    "--without-libidn2",
    "--without-libpsl",
    "--without-librtmp",
    "--without-nghttp2",
    "--without-zstd",
)
# What tests look at beside their own folder.
PARTS = ("src/curl", "curl-config", "lib/curl_config.h")
SOURCES = shutil.ignore_patterns("*.c", "*.h", "*.o", "*.la", ".deps", ".libs", "Makefile", "Makefile.am", "Makefile.in")
ELF = b"\x7fELF"

RUN = """#!/bin/sh
# Runs the tests that runtests.pl's words select, for which it wants to know the user: run WORD...
cd /suite/tests || exit 1
export USER=root
exec perl -I. ./runtests.pl -a -n -E left_out "$@" 2>&1
"""


def layer(cache: pathlib.Path, curl: dict[str, Any]) -> oci.Layer:
    """The layer, built by curl's own configure and make unless it is in the cache."""
    name = f"curl-{oci.key(curl, CONFIGURE, PARTS, RUN)}"
    return oci.cached_layer(cache, name, lambda tar: build(tar, cache, curl))


def build(tar: tarfile.TarFile, cache: pathlib.Path, curl: dict[str, Any]) -> None:
    """Builds curl and the tests' programs, and takes what the tests need where they look for it."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work = pathlib.Path(folder)
        source = debian.upstream_source(curl["source"], work)
        make = ["make", "--quiet", f"-j{os.cpu_count()}"]
        for command in (["./configure", "--quiet", *CONFIGURE], make, [*make, "-C", "tests"]):
            subprocess.run(command, cwd=source, check=True)
        root = work / "root"
        shutil.copytree(source / "tests", root / "tests", ignore=SOURCES)
        for part in PARTS:
            target = root / part
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source / part, target)
        strip(root)
        left_out = (f"{what}:{why}\n" for what, why in curl["left_out"].items())
        (root / "tests/left_out").write_text("".join(left_out))
        suite.add(tar, root, RUN)


def strip(root: pathlib.Path) -> None:
    """Takes the symbols that only a debugger wants out of the programs."""
    for path in root.rglob("*"):
        if path.is_file() and path.read_bytes().startswith(ELF):
            subprocess.run(["strip", path], check=True)
